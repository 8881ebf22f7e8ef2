"""PDF: lines put back together into paragraphs, lists, tables and headings, each with its page number.

`pdf_lines.py` measures the lines on a page; this file decides what they are. Text comes from the file's text layer
only: scanned pages are refused, not guessed. Table cells that wrap over several lines are read as paragraphs.
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
from workbench.corpus.pdf_lines import Line, drop_running_lines, read_lines
from workbench.errors import UnreadableDocumentError
from workbench.types import BlockKind, Parsed

_PASSWORD_ERROR = 4  # FPDF_ERR_PASSWORD
_ITEM = re.compile(r"(?:[-–*•‣◦▪●○\uf0b7]|(\d{1,2}[.)]))\s+")
_SENTENCE_END = re.compile(r"[.!?:;…][\"'”’)\]]*$")
_JUNK_TITLE = re.compile(r"^(?:untitled|microsoft \w+ - .*|.*\.(?:docx?|pdf|tex|dvi|indd|rtf))$", re.IGNORECASE)
_HEADING_RATIO = 1.12  # of the body's character height
_MAX_HEADING_CHARACTERS = 200


def read_pdf(path: Path) -> Parsed:
    """Read a PDF. Raises UnreadableDocumentError: encrypted, damaged, cut off, no pages, or no text layer."""
    data = read_bytes(path)
    if b"%%EOF" not in data[-2048:]:  # pdfium would repair it and silently return the pages that are left
        raise UnreadableDocumentError(f"{path.name} does not end like a PDF; copy it again, it was cut off", "damaged")
    try:
        with pdfium.PdfDocument(data) as opened:
            pages = [read_lines(opened, index) for index in range(len(opened))]
            bookmarks = {(b.get_dest().get_index() + 1, _key(b.get_title())) for b in opened.get_toc() if b.get_dest()}
            properties = opened.get_metadata_dict(skip_empty=True)
    except pdfium.PdfiumError as error:
        if error.err_code == _PASSWORD_ERROR:
            message = f"{path.name} is encrypted; save a copy without its password"
            raise UnreadableDocumentError(message, "encrypted") from error
        raise UnreadableDocumentError(f"{path.name} is damaged: {error}", "damaged") from error
    return build_parsed(path, pages, bookmarks, properties)


def build_parsed(
    path: Path, pages: Sequence[Sequence[Line]], bookmarks: set[tuple[int, str]], properties: dict[str, str]
) -> Parsed:
    """Return the document made of the lines of each page. Raises UnreadableDocumentError when there are none."""
    if not pages:
        raise UnreadableDocumentError(f"{path.name} has no pages", "empty")
    if not any(pages):
        message = f"{path.name}: no text layer on its {len(pages)} pages (scanned?); OCR is not done"
        raise UnreadableDocumentError(message, "no_text")
    text, blocks = assemble(find_pieces(drop_running_lines(pages), bookmarks))
    named = properties.get("Title", "")
    title = choose_title(path, text, blocks, () if _JUNK_TITLE.match(named) else (named,))
    metadata = {"format": "pdf", "pages": str(len(pages))}
    if "Author" in properties:
        metadata["author"] = properties["Author"]
    if textless := [str(number) for number, lines in enumerate(pages, 1) if not lines]:
        metadata["pages_without_text"] = ",".join(textless)
    return Parsed(title, text, blocks, metadata)


def find_pieces(lines: Sequence[Line], bookmarks: set[tuple[int, str]]) -> Iterator[Piece]:
    """Yield the blocks: headings, tables and lists by their signs, the rest as paragraphs."""
    body_height = _body_height(lines)
    sizes = sorted({line.height for line in lines if _is_large(line, body_height)}, reverse=True)
    gap = _line_gap(lines)
    for is_table, paragraph in group_paragraphs(lines, gap):
        first, text = paragraph[0], join_lines(line.text for line in paragraph)
        marked = (first.page, _key(text)) in bookmarks or (first.bold and len(paragraph) == 1 and not _ends(text))
        if is_table:
            yield Piece(format_table([line.cells for line in paragraph]), BlockKind.TABLE, page=first.page)
        elif len(text) <= _MAX_HEADING_CHARACTERS and (_is_large(first, body_height) or marked):
            level = sizes.index(first.height) if _is_large(first, body_height) else len(sizes)
            yield Piece(text, BlockKind.HEADING, min(level + 1, 6), first.page)
        else:
            kind = BlockKind.LIST if _ITEM.match(text) else BlockKind.PARAGRAPH
            yield Piece(text, kind, page=first.page)


def group_paragraphs(lines: Sequence[Line], gap: float) -> Iterator[tuple[bool, list[Line]]]:
    """Yield (is a table, its lines): rows of a table together, otherwise lines that read on."""
    table_of = find_tables(lines, gap)
    right = max((line.right for line in lines), default=0.0)
    for table, members in groupby(range(len(lines)), key=lambda n: table_of[n]):
        if table is not None:
            yield True, [lines[n] for n in members]
            continue
        paragraph: list[Line] = []
        for n in members:
            if paragraph and not reads_on(paragraph[-1], lines[n], gap, right):
                yield False, paragraph
                paragraph = []
            paragraph.append(lines[n])
        yield False, paragraph


def reads_on(line: Line, following: Line, gap: float, right: float) -> bool:
    """Whether `following` continues the paragraph of `line`; `gap` is the usual distance of baselines, in points."""
    if line.height != following.height or line.bold != following.bold or _ITEM.match(following.text):
        return False
    if line.page != following.page:
        return not _ends(line.text) and following.text[:1].islower()
    if not 0 < line.bottom - following.bottom <= 1.3 * max(gap, line.height):
        return line.bottom < following.bottom and not _ends(line.text)  # the next column
    return not (_ends(line.text) and line.right < 0.85 * right)


def find_tables(lines: Sequence[Line], gap: float) -> list[int | None]:
    """Return for each line the number of its table, or None: two lines or more with equal, aligned columns."""
    table_of: list[int | None] = [None] * len(lines)
    for n in range(1, len(lines)):
        upper, lower = lines[n - 1], lines[n]
        aligned = len(upper.cells) == len(lower.cells) > 1 and all(map(_aligned, upper.spans, lower.spans))
        numbered = _ITEM.match(f"{lower.cells[0]} ") is not None
        near = upper.page == lower.page and 0 < upper.bottom - lower.bottom <= 4 * gap
        if aligned and near and not (numbered and len(lower.cells) == 2):
            if table_of[n - 1] is None:
                table_of[n - 1] = n
            table_of[n] = table_of[n - 1]
    return table_of


def join_lines(texts: Iterable[str]) -> str:
    """Return the lines as one: a space between two, a bullet as a dash."""
    text = squeeze_spaces(" ".join(texts))
    item = _ITEM.match(text)
    return f"- {text[item.end() :]}" if item and item[1] is None else text


def _aligned(upper: tuple[float, float], lower: tuple[float, float]) -> bool:
    """Whether two cells share their left edge, right edge or middle, to 3 points."""
    left, right = upper[0] - lower[0], upper[1] - lower[1]
    return min(abs(left), abs(right), abs(left + right) / 2) <= 3


def _body_height(lines: Sequence[Line]) -> float:
    counts: dict[float, int] = {}
    for line in lines:
        counts[line.height] = counts.get(line.height, 0) + len(line.text)
    return max(counts, key=lambda height: (counts[height], -height))


def _line_gap(lines: Sequence[Line]) -> float:
    gaps = [
        upper.bottom - lower.bottom
        for upper, lower in pairwise(lines)
        if upper.page == lower.page and upper.height == lower.height and upper.bottom > lower.bottom
    ]
    return median(gaps) if gaps else 0.0


def _is_large(line: Line, body_height: float) -> bool:
    return line.height >= _HEADING_RATIO * body_height and sum(map(str.isalpha, line.text)) > 1


def _ends(text: str) -> bool:
    return _SENTENCE_END.search(text) is not None


def _key(text: str) -> str:
    return squeeze_spaces(text).casefold()
