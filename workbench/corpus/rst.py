"""reStructuredText: headings, paragraphs, lists, code and tables, as docutils reads them, with nothing executed.

File insertion, raw output, configuration files and the network are off. Directives that only Sphinx knows are opened:
their content is read, their name and options are not. The text is rendered, with lists and tables as in Markdown.
Source: docutils' reStructuredText specification.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from textwrap import dedent
from typing import Any

from workbench.corpus.assembly import Piece, assemble, choose_title, format_table
from workbench.corpus.cleaning import clean_text, squeeze_spaces
from workbench.corpus.describing import describe, invisible_letters
from workbench.corpus.front_matter import split_front_matter
from workbench.corpus.guards import read_text
from workbench.corpus.markdown import name_dates
from workbench.corpus.tables import check_size
from workbench.errors import UnreadableDocumentError
from workbench.types import BlockKind, Parsed

Node = Any  # a docutils node; docutils ships no types

MAX_CHARACTERS = 4_000_000  # docutils takes a second for half a million
_MAX_OPENED = 3  # directives inside directives
_SETTINGS = {
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "_disable_config": True,
    "report_level": 5,
    "halt_level": 5,
    "syntax_highlight": "none",
    "smart_quotes": False,
    "input_encoding": "unicode",
    "line_length_limit": MAX_CHARACTERS,
}
_DIRECTIVE = re.compile(r"\.\. (?!include|raw|literalinclude)[^\n]*?::([^\n]*)\n?")  # those three stay as they are
_OPTION = re.compile(r":[\w-]+:.*")
_DATES = {"created": ("date",), "modified": ("updated", "last modified")}
_LISTS = ("bullet_list", "enumerated_list", "definition_list", "field_list", "option_list")


def read_rst(path: Path) -> Parsed:
    """Read a reStructuredText file. Raises UnreadableDocumentError: binary, encoding, permissions, length, depth."""
    raw, encoding = read_text(path)
    source, front = split_front_matter(clean_text(raw), path.name)
    if len(source) > MAX_CHARACTERS:
        message = (
            f"{path.name} has {len(source):,} characters, the limit for .rst is {MAX_CHARACTERS:,}; split the file"
        )
        raise UnreadableDocumentError(message, "too_large")
    try:
        tree = parse(source)
        text, blocks = assemble(read_nodes(tree, level=1))
    except UnreadableDocumentError:
        raise
    except Exception as error:  # docutils' transforms raise what they meet, RecursionError for one
        message = f"{path.name} cannot be parsed: {type(error).__name__}: {error}"
        raise UnreadableDocumentError(message, "damaged") from error
    check_readers(tree, path.name)
    fields = read_fields(tree)
    title = str(front.pop("title", "")) or fields.pop("title", "")
    own = describe(text, format_="rst", encoding=encoding, hidden=[invisible_letters(raw)])
    measured = {key: own[key] for key in ("format", "encoding", "hidden_characters") if key in own}
    return Parsed(choose_title(path, text, blocks, (title,)), text, blocks, own | name_dates(fields | front) | measured)


def parse(source: str) -> Node:
    """Return the document tree of a source; what it complains about goes nowhere."""
    from docutils.core import publish_doctree

    return publish_doctree(source, settings_overrides={**_SETTINGS, "warning_stream": StringIO()})


def read_fields(tree: Node) -> dict[str, str]:
    """Return the bibliographic fields at the top (author, date, version ...), keys in lower case."""
    found: dict[str, str] = {}
    for info in tree.children:
        if info.tagname == "docinfo":
            for field in info.children:
                if field.tagname == "field":
                    found[field[0].astext().lower()] = squeeze_spaces(field[1].astext())
                elif field.tagname != "address":
                    found[field.tagname] = squeeze_spaces(field.astext())
    return found


def check_readers(tree: Node, name: str) -> None:
    """Raise UnreadableDocumentError where a field `readers` stands that `read_fields` does not find, or two do."""
    fields = tree.findall(lambda node: node.tagname == "field")
    parents = [field.parent.tagname for field in fields if field[0].astext().strip().casefold() == "readers"]
    if parents not in ([], ["docinfo"]):
        message = f"{name}: a field `readers` counts once, right at the top or under the only title; move it there"
        raise UnreadableDocumentError(message, "permissions")


def read_nodes(parent: Node, *, level: int, opened: int = 0) -> Iterator[Piece]:
    """Yield the blocks below a node in order; `level` is that of its title."""
    for node in parent.children:
        match node.tagname:
            case "title" | "subtitle" | "rubric":
                own = level if node.tagname == "title" else level + 1
                yield Piece(squeeze_spaces(node.astext()), BlockKind.HEADING, min(own, 6))
            case "section":
                deeper = level + any(child.tagname == "title" for child in parent.children)
                yield from read_nodes(node, level=deeper, opened=opened)
            case "literal_block" | "doctest_block" | "math_block":
                yield Piece(node.astext(), BlockKind.CODE)
            case "table":
                yield from read_table(node)
            case "system_message":
                yield from open_directive(node, level, opened)
            case "comment" | "docinfo" | "substitution_definition" | "target" | "meta" | "pending" | "Text":
                pass
            case tag if tag in _LISTS:
                yield Piece("\n".join(list_items(node, 0)), BlockKind.LIST)
            case "paragraph" | "term" | "caption" | "attribution" | "line" | "image":
                yield Piece(squeeze_spaces(node.astext()), BlockKind.PARAGRAPH)
            case _:  # quotes, notes, figures, line blocks, containers
                yield from read_nodes(node, level=level, opened=opened)


def open_directive(message: Node, level: int, opened: int) -> Iterator[Piece]:
    """Yield the content of a directive docutils does not know; nothing for any other complaint."""
    for literal in message.children:
        if literal.tagname != "literal_block":
            continue
        source = literal.astext()
        match = _DIRECTIVE.match(source)
        if match is None or opened >= _MAX_OPENED:
            yield Piece(source, BlockKind.CODE)
            continue
        lines = dedent(source[match.end() :]).split("\n")
        while lines and _OPTION.fullmatch(lines[0].strip()):
            lines.pop(0)
        content = "\n\n".join(part for part in (match[1].strip(), "\n".join(lines)) if part)
        yield from read_nodes(parse(content), level=level + 1, opened=opened + 1)


def list_items(top: Node, depth: int) -> Iterator[str]:
    """Yield one line an item, marked and indented as in Markdown; nested lists follow their item."""
    for number, item in enumerate((child for child in top.children if child.tagname != "system_message"), 1):
        inner = [child for child in item.children if child.tagname in _LISTS]
        nested = [grand for child in item.children for grand in child.children if grand.tagname in _LISTS]
        words = (words_of(child) for child in item.children if child not in inner)
        mark = f"{number}." if top.tagname == "enumerated_list" else "-"
        joint = ": " if top.tagname not in ("bullet_list", "enumerated_list") else " "
        if line := joint.join(filter(None, words)):
            yield f"{'  ' * depth}{mark} {line}"
        for child in (*inner, *nested):
            yield from list_items(child, depth + 1)


def words_of(node: Node) -> str:
    """Return the words below a node on one line, without those of lists in it."""
    if not node.children or node.tagname in ("paragraph", "term", "field_name", "literal_block"):
        return squeeze_spaces(node.astext())
    return " ".join(filter(None, (words_of(child) for child in node.children if child.tagname not in _LISTS)))


def read_table(table: Node) -> Iterator[Piece]:
    """Yield a table's caption and the table; a cell that spans stands in each place it spans."""
    rows: list[list[str]] = []
    for child in table.children:
        if child.tagname == "title":
            yield Piece(squeeze_spaces(child.astext()), BlockKind.PARAGRAPH)
    for row in table.findall(lambda node: node.tagname == "row"):
        cells: list[str] = []
        for entry in row.children:
            cells += [squeeze_spaces(entry.astext())] * (1 + int(entry.get("morecols", 0)))
        rows.append(cells)
    check_size(len(rows), max(map(len, rows), default=0), "table")
    yield Piece(format_table(rows), BlockKind.TABLE)
