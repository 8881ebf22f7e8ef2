"""A document as units in reading order, each knowing the headings it stands under; stray text between blocks included.

The chunker packs units; it never looks at blocks, so text that no block covers cannot be lost.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from workbench.corpus.cleaning import strip_heading_marks
from workbench.corpus.contexts import find_header
from workbench.types import Block, BlockKind, Document

_NOT_BLANK = re.compile(r"\S(?:.*\S)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Unit:
    """`text[start:end]`, no blanks at its ends. `path`: the headings around it, outermost first, itself excluded.

    `header`: the header rows of a table that has them, for the chunks that start further down in it.
    """

    start: int
    end: int
    kind: BlockKind
    page: int | None
    path: tuple[str, ...]
    header: str = ""


def outline(document: Document) -> list[Unit]:
    """Return the units of a document: disjoint, in order, and together all its characters that are not blank.

    The title opens every path that would not name it otherwise.
    """
    units: list[Unit] = []
    open_headings: list[tuple[int, str]] = []  # (level, words), outermost first
    for block in _without_gaps(document):
        heading = ""
        if block.kind is BlockKind.HEADING:
            heading = strip_heading_marks(document.text[block.start : block.end])
            while open_headings and open_headings[-1][0] >= block.level:
                open_headings.pop()
        path = tuple(words for _, words in open_headings if words)
        if document.title and _key(document.title) not in map(_key, (*path, heading)):
            path = (document.title, *path)
        header = find_header(document.text[block.start : block.end]) if block.kind is BlockKind.TABLE else ""
        units.append(Unit(block.start, block.end, block.kind, block.page, path, header))
        if block.kind is BlockKind.HEADING:
            open_headings.append((block.level, heading))
    return units


def units_within(units: Sequence[Unit], start: int, end: int) -> Sequence[Unit]:
    """Return the units that share a character with [start, end)."""
    first = max(bisect_right(units, start, key=lambda unit: unit.start) - 1, 0)
    last = bisect_right(units, end - 1, key=lambda unit: unit.start)
    return [unit for unit in units[first:last] if unit.end > start]


def shared_path(units: Sequence[Unit]) -> tuple[str, ...]:
    """Return the headings that all of `units` stand under."""
    path = units[0].path
    for unit in units[1:]:
        n_shared = 0
        while n_shared < min(len(path), len(unit.path)) and path[n_shared] == unit.path[n_shared]:
            n_shared += 1
        path = path[:n_shared]
    return path


def _without_gaps(document: Document) -> Iterator[Block]:
    """Yield the blocks without their outer blanks, and a paragraph for each stretch that no block covers."""
    position = 0
    for block in sorted(document.blocks, key=lambda block: block.start):
        yield from _strip(document.text, Block(position, block.start, BlockKind.PARAGRAPH, page=block.page))
        yield from _strip(document.text, block)
        position = block.end
    yield from _strip(document.text, Block(position, len(document.text), BlockKind.PARAGRAPH))


def _strip(text: str, block: Block) -> Iterator[Block]:
    found = _NOT_BLANK.search(text, block.start, block.end)
    if found:
        yield Block(found.start(), found.end(), block.kind, block.level, block.page)


def _key(words: str) -> str:
    return " ".join(words.split()).casefold()
