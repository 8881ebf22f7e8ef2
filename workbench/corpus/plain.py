"""Plain text: paragraphs are what blank lines part. No headings are guessed.

The text is the file's own, cleaned; the encoding it was read in stands in `metadata["encoding"]`.
"""

from __future__ import annotations

import re
from pathlib import Path

from workbench.corpus.assembly import choose_title
from workbench.corpus.cleaning import clean_text, decode_text, read_bytes
from workbench.types import Block, BlockKind, Parsed

_PARAGRAPH = re.compile(r"\S(?:.|\n(?![ \t]*(?:\n|\Z)))*")


def read_plain(path: Path) -> Parsed:
    """Read a text file. Raises UnreadableDocumentError for binary files and unknown encodings."""
    raw, encoding = decode_text(read_bytes(path), path.name)
    text = clean_text(raw).strip()
    blocks = tuple(
        Block(match.start(), match.start() + len(match[0].rstrip()), BlockKind.PARAGRAPH)
        for match in _PARAGRAPH.finditer(text)
    )
    return Parsed(choose_title(path, text, blocks), text, blocks, {"format": "text", "encoding": encoding})
