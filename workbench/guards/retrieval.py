"""Guards on retrieval: an index of another corpus, and a ceiling that lies below what it bounds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from workbench.decision import Alarm
from workbench.evaluation import compare_columns
from workbench.guards.evidence import Evidence
from workbench.guards.questions import FEW
from workbench.types import CaseRecord, Question


def swapped_index(evidence: Evidence) -> Iterator[Alarm]:
    """Questions find their own passages no more often than other questions do."""
    for name, arm in evidence.readers.items():
        judged = [
            (record, question)
            for record in arm.records
            if (question := evidence.study.questions[record.question_id]).relevant and record.error is None
        ]
        if len(judged) < FEW:
            continue
        own = sum(_finds(record, question) for record, question in judged)
        draws, others = np.random.default_rng(0), []
        for _ in range(50):
            order = draws.permutation(len(judged))
            others.append(sum(_finds(judged[i][0], judged[j][1]) for i, j in enumerate(order)))
        if max(others) > len(judged) / 2:  # so few documents that any question finds any of them: nothing can be told
            continue
        if own <= max(others):
            yield Alarm(
                guard="swapped_index",
                severity="refuse",
                message=f"{name}: {own} of {len(judged)} questions find a right passage, as many as find those of "
                f"other questions (up to {max(others)}): the index holds another corpus, or the spans point elsewhere",
                arms=(name,),
            )
            return


def oracle_below_rag(evidence: Evidence) -> Iterator[Alarm]:
    """An arm that is given the right passages scores below one of equal weights that has to find them."""
    metric = evidence.study.evaluation.ranked_by
    for name, arm in evidence.study.arms.items():
        if arm.settings.strategy != "oracle":
            continue
        for other, reader in evidence.readers.items():
            if reader.settings.adapter != arm.settings.adapter:
                continue
            ours, theirs = evidence.study.scores(name, metric), evidence.study.scores(other, metric)
            ids = [id_ for id_ in ours if id_ in theirs]
            if not ids:
                continue
            found = compare_columns(_column(ours, ids), _column(theirs, ids), confidence=0.999, seed=0)
            if found.high is not None and found.high < 0:
                yield Alarm(
                    guard="oracle_below_rag",
                    severity="warn",
                    message=f"{name} is given the right passages and scores {-100 * found.difference:.1f} points below "
                    f"{other}: the spans of the questions may point to the wrong places",
                    arms=(name, other),
                )


def _column(scores: dict[str, tuple[float, ...]], ids: Sequence[str]) -> np.ndarray:
    return np.array([scores[id_] for id_ in ids])


def _finds(record: CaseRecord, question: Question) -> bool:
    return any(
        hit.document_id == span.document_id and hit.start < span.end and span.start < hit.end
        for hit in record.hits
        for span in question.relevant
    )


GUARDS = (swapped_index, oracle_below_rag)
