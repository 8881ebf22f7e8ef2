"""Tables to grids of cells with their places, and cells to facts: a value by its row and its column.

Reads pipe tables, and columns of plain text that stand two spaces apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from workbench.dataset.facts import Fact, FactKind, Source
from workbench.dataset.sections import Stretch
from workbench.dataset.values import ValueKind
from workbench.dataset.words import one_line, word_set

_GENERIC = word_set("item items property properties parameter feature value values setting figure data specification")
_RULE = re.compile(r"\s*\|?[\s:|=-]+\|?\s*")
MAX_CELL_WORDS = 14  # a longer cell is prose, not a value


@dataclass(frozen=True, slots=True)
class Grid:
    """A table with a header: all rows are as wide as it; the first column names the row."""

    header: tuple[str, ...]
    rows: tuple[tuple[Stretch, ...], ...]


def read_grid(text: str, start: int, end: int) -> Grid | None:
    """Return the table in `text[start:end]`; None where it has no header with two columns, or no row."""
    lines = list(_lines(text, start, end))
    piped = sum("|" in text[a:b] for a, b in lines) * 2 >= len(lines)
    rows = [
        tuple(_cells(text, a, b, piped=piped)) for a, b in lines if not _RULE.fullmatch(text[a:b]) and text[a:b].strip()
    ]
    if len(rows) < 2 or len(rows[0]) < 2:
        return None
    width = len(rows[0])
    whole = tuple(row for row in rows[1:] if len(row) == width and row[0].text)
    return Grid(tuple(cell.text for cell in rows[0]), whole) if whole else None


def cell_facts(source: Source, grid: Grid) -> Iterator[Fact]:
    """Yield a fact for each filled cell outside the first column, and one for the row's name by the cell beside it."""
    for row in grid.rows:
        head, beside = grid.header[0], row[1]
        if head.lower() not in _GENERIC and head and beside.text and len(row[0].text.split()) <= MAX_CELL_WORDS:
            subject, attribute = f"“{beside.text}”", _uncapitalised(head)
            yield relation_fact(
                FactKind.CELL, source, subject, attribute, row[0], statement=(row[0].start, row[-1].end)
            )
        for column in range(1, len(grid.header)):
            cell = row[column]
            if cell.text and len(cell.text.split()) <= MAX_CELL_WORDS:
                subject, attribute = _relation(source, grid.header, row, column)
                yield relation_fact(
                    FactKind.CELL, source, subject, attribute, cell, statement=(row[0].start, row[-1].end)
                )


def relation_fact(
    kind: FactKind, source: Source, subject: str, attribute: str, value: Stretch, *, statement: tuple[int, int]
) -> Fact:
    """Return the fact that the `attribute` of `subject` is `value`."""
    return Fact(
        kind=kind,
        value_kind=ValueKind.NUMBER if value.text[:1].isdigit() else ValueKind.PHRASE,
        source=source,
        value=value.text,
        start=value.start,
        end=value.end,
        statement_start=statement[0],
        statement_end=statement[1],
        before=f"The {attribute} of {subject} is ",
        after=".",
        subject=subject,
        attribute=attribute,
    )


def name_of_row(header: str, label: str) -> str:
    """Return what a row is called in a sentence: "code C-179", "channel 2", but "Corvel 12"."""
    has_words = re.search(r"[a-z]{3,}", label) is not None
    generic = header.lower() in _GENERIC
    return label if has_words or generic or not header else f"{_uncapitalised(header)} {label}"


def _relation(source: Source, header: tuple[str, ...], row: tuple[Stretch, ...], column: int) -> tuple[str, str]:
    """Return (subject, attribute) of a cell. In "Item | Value" the row names the attribute, else the column does."""
    key, name = header[0], header[column]
    if key.lower() in _GENERIC or name.lower() in _GENERIC:
        subject = source.about if name.lower() in _GENERIC or len(header) == 2 else name
        return subject, _uncapitalised(row[0].text)
    return name_of_row(key, row[0].text), _uncapitalised(name)


def _uncapitalised(text: str) -> str:
    """Return a header as it stands in a sentence: "First action" → "first action", but "PTFE" as it is."""
    return text[:1].lower() + text[1:] if text[1:2].islower() or len(text) == 1 else text


def _lines(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    for match in re.finditer(r"[^\n]+", text[start:end]):
        yield start + match.start(), start + match.end()


def _cells(text: str, start: int, end: int, *, piped: bool) -> Iterator[Stretch]:
    pattern = r"(?<!\\)\|" if piped else r" {2,}|\t+"
    line = text[start:end]
    if piped:
        stripped = line.strip()
        start += line.index(stripped[0]) + (1 if stripped.startswith("|") else 0)
        end -= len(line) - len(line.rstrip()) + (1 if stripped.endswith("|") else 0)
    place = start
    for match in re.finditer(pattern, text[start:end]):
        yield _cell(text, place, start + match.start())
        place = start + match.end()
    yield _cell(text, place, end)


def _cell(text: str, start: int, end: int) -> Stretch:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return Stretch(start, end, one_line(text[start:end]))
