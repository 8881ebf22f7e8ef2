"""DOCX: paragraphs, headings by style, lists and tables in the order of the body; core properties become metadata.

Read from the XML that python-docx opens, not from its `Paragraph.text`, which leaves out tracked insertions and
content controls. Not read: headers, footers, footnotes, comments, deleted text. Text set to hidden is left out and
counted in `metadata["hidden_characters"]`.
Source: ECMA-376 part 1, section 17 (WordprocessingML).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import docx
from docx.oxml.ns import qn

from workbench.corpus.assembly import Piece, assemble, choose_title, format_table
from workbench.corpus.cleaning import read_bytes
from workbench.corpus.describing import describe
from workbench.corpus.guards import check_xml, open_archive
from workbench.errors import UnreadableDocumentError
from workbench.types import BlockKind, Parsed

Element = Any  # an lxml element; lxml ships no types

_HEADING_STYLE = re.compile(r"heading ([1-9])$")
_BLOCKS, _ROWS, _CELLS = frozenset({qn("w:p"), qn("w:tbl")}), frozenset({qn("w:tr")}), frozenset({qn("w:tc")})
_DELETED_ROW, _DELETED_CELL = f"{qn('w:trPr')}/{qn('w:del')}", f"{qn('w:tcPr')}/{qn('w:cellDel')}"
_WRAPPERS = {qn("w:sdt"), qn("w:sdtContent"), qn("w:ins"), qn("w:moveTo"), qn("w:customXml"), qn("w:smartTag")}
_SKIPPED = {qn("w:del"), qn("w:moveFrom"), qn("w:rPr"), qn("w:pPr")}
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"  # repeats the text of its Choice
_RUN, _UNREADABLE_HALF_POINTS = qn("w:r"), 4  # print of two points and below is there to be overlooked
_MARKS = {qn("w:tab"): "\t", qn("w:br"): "\n", qn("w:cr"): "\n", qn("w:noBreakHyphen"): "-"}


def read_docx(path: Path) -> Parsed:
    """Read a Word file. Raises UnreadableDocumentError: not a Word file, password, unpacks too large, no text."""
    archive = open_archive(read_bytes(path), path.name, member="word/", format_="Word file")
    check_xml(archive, path.name)
    try:
        opened = docx.Document(archive.fp)
        styles = {style.style_id: (style.name or "").lower() for style in opened.styles if style.style_id}
        body = opened.element.body
        text, blocks = assemble(read_body(body, styles))
        facts = opened.core_properties
        named = {key: getattr(facts, key) for key in ("author", "subject", "keywords", "created", "modified")}
    except Exception as error:  # python-docx lets lxml's, zipfile's and its own errors through, and KeyError
        message = f"{path.name} is not a whole Word file: {type(error).__name__}: {error}"
        raise UnreadableDocumentError(message, "damaged") from error
    if not text:
        raise UnreadableDocumentError(f"{path.name} holds no text (pictures only?)", "no_text")
    titles = [find_text(p) for p in body.iter(qn("w:p")) if style_of(p, styles) == "title"]
    hidden = ["".join(t.text or "" for t in run.iter(qn("w:t"))) for run in body.iter(_RUN) if is_hidden(run)]
    metadata = describe(text, format_="docx", hidden=hidden, language=facts.language, **named)
    return Parsed(choose_title(path, text, blocks, (*titles, facts.title)), text, blocks, metadata)


def read_body(body: Element, styles: dict[str, str]) -> Iterator[Piece]:
    """Yield the blocks of the body in order; neighbouring list paragraphs make one list."""
    for is_list, members in groupby(find_members(body), key=lambda member: list_depth(member, styles) is not None):
        if is_list:
            yield Piece("\n".join(mark_items(members, styles)), BlockKind.LIST)
            continue
        for member in members:
            style = style_of(member, styles)
            heading = _HEADING_STYLE.match(style)
            if member.tag == qn("w:tbl"):
                yield Piece(format_table(read_rows(member)), BlockKind.TABLE)
            elif style == "title" or heading:
                yield Piece(find_text(member), BlockKind.HEADING, min(int(heading[1]), 6) if heading else 1)
            elif not style.startswith("toc "):
                yield Piece(find_text(member), BlockKind.PARAGRAPH)


def find_members(parent: Element, tags: frozenset[str] = _BLOCKS) -> Iterator[Element]:
    """Yield the elements of `tags` in `parent`, content controls and tracked insertions opened."""
    for child in parent:
        if child.tag in tags:
            yield child
        elif child.tag in _WRAPPERS:
            yield from find_members(child, tags)


def read_rows(table: Element) -> list[list[str]]:
    """Return the text of each cell, row by row; rows and cells whose deletion is tracked are left out."""
    rows = (row for row in find_members(table, _ROWS) if row.find(_DELETED_ROW) is None)
    return [[read_cell(c) for c in find_members(row, _CELLS) if c.find(_DELETED_CELL) is None] for row in rows]


def read_cell(cell: Element) -> str:
    """Return the words of a cell; a table inside it is part of it."""
    texts: list[str] = []
    for member in find_members(cell):
        texts += [find_text(member)] if member.tag == qn("w:p") else chain.from_iterable(read_rows(member))
    return " ".join(texts)


def find_text(paragraph: Element) -> str:
    """Return what a person reads in a paragraph: insertions in, deletions and drawing fallbacks out."""
    parts: list[str] = []
    stack = [paragraph]
    while stack:
        element = stack.pop()
        if element.tag == qn("w:t"):
            parts.append(element.text or "")
        elif element.tag in _MARKS:
            parts.append(_MARKS[element.tag])
        elif element.tag not in _SKIPPED and element.tag != _FALLBACK and not is_hidden(element):
            stack.extend(reversed(element))
    return "".join(parts).strip()


def is_hidden(run: Element) -> bool:
    """Whether this is a run of text that Word does not show, or in print too small to be read."""
    properties = run.find(qn("w:rPr")) if run.tag == _RUN else None
    if properties is None:
        return False
    vanish, size = properties.find(qn("w:vanish")), properties.find(qn("w:sz"))
    if vanish is not None and vanish.get(qn("w:val")) not in ("0", "false", "off"):
        return True
    points = size.get(qn("w:val"), "") if size is not None else ""
    return points.isdecimal() and int(points) <= _UNREADABLE_HALF_POINTS


def style_of(member: Element, styles: dict[str, str]) -> str:
    """Return the style's name in lower case; empty where there is none. Names stay English in translated Word."""
    found = member.find(f"{qn('w:pPr')}/{qn('w:pStyle')}")
    return styles.get(found.get(qn("w:val")), "") if found is not None else ""


def list_depth(member: Element, styles: dict[str, str]) -> int | None:
    """Return how deep a list paragraph is nested, from 0; None for anything else."""
    style = style_of(member, styles)
    numbering = member.find(f"{qn('w:pPr')}/{qn('w:numPr')}")
    if _HEADING_STYLE.match(style) or (numbering is None and not style.startswith("list ")):
        return None
    level = numbering.find(qn("w:ilvl")) if numbering is not None else None
    if level is not None:
        return int(level.get(qn("w:val")))
    return int(style[-1]) - 1 if style[-1:].isdigit() else 0


def mark_items(members: Iterator[Element], styles: dict[str, str]) -> Iterator[str]:
    """Yield one line an item: numbered where the style says so, otherwise a dash; indented by its depth."""
    number = 0
    for member in members:
        text = " ".join(find_text(member).split())
        if text:
            numbered = style_of(member, styles).startswith("list number")
            number = number + 1 if numbered else 0
            yield "  " * (list_depth(member, styles) or 0) + (f"{number}. " if numbered else "- ") + text
