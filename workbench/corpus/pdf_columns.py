"""Two columns of prose whose text layer runs across both, line by line: put back one under the other.

Most programs write a column at a time, and nothing is changed there. Only what flows is unfolded (full lines that go
on in lower case on both sides of one gutter): a table of two columns stays a table. Lengths are in points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from workbench.corpus.pdf_lines import Line

_LEAST_LINES = 8  # across both columns
_FULL, _LEAST_FULL = 0.8, 0.6  # of the column's width; share of the lines that reach that far
_LEAST_FLOWING = 0.3  # share of lines that begin in lower case


def unfold_columns(lines: Sequence[Line]) -> list[Line]:
    """Return the lines of one page in reading order: the left column before the right one."""
    across = [n for n, line in enumerate(lines) if len(line.spans) == 2]
    if len(across) < _LEAST_LINES:
        return list(lines)
    left_edge = max(lines[n].spans[0][1] for n in across)  # the gutter's
    right_edge = min(lines[n].spans[1][0] for n in across)
    region = lines[across[0] : across[-1] + 1]
    sides = (
        [_side(line, 0) for line in region if line.spans[0][1] <= left_edge],
        [_side(line, -1) for line in region if line.spans[-1][0] >= right_edge],
    )
    n_sides = sum(len(line.spans) for line in region)
    if left_edge >= right_edge or sum(map(len, sides)) != n_sides or not all(map(flows, sides)):
        return list(lines)
    return [*lines[: across[0]], *sides[0], *sides[1], *lines[across[-1] + 1 :]]


def flows(column: Sequence[Line]) -> bool:
    """Whether the lines read as one running text: most of them full, many of them beginning in lower case."""
    left = min(line.spans[0][0] for line in column)
    width = max(line.right for line in column) - left
    n_full = sum(line.right - left >= _FULL * width for line in column)
    n_flowing = sum(line.text[:1].islower() for line in column)
    return n_full >= _LEAST_FULL * len(column) and n_flowing >= _LEAST_FLOWING * len(column)


def _side(line: Line, place: int) -> Line:
    return replace(line, text=line.cells[place], cells=(line.cells[place],), spans=(line.spans[place],))
