"""Markdown: the text is the file's own source, so a span points at what its author wrote; blocks come from the parser.

Front matter (`---` lines with `key: value`) becomes metadata and is no part of the text.
Source: CommonMark 0.31 with GitHub's pipe tables, as markdown-it-py reads them.
"""

from __future__ import annotations

import re
from itertools import accumulate
from pathlib import Path

from markdown_it import MarkdownIt

from workbench.corpus.assembly import choose_title
from workbench.corpus.cleaning import clean_text, decode_text, read_bytes
from workbench.types import Block, BlockKind, Parsed

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n((?:[A-Za-z_][\w -]*:.*\n|[ \t-].*\n|\n)*)(?:---|\.\.\.)[ \t]*(?:\n|\Z)")
_FRONT_LINE = re.compile(r"^([A-Za-z_][\w -]*):[ \t]+(\S.*?)[ \t]*$", re.MULTILINE)
_KINDS = {
    "heading_open": BlockKind.HEADING,
    "paragraph_open": BlockKind.PARAGRAPH,
    "blockquote_open": BlockKind.PARAGRAPH,
    "html_block": BlockKind.PARAGRAPH,
    "bullet_list_open": BlockKind.LIST,
    "ordered_list_open": BlockKind.LIST,
    "table_open": BlockKind.TABLE,
    "fence": BlockKind.CODE,
    "code_block": BlockKind.CODE,
}


def read_markdown(path: Path) -> Parsed:
    """Read a Markdown file. Raises UnreadableDocumentError for binary files and unknown encodings."""
    raw, encoding = decode_text(read_bytes(path), path.name)
    source, front = split_front_matter(clean_text(raw))
    text = source.strip("\n").rstrip()
    blocks = find_blocks(text)
    title = choose_title(path, text, blocks, (front.get("title"),))
    return Parsed(title, text, blocks, {**front, "format": "markdown", "encoding": encoding})


def split_front_matter(source: str) -> tuple[str, dict[str, str]]:
    """Return the text after the front matter, and its one-line entries without their quotes."""
    match = _FRONT_MATTER.match(source)
    if match is None:
        return source, {}
    entries = {key.strip().lower(): value.strip("\"'") for key, value in _FRONT_LINE.findall(match[1])}
    return source[match.end() :], entries


def find_blocks(text: str) -> tuple[Block, ...]:
    """Return the top-level blocks of Markdown `text`, in order, without the blank lines around them."""
    parser = MarkdownIt("commonmark").enable("table")
    parser.core.ruler.enableOnly(["normalize", "block"])  # structure is all we need: inline parsing is most of the time
    line_starts = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
    blocks = []
    for token in parser.parse(text):
        kind = _KINDS.get(token.type)
        if kind is None or token.level or token.map is None:
            continue
        first, last = token.map
        raw = text[line_starts[first] : line_starts[last]]
        start = line_starts[first] + len(raw) - len(raw.lstrip())
        end = line_starts[first] + len(raw.rstrip())
        if start < end:
            level = int(token.tag[1]) if kind is BlockKind.HEADING else 0
            blocks.append(Block(start, end, kind, level))
    return tuple(blocks)
