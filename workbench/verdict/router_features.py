"""What a router may look at: only what is known before an answer is written. No gold, no span, no split, no kind.

The kind of a question is left out on purpose. Whoever asks types a question and no kind, so a router that was measured
with the question file's kinds would be measured with what it cannot have when it is asked. A kind predicted from the
embedding would tell the router nothing that the embedding, which it gets, does not tell it directly.

Sources: Jeong et al. 2024, https://arxiv.org/abs/2403.14403; AdaRAGUE, https://arxiv.org/abs/2501.12835.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import numpy as np

from workbench.types import CaseRecord, Float32
from workbench.verdict.study import ArmRun, Study

RETRIEVAL = ("best_score", "margin_to_second", "margin_to_last", "is_best_apart")
QUESTION = ("words", "digits", "capitals")
DRAFT = ("draft_entropy", "draft_tokens")
EMBEDDING = "question_embedding"
FEATURES = (*RETRIEVAL, *QUESTION, *DRAFT)
Floats = np.ndarray[Any, np.dtype[np.float64]]
Places = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Vectors:
    """Question id → its embedding, shape (D,), by the embedder that searched; `seconds`: mean, beyond the search."""

    rows: Mapping[str, Float32]
    seconds: float


@dataclass(frozen=True, slots=True)
class Seen:
    """What is seen of Q questions. `named`: feature → (Q,); `vectors`: embeddings, (Q, D), D = 0 without."""

    named: Mapping[str, Floats]
    vectors: Floats

    def take(self, places: Places) -> Seen:
        """Return what is seen of the questions at `places`."""
        return Seen({name: column[places] for name, column in self.named.items()}, self.vectors[places])


@dataclass(frozen=True, slots=True)
class Features:
    """What is seen of a study's questions, in the order of `ids`, and where it comes from.

    Attributes:
        reader: the arm whose passages' scores are looked at.
        draft: the arm whose answer serves as draft; None: none does.
        retrieval_seconds: mean, to be added where the chosen arm searches not, or otherwise; the others likewise.
    """

    ids: tuple[str, ...]
    seen: Seen
    reader: str
    draft: str | None
    retrieval_seconds: float
    draft_seconds: float
    vector_seconds: float

    @property
    def names(self) -> tuple[str, ...]:
        """The features there are."""
        return (*self.seen.named, *((EMBEDDING,) if self.seen.vectors.shape[1] else ()))

    def of(self, wanted: Iterable[str]) -> Features:
        """Return the same for those of its questions that are in `wanted`."""
        kept = frozenset(wanted)
        places = np.array([place for place, id_ in enumerate(self.ids) if id_ in kept], dtype=np.int64)
        return replace(self, ids=tuple(self.ids[place] for place in places), seen=self.seen.take(places))


def read_features(study: Study, vectors: Vectors | None = None) -> Features | None:
    """Return the features of every question that the first arm with passages was asked; None: no arm reads passages.

    Args:
        vectors: of every question; None: no embedding is looked at.
    """
    reader = next((arm for arm in study.ranked.values() if any(record.hits for record in arm.records)), None)
    if reader is None:
        return None
    found = {record.question_id: record for record in reader.records}
    base = _find_draft(study)
    drafts = {record.question_id: record for record in base.records} if base else {}
    ids = tuple(id_ for id_ in found if base is None or id_ in drafts)
    named = [
        of_hits([hit.score for hit in found[id_].hits])
        | of_question(study.questions[id_].text)
        | (_of_record(drafts[id_]) if base else {})
        for id_ in ids
    ]
    return Features(
        ids=ids,
        seen=stack(named, None if vectors is None else [vectors.rows[id_] for id_ in ids]),
        reader=reader.name,
        draft=base.name if base else None,
        retrieval_seconds=_mean(reader.records, "retrieval_seconds"),
        draft_seconds=_mean(drafts.values(), "seconds"),
        vector_seconds=0.0 if vectors is None else vectors.seconds,
    )


def stack(named: Sequence[Mapping[str, float]], vectors: Sequence[Float32] | None) -> Seen:
    """Return what is seen of one question or many; all have the same features. `vectors`: each (D,); None: none."""
    names = tuple(named[0]) if named else ()
    columns = {name: np.array([row[name] for row in named], dtype=np.float64) for name in names}
    return Seen(columns, np.zeros((len(named), 0)) if not vectors else np.array(vectors, dtype=np.float64))


def of_hits(scores: Sequence[float]) -> dict[str, float]:
    """Return what the scores of all that retrieval found tell, best first; none found counts as one of 0."""
    scores = scores or [0.0]
    gap = scores[0] - scores[min(1, len(scores) - 1)]
    values = (scores[0], gap, scores[0] - scores[-1], float(gap > abs(scores[0]) / 10))
    return dict(zip(RETRIEVAL, values, strict=True))


def of_question(text: str) -> dict[str, float]:
    """Return what the wording tells: words, digits, capitalised words after the first."""
    words = text.split()
    values = (len(words), sum(letter.isdigit() for letter in text), sum(word[:1].isupper() for word in words[1:]))
    return dict(zip(QUESTION, map(float, values), strict=True))


def of_draft(entropy: float, n_tokens: int) -> dict[str, float]:
    """Return what the base model's own short answer tells: its entropy in nats, its length."""
    return dict(zip(DRAFT, (entropy, float(n_tokens)), strict=True))


def _of_record(draft: CaseRecord) -> dict[str, float]:
    assert draft.entropy is not None and draft.costs is not None
    return of_draft(draft.entropy, draft.costs.new_tokens)


def _find_draft(study: Study) -> ArmRun | None:
    """Return the base model's closed-book arm, if the entropy of all its answers was recorded."""
    for arm in study.ranked.values():
        if arm.settings.strategy == "closed_book" and arm.settings.adapter is None:
            whole = all(record.entropy is not None and record.costs is not None for record in arm.records)
            return arm if whole and arm.records else None
    return None


def _mean(records: Iterable[CaseRecord], name: str) -> float:
    values = [getattr(one.costs, name) for one in records if one.costs is not None]
    return fmean(values) if values else 0.0
