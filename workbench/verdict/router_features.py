"""What a router may look at: only what is known before an answer is written. No gold, no span, no split, no kind.

The kind of a question is left out because nobody tags questions when asking.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean

from workbench.types import CaseRecord, Question
from workbench.verdict.study import Study

RETRIEVAL = ("best_score", "margin_to_second", "margin_to_last", "is_best_apart")
QUESTION = ("words", "digits", "capitals")
DRAFT = ("draft_entropy", "draft_tokens")
FEATURES = (*RETRIEVAL, *QUESTION, *DRAFT)


@dataclass(frozen=True, slots=True)
class Features:
    """One row a question, in the order of `names`. `draft`: the arm whose answer serves as draft; None: no draft."""

    names: tuple[str, ...]
    rows: Mapping[str, tuple[float, ...]]
    draft: str | None
    draft_seconds: float  # mean, to be added where the draft's arm is not the one chosen
    retrieval_seconds: float


def read_features(study: Study) -> Features:
    """Return the features of every question that the first arm with passages was asked."""
    reader = next((arm for arm in study.ranked.values() if any(record.hits for record in arm.records)), None)
    base = next(
        (
            arm
            for arm in study.ranked.values()
            if arm.settings.strategy == "closed_book" and arm.settings.adapter is None
        ),
        None,
    )
    if reader is None:
        return Features((), {}, None, 0.0, 0.0)
    drafts = {record.question_id: record for record in base.records} if base else {}
    has_drafts = bool(drafts) and all(
        record.entropy is not None and record.costs is not None for record in drafts.values()
    )
    rows = {}
    for record in reader.records:
        draft = drafts.get(record.question_id) if has_drafts else None
        if has_drafts and draft is None:
            continue
        question = study.questions[record.question_id]
        rows[record.question_id] = (*_of_retrieval(record), *_of_question(question), *_of_draft(draft))
    return Features(
        names=FEATURES if has_drafts else (*RETRIEVAL, *QUESTION),
        rows=rows,
        draft=base.name if base and has_drafts else None,
        draft_seconds=_mean(drafts.values(), "seconds") if has_drafts else 0.0,
        retrieval_seconds=_mean(reader.records, "retrieval_seconds"),
    )


def _of_retrieval(record: CaseRecord) -> tuple[float, ...]:
    scores = [hit.score for hit in record.hits] or [0.0]
    second = scores[1] if len(scores) > 1 else scores[0]
    gap = scores[0] - second
    return scores[0], gap, scores[0] - scores[-1], float(gap > abs(scores[0]) / 10)


def _of_question(question: Question) -> tuple[float, ...]:
    words = question.text.split()
    return (
        float(len(words)),
        float(sum(letter.isdigit() for letter in question.text)),
        float(sum(word[:1].isupper() for word in words[1:])),
    )


def _of_draft(draft: CaseRecord | None) -> tuple[float, ...]:
    if draft is None or draft.costs is None or draft.entropy is None:
        return ()
    return draft.entropy, float(draft.costs.new_tokens)


def _mean(records: Iterable[CaseRecord], name: str) -> float:
    values = [getattr(one.costs, name) for one in records if one.costs is not None]
    return fmean(values) if values else 0.0
