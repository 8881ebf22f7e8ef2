"""The lines of a PDF page with their place, size and cells; running headers and footers taken out.

Only measuring: what a line is (heading, row, paragraph) is decided in `pdf.py`. Lengths are in points (1/72 inch).
"""

from __future__ import annotations

import ctypes
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import hypot
from statistics import median_low, mode

import pypdfium2 as pdfium
from pypdfium2 import raw

from workbench.corpus.cleaning import clean_text

_HYPHEN = "\x02"  # pdfium's sign for a hyphen at a line's end; it has joined the two lines already
LEADER = "…"  # stands for the row of dots in a table of contents
_DOTS = re.compile(r"(?:\s?\.){5,}\s*")
_NUMBER = re.compile(r"(?<!\w)(?<!\d[.,])\d{1,4}(?!\w|[.,]\d)")  # whole: not the 12 of 12.50 or of E12
_ROMAN_LINE = re.compile(r"[-–]? ?([ivxlc]+) ?[-–]?")
_ROMAN_DIGITS = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}
_BROKEN_WORD = re.compile(f"(?<=[^\\W\\d_]){_HYPHEN}(?=[^\\W\\d_A-Z])")
_MARGIN = 0.12  # share of the page's height, at top and bottom, where running lines are looked for
_BOLD = re.compile(r"bold|black|heavy", re.IGNORECASE)


# A line as other pages may repeat it: its text, what its page number (there a "#") is ahead of the page, its height.
RunningKey = tuple[str, int | None, int]


@dataclass(frozen=True, slots=True)
class Line:
    """One printed line. `cells` are its parts where wide gaps cut it, `spans` their left and right edges."""

    text: str
    page: int  # counted from 1
    size: float  # of the font, rounded to half points
    baseline: float  # above the page's foot
    in_margin: bool
    bold: bool
    cells: tuple[str, ...]
    spans: tuple[tuple[float, float], ...]

    @property
    def right(self) -> float:
        """The right edge."""
        return self.spans[-1][1]


def read_lines(document: pdfium.PdfDocument, index: int) -> list[Line]:
    """Return the lines of page `index` (from 0) in the order of the text layer; none for a page without text."""
    page = document[index]
    page_height = page.get_height()
    textpage = page.get_textpage()
    characters = [chr(raw.FPDFText_GetUnicode(textpage, n)) for n in range(textpage.count_chars())]
    lines = []
    for start, end in _line_ranges(characters):
        visible = [n for n in range(start, end + 1) if not characters[n].isspace()]
        samples = [visible[part * (len(visible) - 1) // 4] for part in range(5)]
        size = mode(round(2 * _font_size(textpage, n)) / 2 for n in samples)
        baseline = median_low([_baseline(textpage, n) for n in samples])
        cells = list(_cell_ranges(textpage, visible, size))
        texts = [_cell_text(characters[first : last + 1]) for first, last in cells]
        spans = tuple((textpage.get_charbox(first)[0], textpage.get_charbox(last)[2]) for first, last in cells)
        in_margin = not _MARGIN * page_height <= baseline <= (1 - _MARGIN) * page_height
        bold = sum(_is_bold(textpage, n) for n in samples) >= 4
        lines.append(Line(" ".join(texts), index + 1, size, baseline, in_margin, bold, tuple(texts), spans))
    textpage.close()
    page.close()
    return lines


def drop_running_lines(pages: Sequence[Sequence[Line]]) -> tuple[list[Line], list[str]]:
    """Return all lines without running headers and footers, and the distinct texts of those, "#" for a page number.

    They are what most pages show first or last, word for word, but for one number that grows with the pages. Peeled
    from the page's edge inwards, so that an equal line further in stays; larger print is never dropped: a heading.
    """
    body_size = usual_size([line for lines in pages for line in lines])
    candidates = [{key for line in lines if _may_run(line, body_size) for key in running_keys(line)} for lines in pages]
    counts = Counter(key for keys in candidates for key in keys)
    # A page number by itself counts from two pages on: front matter has its own, and each chapter may.
    enough = {True: 2, False: max(2, 0.6 * len(pages))}
    running = {key for key, count in counts.items() if count >= enough[key[0].strip(" -–") == "#"]}
    kept: list[Line] = []
    texts: dict[str, None] = {}  # in order
    for lines in pages:
        upwards = sorted(lines, key=lambda line: line.baseline)
        dropped: set[Line] = set()
        for edge in (upwards, upwards[::-1]):
            for line in edge:
                found = next((key for key in running_keys(line) if key in running), None)
                if found is None or not _may_run(line, body_size):
                    break
                dropped.add(line)
                texts[found[0]] = None
        kept += [line for line in lines if line not in dropped]
    return kept, list(texts)


def running_keys(line: Line) -> Iterator[RunningKey]:
    """Yield what must be equal on other pages for a running line: the text, or one with a number read as the page's."""
    height = round(line.baseline / 3)
    yield line.text, None, height
    numbers = [(match.span(), int(match[0])) for match in _NUMBER.finditer(line.text)]
    if roman := _ROMAN_LINE.fullmatch(line.text):
        digits = [_ROMAN_DIGITS[letter] for letter in roman[1]]
        value = sum(-digit if digit < after else digit for digit, after in pairwise((*digits, 0)))
        numbers.append((roman.span(1), value))
    for (start, end), value in numbers:
        yield f"{line.text[:start]}#{line.text[end:]}", value - line.page, height


def usual_size(lines: Sequence[Line]) -> float:
    """Return the font size, in points, that most of the text has."""
    counts: Counter[float] = Counter()
    for line in lines:
        counts[line.size] += len(line.text)
    return max(counts, key=lambda size: (counts[size], -size))


def _may_run(line: Line, body_size: float) -> bool:
    return line.in_margin and line.size <= body_size


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


def _cell_ranges(textpage: pdfium.PdfTextPage, visible: Sequence[int], size: float) -> Iterator[tuple[int, int]]:
    """Yield (first, last) of the parts of a line that gaps wider than its font size keep apart."""
    first = visible[0]
    for previous, n in pairwise(visible):
        if n > previous + 1 and textpage.get_charbox(n)[0] - textpage.get_charbox(previous)[2] > size:
            yield first, previous
            first = n
    yield first, visible[-1]


def _cell_text(characters: Sequence[str]) -> str:
    """Return the cleaned text; a hyphen that only broke a word at a line's end is taken out."""
    # pdfium counts in UTF-16 units: a character beyond the first plane comes as two halves.
    text = "".join(characters).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    text = _BROKEN_WORD.sub("", text).replace(_HYPHEN, "-")
    return clean_text(_DOTS.sub(f" {LEADER} ", text)).strip()


def _font_size(textpage: pdfium.PdfTextPage, n: int) -> float:
    """Return the size as printed: some programs write size 1 and scale the page instead."""
    matrix = raw.FS_MATRIX()
    raw.FPDFText_GetMatrix(textpage, n, matrix)
    return float(raw.FPDFText_GetFontSize(textpage, n)) * hypot(matrix.c, matrix.d)


def _baseline(textpage: pdfium.PdfTextPage, n: int) -> float:
    x, y = ctypes.c_double(), ctypes.c_double()
    raw.FPDFText_GetCharOrigin(textpage, n, x, y)
    return y.value


def _is_bold(textpage: pdfium.PdfTextPage, n: int) -> bool:
    """Whether the font's name says bold; the weight that pdfium reports is 0 for many fonts."""
    name = ctypes.create_string_buffer(128)
    raw.FPDFText_GetFontInfo(textpage, n, name, len(name), ctypes.c_int())
    return _BOLD.search(name.value.decode("utf-8", "replace")) is not None
