"""Every test question with what each arm answered and read, up to what a page can hold; disagreements kept first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from workbench.report.data import ReportData
from workbench.report.examples import Example, all_examples
from workbench.report.rows import is_control
from workbench.types import Question

MOST = 200  # questions on a page: with three passages each about a megabyte
FILTERS = {"all": "all", "split": "arms disagree", "none": "no arm right", "every": "every arm right"}


@dataclass(frozen=True, slots=True)
class Case:
    """One question; `met` is "split", "none" or "every": how the ranked arms did on it."""

    example: Example
    met: str
    n_right: int

    @property
    def question(self) -> Question:
        """What was asked."""
        return self.example.question


def all_cases(data: ReportData, *, limit: int = MOST) -> tuple[list[Case], int]:
    """Return at most `limit` questions in their order, and how many are not among them."""
    cases = [_case(data, example) for example in all_examples(data)]
    keep = {id(case) for case in sorted(cases, key=lambda case: case.met != "split")[:limit]}
    return [case for case in cases if id(case) in keep], len(cases) - len(keep)


def count_filters(cases: Sequence[Case]) -> list[tuple[str, str, int]]:
    """Return each filter's id, label and number of questions."""
    counts = Counter(case.met for case in cases)
    return [(id_, label, len(cases) if id_ == "all" else counts[id_]) for id_, label in FILTERS.items()]


def _case(data: ReportData, example: Example) -> Case:
    ranked = [given.right for given in example.answers if not is_control(data.summary, given.arm)]
    met = "split" if len(set(ranked)) == 2 else "every" if all(ranked) else "none"
    return Case(example, met, sum(given.right for given in example.answers))
