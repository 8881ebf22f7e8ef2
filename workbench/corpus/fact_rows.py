"""Rows of a metadata file with the line each begins on: CSV, JSON lines, YAML. What is no row becomes a fault.

Not what the rows mean: `facts.py` knows that. A fault is "LINE: what is wrong", for the file's name to stand before.
"""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from workbench.types import Fact

Row = tuple[int, dict[str, Any]]  # the line it begins on, counted from 1, and its values by key
OWN_KEYS = ("path", "readers")  # of a row; all others are facts

_INTEGER = re.compile(r"-?(?:0|[1-9]\d{0,17})")  # 007 is a name, not a number
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,17})(?:\.\d+)?")


def read_csv_rows(text: str, faults: list[str]) -> Iterator[Row]:
    """Yield (line, row). A column is numbers where each filled cell is one; an empty cell says nothing."""
    first = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        faults.append(f"1: is not CSV: {error}")
        return
    folded = [fold_key(name) for name in header]
    if "path" not in folded or len(set(header)) < len(header) or max(map(folded.count, OWN_KEYS)) > 1:
        faults.append(f"1: the header is {header}; it names a column once, `path` among them")
        return
    rows: list[tuple[int, list[str]]] = []
    line = reader.line_num + 1
    try:
        for cells in reader:
            if len(cells) == len(header):
                rows.append((line, [cell.strip() for cell in cells]))
            elif any(cell.strip() for cell in cells):
                faults.append(f"{line}: the row has {len(cells)} cells, but the header has {len(header)}")
            line = reader.line_num + 1
    except csv.Error as error:
        faults.append(f"{line}: is not CSV: {error}")
    typed = [_typed(list(column)) for column in zip(*(cells for _, cells in rows), strict=True)]
    for n, (line, cells) in enumerate(rows):
        row = {name: column[n] for name, column in zip(header, typed, strict=True)}
        row |= {name: cell for name, cell in zip(header, cells, strict=True) if fold_key(name) in OWN_KEYS}
        yield line, row


def read_json_rows(text: str, faults: list[str]) -> Iterator[Row]:
    """Yield (line, row); types are JSON's own. Blank lines are skipped."""
    for line, content in enumerate(text.split("\n"), start=1):
        if content.strip():
            try:
                row = json.loads(content, object_pairs_hook=_unite)
            except (json.JSONDecodeError, RecursionError) as error:
                faults.append(f"{line}: is not JSON: {error}")
                continue
            except ValueError as error:  # a key twice, or a number of thousands of digits
                faults.append(f"{line}: cannot be read: {error}")
                continue
            if isinstance(row, dict):
                yield line, row
            else:
                faults.append(f"{line}: is a JSON {type(row).__name__}, not an object")


def read_yaml_rows(text: str, faults: list[str]) -> Iterator[Row]:
    """Yield (line, row) of a list of mappings; types are YAML 1.2's, dates included."""
    try:
        tree = YAML().load(text)
    except (YAMLError, ValueError, TypeError, LookupError, RecursionError, AttributeError) as error:
        faults.append(f"1: is not YAML: {' '.join(str(error).split())}")
        return
    if not isinstance(tree, CommentedSeq):
        faults.append(f"1: holds {type(tree).__name__}, expected a list: `- path: manuals/**`, keys below it")
        return
    for n, row in enumerate(tree):
        line = tree.lc.item(n)[0] + 1
        if isinstance(row, CommentedMap):
            yield line, {str(key): value for key, value in row.items()}
        else:
            faults.append(f"{line}: is {row!r}, expected keys: `- path: manuals/**`, others below it")


def fold_key(key: str) -> str:
    """Return a key as it counts where it has a meaning: whatever its case, its width and the blanks around it."""
    return unicodedata.normalize("NFKC", key).casefold().strip()


def _unite(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    for key, n in Counter(key for key, _ in pairs).items():
        if n > 1:  # Python would keep the last: for readers, perhaps everybody
            raise ValueError(f"an object names `{key}` twice")
    return dict(pairs)


def _typed(column: Sequence[str]) -> list[Fact | None]:
    filled = [cell for cell in column if cell]
    read: Callable[[str], Fact] = str
    for pattern, kind in ((_NUMBER, float), (_INTEGER, int)):
        if all(pattern.fullmatch(cell) for cell in filled):
            read = kind
    if all(cell in ("true", "false") for cell in filled):
        read = "true".__eq__
    return [read(cell) if cell else None for cell in column]


ROW_READERS: dict[str, Callable[[str, list[str]], Iterator[Row]]] = {
    ".csv": read_csv_rows,
    ".jsonl": read_json_rows,
    ".yaml": read_yaml_rows,
    ".yml": read_yaml_rows,
}
