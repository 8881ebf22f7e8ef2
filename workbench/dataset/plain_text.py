"""The documents' own text as rows: windows that end where blocks do, and inside a block only where a sentence does."""

from __future__ import annotations

import re
from collections.abc import Iterator

from workbench.config import GeneratorName
from workbench.dataset.sections import Outline, split_sentences
from workbench.dataset.workshop import CountTokens, Workshop
from workbench.rows import DatasetRow, Task
from workbench.types import Block, BlockKind

_LINE = re.compile(r"[^\n]*\S[^\n]*")


def make_text_rows(shop: Workshop) -> Iterator[DatasetRow]:
    """Yield one row a window; all text of a document stands in exactly one, but for sentences longer than a window."""
    for at in shop.material.outlines:
        for start, end in cut_windows(at, shop.config.text_tokens, shop.count_tokens):
            yield shop.row(
                GeneratorName.TEXT,
                "window",
                task=Task.TEXT,
                completion=at.document.text[start:end],
                sources=at.cite([(start, end)]),
                group=at.document.id,
            )


def cut_windows(at: Outline, limit: int, count_tokens: CountTokens) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of runs of blocks of at most `limit` tokens; a longer sentence is a window of its own."""
    text = at.document.text
    pieces = [piece for block in at.document.blocks for piece in _pieces(text, block, limit, count_tokens)]
    window: tuple[int, int] | None = None
    for start, end in pieces:
        if window is not None and count_tokens(text[window[0] : end]) <= limit:
            window = (window[0], end)
            continue
        if window is not None:
            yield window
        window = (start, end)
    if window is not None:
        yield window


def _pieces(text: str, block: Block, limit: int, count_tokens: CountTokens) -> Iterator[tuple[int, int]]:
    if not text[block.start : block.end].strip():
        return
    if count_tokens(text[block.start : block.end]) <= limit:
        yield block.start, block.end
    elif block.kind in (BlockKind.TABLE, BlockKind.LIST, BlockKind.CODE):
        yield from ((match.start(), match.end()) for match in _LINE.finditer(text, block.start, block.end))
    else:
        yield from ((one.start, one.end) for one in split_sentences(text, block.start, block.end))
