"""Tables on a PDF page, found by aligned columns: the text layer knows no cells, only words and their places.

Works for row-by-row tables, cells wrapped over several lines included. Not for tables that are written column by
column, or whose columns do not share an edge or a middle.
"""

from __future__ import annotations

from collections.abc import Sequence

from workbench.corpus.pdf_lines import Line

_TOLERANCE_POINTS = 3.0

Span = tuple[float, float]  # left and right edge, in points


def read_table(lines: Sequence[Line], start: int, gap: float) -> tuple[list[list[str]], int]:
    """Return the rows of the table whose first row is `lines[start]`, and the index of the line after it.

    Args:
        gap: usual distance of two baselines, in points.
    Returns:
        ([], start) where no table starts: that takes two rows with two filled cells.
    """
    columns: list[list[Span]] = [[span] for span in lines[start].spans]
    rows = [(start, list(lines[start].cells))]
    last_place = len(columns) - 1
    for n in range(start + 1, len(lines)):
        line = lines[n]
        places = [find_column(span, columns) for span in line.spans]
        if len(columns) < 2 or not _close(lines[n - 1], line, gap) or places != sorted(set(places)) or places[0] < 0:
            break
        wraps = len(places) == 1 and places[0] == last_place and n > start + 1
        if places[0] <= last_place and not wraps:
            if _n_filled(rows[-1][1]) < 2:
                break
            rows.append((n, [""] * len(columns)))
        for place, cell, span in zip(places, line.cells, line.spans, strict=True):
            rows[-1][1][place] = f"{rows[-1][1][place]} {cell}".strip()
            columns[place].append(span)
        last_place = places[-1]
    else:
        n = len(lines)
    if _n_filled(rows[-1][1]) < 2:
        n = rows.pop()[0]
    return ([cells for _, cells in rows], n) if len(rows) > 1 else ([], start)


def find_column(span: Span, columns: Sequence[Sequence[Span]]) -> int:
    """Return the index of the column that `span` is aligned with and does not leave; -1 for none."""
    for place, members in enumerate(columns):
        neighbours = (*columns[:place][-1:], *columns[place + 1 :][:1])
        inside = not any(other[0] < span[1] and span[0] < other[1] for column in neighbours for other in column)
        if inside and any(aligned(span, member) for member in members):
            return place
    return -1


def aligned(span: Span, other: Span) -> bool:
    """Whether two cells share their left edge, right edge or middle."""
    left, right = span[0] - other[0], span[1] - other[1]
    return min(abs(left), abs(right), abs(left + right) / 2) <= _TOLERANCE_POINTS


def _close(line: Line, following: Line, gap: float) -> bool:
    return line.page == following.page and abs(line.baseline - following.baseline) <= 4 * max(gap, line.size)


def _n_filled(cells: Sequence[str]) -> int:
    return sum(map(bool, cells))
