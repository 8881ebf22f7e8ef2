"""CSV and TSV: one table, its first row the header; the delimiter is the one that gives equal rows.

A file whose first row is numbers has no header: its columns are numbered.
Source: RFC 4180, read by the standard library.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from io import StringIO
from itertools import islice
from pathlib import Path

from workbench.corpus.assembly import assemble, choose_title
from workbench.corpus.cleaning import clean_text
from workbench.corpus.describing import describe, invisible_letters
from workbench.corpus.guards import read_text
from workbench.corpus.tables import check_size, read_sheet
from workbench.errors import UnreadableDocumentError
from workbench.types import Parsed

_DELIMITERS = ",;\t|"
_SAMPLE_ROWS = 100
MAX_CELL_CHARACTERS = 131_072  # a quote that is never closed swallows the file up to here


def read_csv(path: Path) -> Parsed:
    """Read a table of text. Raises UnreadableDocumentError: binary, an endless cell, too many cells, no text."""
    raw, encoding = read_text(path)
    source = clean_text(raw)
    delimiter = find_delimiter(source, preferred="\t" if path.suffix.lower() == ".tsv" else ",")
    text, blocks = assemble(read_sheet(read_rows(source, delimiter, path.name), path.name))
    metadata = describe(
        text, format_="csv", encoding=encoding, delimiter=repr(delimiter)[1:-1], hidden=[invisible_letters(raw)]
    )
    return Parsed(choose_title(path, text, blocks), text, blocks, metadata)


def find_delimiter(source: str, *, preferred: str) -> str:
    """Return the delimiter that cuts most of the first rows into equally many cells; in doubt `preferred`."""

    def score(delimiter: str) -> tuple[int, bool, int]:
        try:
            rows = list(islice(csv.reader(StringIO(source), delimiter=delimiter), _SAMPLE_ROWS))
        except csv.Error:
            return 0, False, 0
        widths = Counter(len(row) for row in rows if len(row) > 1)
        width, count = max(widths.items(), key=lambda item: (item[1], item[0]), default=(0, 0))
        return count, delimiter == preferred, width

    return max(_DELIMITERS, key=score)


def read_rows(source: str, delimiter: str, name: str) -> Iterator[list[str]]:
    """Yield the rows. Raises UnreadableDocumentError for a cell without end and for too many rows."""
    reader = csv.reader(StringIO(source, newline=""), delimiter=delimiter)
    try:
        for n, row in enumerate(reader, 1):
            check_size(n, 1, name)
            yield row
    except csv.Error as error:
        message = f"{name} line {reader.line_num}: {error}; is a quote left open, or a cell beyond"
        raise UnreadableDocumentError(f"{message} {MAX_CELL_CHARACTERS:,} characters?", "damaged") from error
