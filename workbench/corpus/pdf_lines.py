"""The lines of a PDF page with their place, height and cells; running headers and footers taken out.

Only measuring: what a line is (heading, row, paragraph) is decided in `pdf.py`. Lengths are in points (1/72 inch).
"""

from __future__ import annotations

import ctypes
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pypdfium2 as pdfium
from pypdfium2 import raw

from workbench.corpus.cleaning import clean_text

_HYPHEN = "\x02"  # pdfium's sign for a hyphen at a line's end; it has joined the two lines already
_BROKEN_WORD = re.compile(f"(?<=[^\\W\\d_]){_HYPHEN}(?=[^\\W\\d_A-Z])")
_MARGIN = 0.12  # share of the page's height, at top and bottom, where running lines are looked for
_BOLD = re.compile(r"bold|black|heavy", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Line:
    """One printed line. `cells` are its parts where wide gaps cut it, `spans` their left and right edges."""

    text: str
    page: int  # counted from 1
    height: float  # of a character with its ascent and descent, rounded to half points
    bottom: float
    right: float
    in_margin: bool
    bold: bool
    cells: tuple[str, ...]
    spans: tuple[tuple[float, float], ...]


def read_lines(document: pdfium.PdfDocument, index: int) -> list[Line]:
    """Return the lines of page `index` (from 0) in the order of the text layer; none for a page without text."""
    page = document[index]
    page_height = page.get_height()
    textpage = page.get_textpage()
    characters = [chr(raw.FPDFText_GetUnicode(textpage, n)) for n in range(textpage.count_chars())]
    lines = []
    for start, end in _line_ranges(characters):
        cells = list(_cell_ranges(textpage, characters, start, end))
        texts = [_cell_text(characters[first : last + 1]) for first, last in cells]
        spans = tuple((_box(textpage, first)[0], _box(textpage, last)[2]) for first, last in cells)
        _, bottom, _, top = _box(textpage, (start + end) // 2)
        margin = _MARGIN * page_height
        lines.append(
            Line(
                text=" ".join(texts),
                page=index + 1,
                height=round(2 * (top - bottom)) / 2,
                bottom=bottom,
                right=spans[-1][1],
                in_margin=bottom < margin or top > page_height - margin,
                bold=_is_bold(textpage, start) and _is_bold(textpage, end),
                cells=tuple(texts),
                spans=spans,
            )
        )
    textpage.close()
    page.close()
    return lines


def drop_running_lines(pages: Sequence[Sequence[Line]]) -> list[Line]:
    """Return all lines without running headers and footers: what most pages show first or last, digits aside.

    Peeled from the page's edge inwards, so that an equal line further in stays; larger print is never dropped, since
    "Chapter 3" and "Chapter 4" are headings.
    """
    body_height = usual_height([line for lines in pages for line in lines])
    candidates = [{_running_key(line) for line in lines if _may_run(line, body_height)} for lines in pages]
    counts = Counter(key for keys in candidates for key in keys)
    running = {key for key, count in counts.items() if count >= max(2, 0.6 * len(pages))}
    kept: list[Line] = []
    for lines in pages:
        upwards = sorted(lines, key=lambda line: line.bottom)
        dropped: set[Line] = set()
        for edge in (upwards, upwards[::-1]):
            for line in edge:
                if not _may_run(line, body_height) or _running_key(line) not in running:
                    break
                dropped.add(line)
        kept += [line for line in lines if line not in dropped]
    return kept


def usual_height(lines: Sequence[Line]) -> float:
    """Return the character height, in points, that most of the text has."""
    counts: Counter[float] = Counter()
    for line in lines:
        counts[line.height] += len(line.text)
    return max(counts, key=lambda height: (counts[height], -height))


def _may_run(line: Line, body_height: float) -> bool:
    return line.in_margin and line.height <= body_height


def _running_key(line: Line) -> tuple[str, int]:
    return re.sub(r"\d+", "0", line.text), round(line.bottom / 3)


def _line_ranges(characters: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield (first, last) index of each line that is not blank, blanks at its ends left out."""
    first = last = -1
    for n, character in enumerate((*characters, "\n")):
        if character in "\r\n":
            if first >= 0:
                yield first, last
            first = -1
        elif not character.isspace():
            first, last = (n if first < 0 else first), n


def _cell_ranges(
    textpage: pdfium.PdfTextPage, characters: Sequence[str], start: int, end: int
) -> Iterator[tuple[int, int]]:
    """Yield (first, last) of the parts of a line that gaps wider than a character's height keep apart."""
    first = previous = start
    for n in range(start + 1, end + 1):
        if characters[n].isspace():
            continue
        if n > previous + 1:
            left, right = _box(textpage, n), _box(textpage, previous)
            if left[0] - right[2] > left[3] - left[1]:
                yield first, previous
                first = n
        previous = n
    yield first, end


def _cell_text(characters: Sequence[str]) -> str:
    """Return the cleaned text; a hyphen that only broke a word at a line's end is taken out."""
    # pdfium counts in UTF-16 units: a character beyond the first plane comes as two halves.
    text = "".join(characters).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return clean_text(_BROKEN_WORD.sub("", text).replace(_HYPHEN, "-"))


def _box(textpage: pdfium.PdfTextPage, n: int) -> tuple[float, float, float, float]:
    """Left, bottom, right, top of the n-th character, its ascent and descent included."""
    left, bottom, right, top = textpage.get_charbox(n, loose=True)
    return left, bottom, right, top


def _is_bold(textpage: pdfium.PdfTextPage, n: int) -> bool:
    """Whether the font's name says bold; the weight that pdfium reports is 0 for many fonts."""
    name = ctypes.create_string_buffer(128)
    raw.FPDFText_GetFontInfo(textpage, n, name, len(name), ctypes.c_int())
    return _BOLD.search(name.value.decode("utf-8", "replace")) is not None
