"""Rows that ask the same and answer differently: they pull the weights both ways.

Same: the question, or the turns, equal after normalising; for reader rows over the same passages too, since other
passages may well say something else. Not whether an answer is true, and not answers that only differ in wording.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from workbench.audit.duplicates import asked, shown
from workbench.evaluation import normalise_answer
from workbench.rows import DatasetRow, Task


class Contradiction(NamedTuple):
    """One question with its different answers: for each answer, as first written, the ids of the rows that give it."""

    question: str
    answers: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def row_ids(self) -> tuple[str, ...]:
        """All rows that take part."""
        return tuple(row_id for _, ids in self.answers for row_id in ids)


def find_contradictions(rows: Sequence[DatasetRow]) -> list[Contradiction]:
    """Return the questions with more than one answer, in the order in which they are first asked."""
    groups: dict[tuple[object, ...], dict[str, list[DatasetRow]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row.task is not Task.TEXT:
            groups[(row.task, normalise_answer(asked(row)), shown(row))][normalise_answer(row.completion)].append(row)
    return [
        Contradiction(
            asked(next(iter(answers.values()))[0]),
            tuple((given[0].completion, tuple(row.id for row in given)) for given in answers.values()),
        )
        for answers in groups.values()
        if len(answers) > 1
    ]
