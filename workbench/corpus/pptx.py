"""PPTX: each slide a page; its title a heading, its text boxes paragraphs and lists, its tables, its notes.

Shapes are read as they are stacked, which is how they were made and mostly how they are read; groups are opened.
Hidden slides are left out and counted. Not read: charts, pictures, SmartArt, comments, animations.
Source: ECMA-376 part 1, section 19 (PresentationML), through python-pptx.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from workbench.corpus.assembly import Piece, assemble, choose_title, format_table
from workbench.corpus.cleaning import read_bytes, squeeze_spaces
from workbench.corpus.describing import describe
from workbench.corpus.guards import check_xml, open_archive
from workbench.corpus.tables import check_size
from workbench.errors import UnreadableDocumentError
from workbench.types import BlockKind, Parsed

Shape = Any  # a python-pptx shape; python-pptx ships no types
Slide = Any

MAX_SLIDES = 5_000
_DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_BULLETS = {f"{_DRAWING}buChar": "-", f"{_DRAWING}buAutoNum": "1."}
_FURNITURE = {"DATE", "FOOTER", "SLIDE_NUMBER", "HEADER"}  # placeholders that every slide repeats
_TITLES = {"TITLE", "CENTER_TITLE", "VERTICAL_TITLE"}
_LISTS = {"OBJECT", "VERTICAL_OBJECT"}  # placeholders that show bullets unless they are told not to


def read_pptx(path: Path) -> Parsed:
    """Read a presentation. Raises UnreadableDocumentError: none, password, unpacks too large, no text."""
    from pptx import Presentation

    archive = open_archive(read_bytes(path), path.name, member="ppt/", format_="PowerPoint file")
    check_xml(archive, path.name)
    try:
        opened = Presentation(archive.fp)
        slides = list(opened.slides)
        if len(slides) > MAX_SLIDES:
            message = f"{path.name} has {len(slides):,} slides, the limit is {MAX_SLIDES:,}; split the file"
            raise UnreadableDocumentError(message, "too_large")
        pieces = [piece for n, slide in enumerate(slides, 1) if is_shown(slide) for piece in read_slide(slide, n)]
        hidden = [p.text for n, slide in enumerate(slides, 1) if not is_shown(slide) for p in read_slide(slide, n)]
        facts = opened.core_properties
        named = {key: getattr(facts, key) for key in ("author", "subject", "keywords", "created", "modified")}
    except UnreadableDocumentError:
        raise
    except Exception as error:  # python-pptx lets lxml's, zipfile's and its own errors through, and KeyError
        message = f"{path.name} is not a whole PowerPoint file: {type(error).__name__}: {error}"
        raise UnreadableDocumentError(message, "damaged") from error
    text, blocks = assemble(pieces)
    if not text:
        raise UnreadableDocumentError(f"{path.name} holds no text on its {len(slides)} slides", "no_text")
    metadata = describe(text, format_="pptx", pages=len(slides), hidden=hidden, **named)
    own = "" if facts.title == "PowerPoint Presentation" else facts.title
    return Parsed(choose_title(path, text, blocks, (own,)), text, blocks, metadata)


def is_shown(slide: Slide) -> bool:
    """Whether the slide is part of the show."""
    return slide.element.get("show") not in ("0", "false")


def read_slide(slide: Slide, page: int) -> Iterator[Piece]:
    """Yield the slide's blocks, its title first, its notes last; a title slide's title is the level-1 heading."""
    shapes = list(open_groups(slide.shapes))
    titles = [shape for shape in shapes if place_of(shape) in _TITLES]
    for shape in titles:
        level = 1 if page == 1 else 2
        yield Piece(squeeze_spaces(shape.text_frame.text), BlockKind.HEADING, level, page)
    for shape in shapes:
        if shape in titles or place_of(shape) in _FURNITURE:
            continue
        if getattr(shape, "has_table", False):
            rows = [[cell.text_frame.text for cell in row.cells] for row in shape.table.rows]
            check_size(len(rows), max(map(len, rows), default=0), f"slide {page}")
            yield Piece(format_table(rows), BlockKind.TABLE, page=page)
        elif shape.has_text_frame:
            yield from read_frame(shape.text_frame, page, bullets=place_of(shape) in _LISTS)
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        yield from read_frame(slide.notes_slide.notes_text_frame, page, bullets=False)


def open_groups(shapes: Any) -> Iterator[Shape]:
    """Yield the shapes in order, those of groups in their group's place."""
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from open_groups(shape.shapes)
        else:
            yield shape


def read_frame(frame: Any, page: int, *, bullets: bool) -> Iterator[Piece]:
    """Yield the paragraphs of a text frame; neighbouring bullet points make one list."""
    marked = [(mark_of(paragraph, bullets), paragraph) for paragraph in frame.paragraphs]
    for is_list, members in groupby(marked, key=lambda pair: bool(pair[0])):
        if is_list:
            lines = [
                f"{'  ' * paragraph.level}{mark} {words}"
                for mark, paragraph in members
                if (words := squeeze_spaces(paragraph.text))
            ]
            yield Piece("\n".join(lines), BlockKind.LIST, page=page)
        else:
            for _, paragraph in members:
                yield Piece(squeeze_spaces(paragraph.text), BlockKind.PARAGRAPH, page=page)


def mark_of(paragraph: Any, bullets: bool) -> str:
    """Return the mark a list item gets; empty for a plain paragraph."""
    properties = paragraph._p.pPr
    if properties is not None:
        if properties.find(f"{_DRAWING}buNone") is not None:
            return ""
        for tag, mark in _BULLETS.items():
            if properties.find(tag) is not None:
                return mark
    return "-" if bullets or paragraph.level else ""


def place_of(shape: Shape) -> str:
    """Return the kind of placeholder the shape fills, in capitals; empty for a shape of its own."""
    if not shape.is_placeholder:
        return ""
    kind = shape.placeholder_format.type
    return kind.name if kind is not None else ""
