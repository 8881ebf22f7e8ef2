"""Plain text: paragraphs are what blank lines part. No headings are guessed, no broken words mended.

The text is the file's own, cleaned; the encoding it was read in stands in `metadata["encoding"]`.
There is no front matter in plain text: a file that tries to say `readers` in one is refused, not shown to everybody.
"""

from __future__ import annotations

import re
from pathlib import Path

from workbench.corpus.assembly import choose_title
from workbench.corpus.cleaning import clean_text
from workbench.corpus.describing import describe, invisible_letters
from workbench.corpus.front_matter import refuse_readers
from workbench.corpus.guards import read_text
from workbench.types import Block, BlockKind, Parsed

_PARAGRAPH = re.compile(r"\S(?:.|\n(?![ \t]*(?:\n|\Z)))*")


def read_plain(path: Path) -> Parsed:
    """Read a text file. Raises UnreadableDocumentError: binary, unknown encoding, permissions it cannot say."""
    raw, encoding = read_text(path)
    text = clean_text(raw).strip()
    refuse_readers(text, path.name)
    blocks = find_paragraphs(text)
    metadata = describe(text, format_="text", encoding=encoding, hidden=[invisible_letters(raw)])
    return Parsed(choose_title(path, text, blocks), text, blocks, metadata)


def find_paragraphs(text: str) -> tuple[Block, ...]:
    """Return the paragraphs of a text, without the blanks around them."""
    return tuple(
        Block(match.start(), match.start() + len(match[0].rstrip()), BlockKind.PARAGRAPH)
        for match in _PARAGRAPH.finditer(text)
    )
