"""PDF: lines put back together into paragraphs, lists, tables and headings, each with its page number.

`pdf_lines.py` measures the lines on a page; this file decides what they are. Text comes from the file's text layer
only: scanned pages are refused, not guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from pathlib import Path
from statistics import median

import pypdfium2 as pdfium

from workbench.corpus.assembly import Piece, assemble, choose_title, format_table
from workbench.corpus.cleaning import read_bytes, squeeze_spaces
from workbench.corpus.describing import describe
from workbench.corpus.guards import name_content
from workbench.corpus.pdf_columns import unfold_columns
from workbench.corpus.pdf_lines import LEADER, Line, drop_running_lines, read_lines, usual_size
from workbench.corpus.pdf_tables import read_table
from workbench.errors import UnreadableDocumentError
from workbench.types import BlockKind, Parsed

MAX_PAGES = 20_000
_PASSWORD_ERROR = 4  # FPDF_ERR_PASSWORD
_ITEM = re.compile(r"(?:[-–*•‣◦▪●○\uf0b7]|(\d{1,2}[.)]))\s+")
_SENTENCE_END = re.compile(r"[.!?:;…][\"'”’)\]]*$")
_JUNK_TITLE = re.compile(r"^(?:untitled|microsoft \w+ - .*|.*\.(?:docx?|pdf|tex|dvi|indd|rtf))$", re.IGNORECASE)
_HEADING_RATIO = 1.12  # of the body's font size
_MAX_SPACING = 2.3  # distance of two lines of one paragraph, in font sizes; beyond it something else begins
_MAX_HEADING_CHARACTERS = 200


def read_pdf(path: Path) -> Parsed:
    """Read a PDF. Raises UnreadableDocumentError: encrypted, damaged, cut off, no pages, or no text layer."""
    data = read_bytes(path)
    if b"%PDF-" not in data[:1024]:
        raise UnreadableDocumentError(f"{path.name} is {name_content(data) or 'something else'}, no PDF", "damaged")
    if b"%%EOF" not in data[-2048:]:  # pdfium would repair it and silently return the pages that are left
        raise UnreadableDocumentError(f"{path.name} does not end like a PDF; copy it again, it was cut off", "damaged")
    try:
        with pdfium.PdfDocument(data) as opened:
            if len(opened) > MAX_PAGES:
                message = f"{path.name} has {len(opened):,} pages, the limit is {MAX_PAGES:,}; split the file"
                raise UnreadableDocumentError(message, "too_large")
            pages = [unfold_columns(read_lines(opened, index)) for index in range(len(opened))]
            bookmarks = find_bookmarks(opened)
            properties = opened.get_metadata_dict(skip_empty=True)
    except pdfium.PdfiumError as error:
        if error.err_code == _PASSWORD_ERROR:
            message = f"{path.name} is encrypted; save a copy without its password"
            raise UnreadableDocumentError(message, "encrypted") from error
        raise UnreadableDocumentError(f"{path.name} is damaged: {error}", "damaged") from error
    return build_parsed(path, pages, bookmarks, properties)


def find_bookmarks(opened: pdfium.PdfDocument) -> set[tuple[int, str]]:
    """Return (page from 1, title key) of each bookmark; those that lead to no page of this file are left out."""
    found = set()
    for bookmark in opened.get_toc():
        target = bookmark.get_dest()
        index = target.get_index() if target is not None else None
        if index is not None:
            found.add((index + 1, _key(bookmark.get_title())))
    return found


def build_parsed(
    path: Path, pages: Sequence[Sequence[Line]], bookmarks: set[tuple[int, str]], properties: dict[str, str]
) -> Parsed:
    """Return the document made of the lines of each page. Raises UnreadableDocumentError when there are none."""
    if not pages:
        raise UnreadableDocumentError(f"{path.name} has no pages", "empty")
    if not any(pages):
        message = f"{path.name}: no text layer on its {len(pages)} pages (scanned?); OCR is not done"
        raise UnreadableDocumentError(message, "no_text")
    lines, running = drop_running_lines(pages)
    if not lines:
        lines, running = [line for page in pages for line in page], []
    text, blocks = assemble(merge_lists(find_pieces(lines, bookmarks)))
    named = properties.get("Title", "")
    title = choose_title(path, text, blocks, () if _JUNK_TITLE.match(named) else (named,))
    metadata = describe(
        text,
        format_="pdf",
        pages=len(pages),
        author=properties.get("Author"),
        subject=properties.get("Subject"),
        keywords=properties.get("Keywords"),
        created=properties.get("CreationDate"),
        modified=properties.get("ModDate"),
        pages_without_text=",".join(str(number) for number, found in enumerate(pages, 1) if not found),
        running_lines=" | ".join(running),  # taken out of the text; "#" is the page number
    )
    return Parsed(title, text, blocks, metadata)


def find_pieces(lines: Sequence[Line], bookmarks: set[tuple[int, str]]) -> Iterator[Piece]:
    """Yield the blocks: tables by their columns, headings by size, weight or bookmark, lists by their marks."""
    body_size = usual_size(lines)
    sizes = sorted({line.size for line in lines if _is_large(line, body_size)}, reverse=True)
    gap = usual_gap(lines)
    right = max(line.right for line in lines)
    marked = [(line.page, _key(line.text)) in bookmarks for line in lines]
    n = 0
    while n < len(lines):
        first = lines[n]
        rows, after = read_table(lines, n, gap) if not _ITEM.match(f"{first.cells[0]} ") else ([], n)
        if rows:
            yield Piece(format_table(rows), BlockKind.TABLE, page=first.page)
            n = after
            continue
        after = n + 1
        while after < len(lines) and not marked[n] and not marked[after]:
            if not reads_on(lines[after - 1], lines[after], gap, right):
                break
            after += 1
        text = join_lines(line.text for line in lines[n:after])
        large = _is_large(first, body_size)
        bold = first.bold and after == n + 1 and not _ends(text)
        if (large or bold or marked[n]) and len(text) <= _MAX_HEADING_CHARACTERS and LEADER not in text:
            level = sizes.index(first.size) if large else len(sizes)
            yield Piece(text, BlockKind.HEADING, min(level + 1, 6), first.page)
        else:
            yield Piece(text, BlockKind.LIST if _ITEM.match(text) else BlockKind.PARAGRAPH, page=first.page)
        n = after


def merge_lists(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Yield the pieces, neighbouring list items of one page as one list."""
    for (kind, page), members in groupby(pieces, key=lambda piece: (piece.kind, piece.page)):
        if kind is BlockKind.LIST:
            yield Piece("\n".join(piece.text for piece in members), kind, page=page)
        else:
            yield from members


def reads_on(line: Line, following: Line, gap: float, right: float) -> bool:
    """Whether `following` continues the paragraph of `line`; `gap` is the usual distance of baselines, in points."""
    if line.size != following.size or line.bold != following.bold or _ITEM.match(following.text):
        return False
    if line.page != following.page:
        return not _ends(line.text) and following.text[:1].islower()
    if not 0 < line.baseline - following.baseline <= 1.3 * max(gap, line.size):
        return line.baseline < following.baseline and not _ends(line.text)  # the next column
    return not (_ends(line.text) and line.right < 0.85 * right)


def join_lines(texts: Iterable[str]) -> str:
    """Return the lines as one: a space between two, a bullet as a dash."""
    text = squeeze_spaces(" ".join(texts))
    item = _ITEM.match(text)
    return f"- {text[item.end() :]}" if item and item[1] is None else text


def usual_gap(lines: Sequence[Line]) -> float:
    """Return the usual distance of two baselines, in points; 0 where no line follows another."""
    gaps = [
        upper.baseline - lower.baseline
        for upper, lower in pairwise(lines)
        if upper.page == lower.page and 0 < upper.baseline - lower.baseline < _MAX_SPACING * lower.size
    ]
    return median(gaps) if gaps else 0.0


def _is_large(line: Line, body_size: float) -> bool:
    return line.size >= _HEADING_RATIO * body_size and sum(map(str.isalpha, line.text)) > 1


def _ends(text: str) -> bool:
    return _SENTENCE_END.search(text) is not None


def _key(text: str) -> str:
    return squeeze_spaces(text).casefold()
