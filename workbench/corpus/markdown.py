"""Markdown: the text is the file's own source, so a span points at what its author wrote; blocks come from the parser.

Front matter (YAML between `---` lines) becomes metadata and is no part of the text.
Source: CommonMark 0.31 with GitHub's pipe tables, as markdown-it-py reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path

from markdown_it import MarkdownIt

from workbench.corpus.assembly import choose_title
from workbench.corpus.cleaning import clean_text
from workbench.corpus.describing import describe, invisible_letters, iso_date
from workbench.corpus.front_matter import split_front_matter
from workbench.corpus.guards import read_text
from workbench.errors import UnreadableDocumentError
from workbench.types import Block, BlockKind, Fact, Parsed

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
    """Read a Markdown file. Raises UnreadableDocumentError: binary, unknown encoding, unreadable permissions."""
    raw, encoding = read_text(path)
    source, front = split_front_matter(clean_text(raw), path.name)
    text = source.strip("\n").rstrip()
    try:
        blocks = find_blocks(text)
    except RecursionError as error:
        raise UnreadableDocumentError(f"{path.name} nests deeper than can be read", "damaged") from error
    title = str(front.pop("title", ""))
    own = describe(text, format_="markdown", encoding=encoding, hidden=[invisible_letters(raw)])
    # What the author says wins, but for what is measured.
    measured = {key: own[key] for key in ("format", "encoding", "hidden_characters") if key in own}
    return Parsed(choose_title(path, text, blocks, (title,)), text, blocks, own | name_dates(front) | measured)


def name_dates(front: Mapping[str, Fact]) -> dict[str, Fact]:
    """Return front matter with `created` (or its `date`) and `modified` (or its `updated`) as ISO 8601 dates."""
    dates = {
        "created": front.get("created", front.get("date")),
        "modified": front.get("modified", front.get("updated")),
    }
    return {**front, **{key: found for key, value in dates.items() if (found := iso_date(value))}}


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
