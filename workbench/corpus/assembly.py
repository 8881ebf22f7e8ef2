"""Pieces of a document in reading order → one text with exact block spans, for the readers that render their own text.

Not used by Markdown, whose text is its source and whose spans come from the parser.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from workbench.corpus.cleaning import clean_text, squeeze_spaces, strip_heading_marks
from workbench.types import Block, BlockKind


class Piece(NamedTuple):
    """One block before it has a place in the text."""

    text: str
    kind: BlockKind
    level: int = 0  # 1-6 for headings, 0 otherwise
    page: int | None = None


def assemble(pieces: Iterable[Piece]) -> tuple[str, tuple[Block, ...]]:
    """Return the cleaned text, blank lines between its pieces, and one block a piece; blank pieces are left out."""
    parts: list[str] = []
    blocks: list[Block] = []
    start = 0
    for piece in pieces:
        text = clean_text(piece.text).strip()
        if text:
            blocks.append(Block(start, start + len(text), piece.kind, piece.level, piece.page))
            parts.append(text)
            start += len(text) + 2
    return "\n\n".join(parts), tuple(blocks)


def format_table(rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown pipe table, the first row as its header; short rows are filled with empty cells."""
    width = max((len(row) for row in rows), default=0)
    lines = []
    for row in rows:
        cells = [squeeze_spaces(clean_text(cell)).replace("|", "\\|") for cell in row]
        lines.append("| " + " | ".join(cells + [""] * (width - len(cells))) + " |")
    lines.insert(1, "|" + " --- |" * width)
    return "\n".join(lines) if width else ""


def choose_title(path: Path, text: str, blocks: Iterable[Block], candidates: Iterable[str | None] = ()) -> str:
    """Return the first candidate that says something, else the first level-1 heading, else the file's name."""
    headings = (text[b.start : b.end] for b in blocks if b.kind is BlockKind.HEADING and b.level == 1)
    for candidate in (*candidates, *headings):
        if candidate and (title := strip_heading_marks(clean_text(candidate))):
            return title
    return path.stem
