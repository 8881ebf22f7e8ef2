"""Corrections that readers gave to logged answers → training rows: the question, and the answer it should have been.

A correction without its question is no row: the log must have been kept with words (serving.query_log: content).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from workbench.dataset.building import draw_dev
from workbench.monitoring.records import FeedbackRecord, QueryRecord
from workbench.rows import DatasetRow, Task
from workbench.runs import fingerprint
from workbench.types import Split

FEEDBACK = "feedback"  # the rows' generator
WITHOUT_WORDS, WITHOUT_QUESTION, SAID_BEFORE = "logged_without_words", "not_logged", "said_before"


@dataclass(frozen=True, slots=True)
class FromFeedback:
    """The rows, and how many corrections gave none, by reason."""

    rows: tuple[DatasetRow, ...]
    dropped: Mapping[str, int] = field(default_factory=dict)

    @property
    def n_corrections(self) -> int:
        """How many corrections there were."""
        return len(self.rows) + sum(self.dropped.values())


def rows_from_feedback(
    queries: Iterable[QueryRecord], feedback: Iterable[FeedbackRecord], *, dev: float, seed: int
) -> FromFeedback:
    """Return a closed-book row for each correction, in the order of `feedback`.

    The same correction of the same question gives one row. Rows of one question share a group, so that none straddles
    train and dev; a row's sources are the passages the corrected answer was given with.

    Args:
        feedback: one record a response.
        dev: share of the questions whose rows are held out.
    """
    asked = {query.response_id: query for query in queries}
    rows: dict[tuple[str, str], DatasetRow] = {}
    dropped: Counter[str] = Counter()
    for said in feedback:
        correction = (said.correction or "").strip()
        if not correction:
            continue
        query = asked.get(said.response_id)
        question = (query.question or "").strip() if query is not None else ""
        if query is None or not question:
            dropped[WITHOUT_QUESTION if query is None else WITHOUT_WORDS] += 1
        elif (question, correction) in rows:
            dropped[SAID_BEFORE] += 1
        else:
            rows[question, correction] = _row(query, question, correction, seed)
    held_out = draw_dev((row.group for row in rows.values()), dev, seed)
    split = (row.model_copy(update={"split": Split.DEV}) if row.group in held_out else row for row in rows.values())
    return FromFeedback(tuple(split), dict(sorted(dropped.items())))


def _row(query: QueryRecord, question: str, correction: str, seed: int) -> DatasetRow:
    return DatasetRow(
        id=f"{FEEDBACK}-{query.response_id}",
        task=Task.CLOSED_BOOK,
        question=question,
        completion=correction,
        generator=FEEDBACK,
        template=query.arm or query.model,
        seed=seed,
        sources=query.passages,
        group=f"question-{fingerprint(question.casefold())[:16]}",
    )
