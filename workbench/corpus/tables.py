"""Rows of cells to blocks: where a sheet's table starts, what stands above it, and how large it may be.

For formats that know cells (CSV, XLSX, JSON); `pdf_tables.py` has to find them first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from workbench.corpus.assembly import Piece, format_table
from workbench.errors import UnreadableDocumentError
from workbench.types import BlockKind

MAX_ROWS = 1_048_576  # of one table: what spreadsheets hold
MAX_CELLS = 2_000_000  # of one table, the empty ones of its rectangle included

Row = Sequence[str]


def read_sheet(rows: Iterable[Row], name: str) -> Iterator[Piece]:
    """Yield the blocks of a sheet: lines of one cell above and below a table are paragraphs, the rest is the table.

    Blank rows are left out; behind one, a row of words over other columns starts a new table with its own header.

    Raises:
        UnreadableDocumentError: a table is beyond MAX_ROWS or MAX_CELLS.
    """
    table: list[Row] = []
    after_blank = False
    for row in rows:
        filled = [n for n, cell in enumerate(row) if cell.strip()]
        if not filled:
            after_blank = True
            continue
        if table and after_blank and starts_table(row, filled, table[0]):
            yield from write_table(table, name)
            table = []
        if not table and len(filled) == 1:
            yield Piece(row[filled[0]], BlockKind.PARAGRAPH)
        else:
            table.append(row)
            check_size(len(table), len(row), name)
        after_blank = False
    yield from write_table(table, name)


def starts_table(row: Row, filled: Sequence[int], header: Row) -> bool:
    """Whether a row behind a blank one belongs to something new: a lone cell, or words over other columns."""
    if len(filled) == 1:
        return filled[0] == 0
    over = [n for n, cell in enumerate(header) if cell.strip()]
    return list(filled) != over and not any(is_number(row[n]) for n in filled)


def write_table(rows: Sequence[Row], name: str) -> Iterator[Piece]:
    """Yield one table without its empty columns; none for no rows; numbers alone get a header of column numbers."""
    width = max((len(row) for row in rows), default=0)
    check_size(len(rows), width, name)
    used = sorted({n for row in rows for n, cell in enumerate(row) if cell.strip()})
    if not used:
        return
    cells = [[row[n] if n < len(row) else "" for n in used] for row in rows]
    if all(is_number(cell) or not cell.strip() for cell in cells[0]):
        cells.insert(0, [f"column {n + 1}" for n in used])
    yield Piece(format_table(cells), BlockKind.TABLE)


def check_size(n_rows: int, width: int, name: str) -> None:
    """Raise UnreadableDocumentError for a table that no reader should hold."""
    if n_rows > MAX_ROWS:
        raise UnreadableDocumentError(f"{name} has more than {MAX_ROWS:,} rows; split the file", "too_large")
    if n_rows * width > MAX_CELLS:
        message = f"{name} has a table of {n_rows:,} rows and {width:,} columns, the limit is {MAX_CELLS:,} cells"
        raise UnreadableDocumentError(f"{message}; split the file", "too_large")


def is_number(cell: str) -> bool:
    """Whether the cell holds a number: digits with any separators, a sign, a unit sign."""
    bare = cell.strip().strip("+-%$€£¥ ").replace(",", "").replace(".", "").replace(" ", "")
    return bare.isdecimal()
