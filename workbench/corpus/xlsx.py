"""XLSX: each visible sheet a heading and its rows as tables; formulas by the value that was last saved.

A merged cell's value stands in each of its cells, so that every row reads by itself. Sheets that are hidden are left
out and counted. Not read: charts, comments, pictures, number formats; hidden rows and columns are read.
Source: ECMA-376 part 1, section 18 (SpreadsheetML), through openpyxl's streaming reader.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time
from itertools import chain
from pathlib import Path
from typing import Any

from workbench.corpus.assembly import Piece, assemble, choose_title
from workbench.corpus.cleaning import read_bytes
from workbench.corpus.describing import describe
from workbench.corpus.guards import check_xml, open_archive
from workbench.corpus.tables import MAX_ROWS, read_sheet
from workbench.errors import UnreadableDocumentError
from workbench.types import BlockKind, Parsed

Sheet = Any  # an openpyxl read-only worksheet; openpyxl ships no types
Merged = dict[tuple[int, int], tuple[int, int]]  # (row, column) → the cell whose value it shows; counted from 1

MAX_COLUMNS = 16_384  # what a sheet can have
MAX_MERGED_CELLS = 100_000
_MERGED = re.compile(rb'<(?:\w+:)?mergeCell\s[^>]*?ref="([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})"')
_BLOCK_BYTES = 2**20
_LONGEST_MERGED_BYTES = 200


def read_xlsx(path: Path) -> Parsed:
    """Read a workbook. Raises UnreadableDocumentError: no workbook, password, unpacks too large, no text."""
    import openpyxl

    archive = open_archive(read_bytes(path), path.name, member="xl/", format_="Excel workbook")
    check_xml(archive, path.name)
    with archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # openpyxl tells of styles it does not know; they are not read here
        try:
            workbook = openpyxl.load_workbook(archive.fp, read_only=True, data_only=True, keep_links=False)
            shown = [sheet for sheet in workbook.worksheets if sheet.sheet_state == "visible"]
            unseen = [sheet for sheet in workbook.worksheets if sheet.sheet_state != "visible"]
            text, blocks = assemble(chain.from_iterable(read_pieces(sheet, archive, path.name) for sheet in shown))
            hidden = [cell for sheet in unseen for row in read_rows(sheet, archive, path.name) for cell in row]
        except UnreadableDocumentError:
            raise
        except Exception as error:  # openpyxl lets KeyError, TypeError, ValueError, zipfile's and XML errors through
            message = f"{path.name} is not a whole Excel workbook: {type(error).__name__}: {error}"
            raise UnreadableDocumentError(message, "damaged") from error
    if not any(block.kind is not BlockKind.HEADING for block in blocks):
        raise UnreadableDocumentError(f"{path.name} holds no text in its {len(shown)} visible sheets", "no_text")
    facts = workbook.properties
    metadata = describe(
        text,
        format_="xlsx",
        author=facts.creator if facts.creator != "openpyxl" else None,
        subject=facts.subject,
        keywords=facts.keywords,
        created=facts.created if facts.creator != "openpyxl" else None,
        modified=facts.modified if facts.creator != "openpyxl" else None,
        sheets=[sheet.title for sheet in shown],
        hidden=hidden,
    )
    return Parsed(choose_title(path, text, (), (facts.title,)), text, blocks, metadata)


def read_pieces(sheet: Sheet, archive: zipfile.ZipFile, name: str) -> Iterator[Piece]:
    """Yield the sheet's name as a heading, and its blocks; nothing for a sheet without cells."""
    pieces = list(read_sheet(read_rows(sheet, archive, name), name))
    if pieces:
        yield Piece(sheet.title, BlockKind.HEADING, 2)
        yield from pieces


def read_rows(sheet: Sheet, archive: zipfile.ZipFile, name: str) -> Iterator[list[str]]:
    """Yield the sheet's rows as text, merged cells filled in.

    Raises:
        UnreadableDocumentError: more rows or columns than a sheet can have.
    """
    # The streaming reader leaves merged cells out, and only it knows where the sheet lies in the archive.
    merged = find_merged(archive, sheet._worksheet_path, name)
    origins = set(merged.values())
    values: dict[tuple[int, int], str] = {}
    sheet.reset_dimensions()  # what the file says about its own size may be wrong
    for n, row in enumerate(sheet.iter_rows(values_only=True), 1):
        if n > MAX_ROWS or len(row) > MAX_COLUMNS:
            message = f"{name}, sheet {sheet.title!r}: row {n:,} has {len(row):,} columns; a sheet holds"
            raise UnreadableDocumentError(f"{message} {MAX_ROWS:,} x {MAX_COLUMNS:,} cells", "too_large")
        cells = [write_value(value) for value in row]
        if merged:
            for column in range(1, len(cells) + 1):
                if (n, column) in origins:
                    values[n, column] = cells[column - 1]
            cells = [cell or values.get(merged.get((n, m), (0, 0)), "") for m, cell in enumerate(cells, 1)]
        yield cells


def find_merged(archive: zipfile.ZipFile, member: str, name: str) -> Merged:
    """Return which cell's value each merged cell shows. Raises UnreadableDocumentError beyond MAX_MERGED_CELLS."""
    merged: Merged = {}
    tail = b""
    with archive.open(member.lstrip("/")) as opened:
        while block := opened.read(_BLOCK_BYTES):
            seen = tail + block
            for first, top, last, bottom in _MERGED.findall(seen):
                columns, rows = range(column_of(first), column_of(last) + 1), range(int(top), int(bottom) + 1)
                if len(merged) + len(columns) * len(rows) > MAX_MERGED_CELLS:
                    message = f"{name} has more than {MAX_MERGED_CELLS:,} merged cells; unmerge them"
                    raise UnreadableDocumentError(message, "too_large")
                merged |= dict.fromkeys(((row, column) for row in rows for column in columns), (rows[0], columns[0]))
            tail = seen[-_LONGEST_MERGED_BYTES:]
    return merged


def column_of(letters: bytes) -> int:
    """Return a column's number, counted from 1: 28 for AB."""
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


def write_value(value: object) -> str:
    """Return a cell's value as people write it: no time of day for a date at midnight, no .0 for a whole number."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).upper()
        case datetime() | date() | time():
            return value.isoformat().removesuffix("T00:00:00")
        case float():
            return f"{value:.15g}"
        case _:
            return str(value)
