"""Rows made, split, filtered and counted: what a dataset's build does between its parts and its folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from workbench.dataset.filters import Criteria, Drop, filter_rows
from workbench.dataset.generators import make_rows
from workbench.dataset.store import GeneratorCount
from workbench.dataset.workshop import Workshop
from workbench.rows import DatasetRow
from workbench.runs import fingerprint
from workbench.types import Split

Progress = Callable[[str, int], None]  # what is done now, rows so far


@dataclass(frozen=True, slots=True)
class Built:
    """The rows that stay, in the order they were made, and how many of each generator's were dropped and why."""

    rows: tuple[DatasetRow, ...]
    generators: dict[str, GeneratorCount]


def build_rows(
    shop: Workshop, criteria: Criteria, *, more: Iterable[DatasetRow] = (), on_progress: Progress = lambda *_: None
) -> Built:
    """Make the rows of all generators and `more`, filter them, and hold out the rows of a share of the documents."""
    made: list[DatasetRow] = []
    for row in make_rows(shop):
        made.append(row)
        if len(made) % 500 == 0:
            on_progress("make", len(made))
    made += more
    kept, dropped = filter_rows(made, criteria, lambda reason, left: on_progress(f"filter: {reason}", left))
    held_out = draw_dev((row.group for row in kept), shop.config.dev, shop.seed)
    split = tuple(row.model_copy(update={"split": Split.DEV}) if row.group in held_out else row for row in kept)
    return Built(split, count_rows(split, dropped))


def draw_dev(groups: Iterable[str], share: float, seed: int) -> frozenset[str]:
    """Return the groups held out: a share of those that have a name, one at least if there are two; by a hash."""
    named = sorted({group for group in groups if group}, key=lambda group: fingerprint(seed, "dev", group))
    if share == 0 or len(named) < 2:
        return frozenset()
    return frozenset(named[: min(max(1, round(share * len(named))), len(named) - 1)])


def count_rows(kept: Sequence[DatasetRow], dropped: Sequence[tuple[DatasetRow, Drop]]) -> dict[str, GeneratorCount]:
    """Return, by generator, what was made, kept and dropped by reason."""
    n_kept = Counter(row.generator for row in kept)
    reasons: dict[str, Counter[str]] = {}
    for row, reason in dropped:
        reasons.setdefault(row.generator, Counter())[reason.value] += 1
    return {
        name: GeneratorCount(
            made=n_kept[name] + sum(reasons.get(name, Counter()).values()),
            kept=n_kept[name],
            dropped=dict(sorted(reasons.get(name, Counter()).items())),
        )
        for name in sorted({*n_kept, *reasons})
    }
