"""Tables as wholes: which rows, which columns, what a row holds, look-ups between any two columns.

A cell by its row and column is a fact, in many forms: `grids.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import permutations

from workbench.config import GeneratorName
from workbench.dataset.facts import source_of
from workbench.dataset.grids import Grid, name_of_row, read_grid
from workbench.dataset.sections import Outline, Section
from workbench.dataset.workshop import Workshop
from workbench.rows import DatasetRow

_MAX_ROWS = 12  # that an answer lists
_MAX_COLUMNS = 5  # between which rows are looked up


def make_table_rows(shop: Workshop) -> Iterator[DatasetRow]:
    """Yield rows for each table with a header."""
    for at in shop.material.outlines:
        for section in at.sections:
            for start, end in section.tables:
                grid = read_grid(at.document.text, start, end)
                if grid is not None:
                    yield from _whole(shop, at, section, grid)
                    yield from _look_ups(shop, at, section, grid)


def _whole(shop: Workshop, at: Outline, section: Section, grid: Grid) -> Iterator[DatasetRow]:
    name = GeneratorName.TABLES
    place = f"“{section.heading or at.title}” ({at.topic})"
    key = grid.header[0].lower() or "row"
    span = [(grid.rows[0][0].start, grid.rows[-1][-1].end)]
    if len(grid.rows) <= _MAX_ROWS:
        labels = "; ".join(row[0].text for row in grid.rows)
        yield shop.ask(
            name,
            "labels",
            at.cite(span),
            f"What stands in the column “{grid.header[0]}” of the table under {place}?",
            labels,
        )
    yield shop.ask(name, "count", at.cite(span), f"How many rows has the table under {place}?", str(len(grid.rows)))
    columns = "; ".join(filter(None, grid.header))
    yield shop.ask(name, "columns", at.cite(span), f"Which columns has the table under {place}?", columns)
    for row in grid.rows:
        held = "; ".join(
            f"{column}: {cell.text}" for column, cell in zip(grid.header[1:], row[1:], strict=True) if cell.text
        )
        spans = [(row[0].start, row[-1].end)]
        yield shop.ask(
            name, "row", at.cite(spans), f"What does the table under {place} say of {key} {row[0].text}?", held
        )


def _look_ups(shop: Workshop, at: Outline, section: Section, grid: Grid) -> Iterator[DatasetRow]:
    """Yield a look-up for each ordered pair of columns whose first one tells the rows apart."""
    source = source_of(at, section)
    for one, other in permutations(range(min(len(grid.header), _MAX_COLUMNS)), 2):
        counts = Counter(row[one].text for row in grid.rows)
        for row in grid.rows:
            known, wanted = row[one], row[other]
            if not known.text or not wanted.text or counts[known.text] > 1:
                continue
            shown = (
                name_of_row(grid.header[one], known.text) if one == 0 else f"{grid.header[one].lower()} “{known.text}”"
            )
            asked = f"{source.place}: which {grid.header[other].lower() or 'row'} goes with {shown}?"
            spans = [(wanted.start, wanted.end), (known.start, known.end)]
            yield shop.ask(GeneratorName.TABLES, "look_up", at.cite(spans), asked, wanted.text)
