"""JSON and JSON Lines: objects as `key: value` lines under their names, lists of flat objects as tables.

Records with a `text` (as BEIR, SQuAD dumps and chat exports have them) become text under their title. Nothing is left
out: every leaf of the file is in the text, under the path of keys that leads to it.
Source: RFC 8259; https://jsonlines.org.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench.corpus.assembly import Piece, assemble, choose_title, format_table
from workbench.corpus.describing import describe, invisible_letters
from workbench.corpus.guards import read_text
from workbench.corpus.tables import check_size
from workbench.errors import UnreadableDocumentError
from workbench.types import BlockKind, Parsed

MAX_DEPTH = 200  # of nested lists and objects
MAX_RECORDS = 1_000_000
_TEXTS, _NAMES = ("text", "body", "content", "passage"), ("title", "name", "_id", "id")
_TABLE_FILLED = 0.5  # least share of cells that a table must fill; sparser records are written one by one
_TABLE_COLUMNS, _TABLE_CELL_CHARACTERS = 40, 300


def read_json(path: Path) -> Parsed:
    """Read a JSON file. Raises UnreadableDocumentError: binary, malformed, a key twice, nested beyond MAX_DEPTH."""
    raw, encoding = read_text(path)
    return build_parsed(path, load(raw, path.name), raw, encoding, "json")


def read_jsonl(path: Path) -> Parsed:
    """Read JSON Lines, one value a line. Raises UnreadableDocumentError as `read_json`, naming the line."""
    raw, encoding = read_text(path)
    values = [load(line, f"{path.name} line {n}") for n, line in enumerate(raw.split("\n"), 1) if line.strip()]
    return build_parsed(path, values, raw, encoding, "jsonl")


def load(source: str, name: str) -> Any:
    """Return the value of a JSON text. Raises UnreadableDocumentError."""
    try:
        value = json.loads(source.lstrip("\ufeff"), object_pairs_hook=unique_keys)
    except (ValueError, RecursionError) as error:
        message = f"{name} is not JSON: {error}" if isinstance(error, ValueError) else f"{name} nests too deep"
        raise UnreadableDocumentError(message, "damaged") from error
    check_depth(value, name)
    return value


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the pairs as an object. Raises ValueError for a key that stands twice: one value would be lost."""
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"key {twice!r} stands twice in one object")
    return found


def check_depth(value: Any, name: str) -> None:
    """Raise UnreadableDocumentError for a value nested deeper than MAX_DEPTH."""
    level, depth = [value], 0
    while level:
        if depth > MAX_DEPTH:
            raise UnreadableDocumentError(f"{name} nests deeper than {MAX_DEPTH} levels", "damaged")
        level = [child for one in level if isinstance(one, dict | list) for child in children_of(one)]
        depth += 1


def children_of(value: dict[str, Any] | list[Any]) -> Sequence[Any]:
    """Return the values inside an object or a list."""
    return list(value.values()) if isinstance(value, dict) else value


def build_parsed(path: Path, value: Any, raw: str, encoding: str, format_: str) -> Parsed:
    """Return the document made of one JSON value."""
    text, blocks = assemble(read_value(value, path.name, 2))
    titles = [value[key] for key in _NAMES[:2] if isinstance(value.get(key), str)] if isinstance(value, dict) else []
    n_records = len(value) if isinstance(value, list) else None
    metadata = describe(text, format_=format_, encoding=encoding, records=n_records, hidden=[invisible_letters(raw)])
    return Parsed(choose_title(path, text, (), titles), text, blocks, metadata)


def read_value(value: Any, name: str, level: int) -> Iterator[Piece]:
    """Yield the blocks of a value; headings from `level` on."""
    if isinstance(value, dict):
        yield from read_object(value, name, level)
    elif not isinstance(value, list):
        yield Piece(write_leaf(value), BlockKind.PARAGRAPH)
    elif is_table(value):
        yield write_table(value, name)
    elif value and all(isinstance(member, dict) for member in value):
        check_size(len(value), 1, name)
        for record in value:
            yield from read_record(record, name, level)
    else:
        yield Piece("\n".join(f"- {line}" for member in value for line in leaves(member, "")), BlockKind.LIST)


def read_object(value: Mapping[str, Any], name: str, level: int) -> Iterator[Piece]:
    """Yield an object's own leaves as one block, then each list and object in it under its key."""
    own = {key: inner for key, inner in value.items() if is_leaf(inner)}
    yield Piece("\n".join(f"{key}: {write_leaf(inner)}" for key, inner in own.items()), BlockKind.LIST)
    for key, inner in value.items():
        if key in own:
            continue
        if level > 6:
            yield Piece("\n".join(leaves(inner, key)), BlockKind.LIST)
        elif inner:
            yield Piece(key, BlockKind.HEADING, level)
            yield from read_value(inner, name, level + 1)


def read_record(record: Mapping[str, Any], name: str, level: int) -> Iterator[Piece]:
    """Yield one record of a list: its name as a heading where it has one, its text, and the rest line by line."""
    named = next((key for key in _NAMES if isinstance(record.get(key), str | int) and str(record[key]).strip()), None)
    if named is not None and level <= 6:
        yield Piece(write_leaf(record[named]), BlockKind.HEADING, level)
    text = next((key for key in _TEXTS if isinstance(record.get(key), str)), None)
    if text is not None:
        yield Piece(record[text], BlockKind.PARAGRAPH)
    shown = {named if level <= 6 else None, text}
    lines = (line for key, inner in record.items() if key not in shown for line in leaves(inner, key))
    yield Piece("\n".join(lines), BlockKind.LIST)


def is_table(value: Sequence[Any]) -> bool:
    """Whether a list is a table: objects with short leaves only, mostly of the same keys, none of them a text."""
    if len(value) < 2 or not all(isinstance(row, dict) and all(map(is_leaf, row.values())) for row in value):
        return False
    keys = {key for row in value for key in row}
    n_filled = sum(len(row) for row in value)
    short = all(len(write_leaf(cell)) <= _TABLE_CELL_CHARACTERS for row in value for cell in row.values())
    return (
        short
        and 0 < len(keys) <= _TABLE_COLUMNS
        and not keys & set(_TEXTS)
        and n_filled >= _TABLE_FILLED * len(keys) * len(value)
    )


def write_table(rows: Sequence[Mapping[str, Any]], name: str) -> Piece:
    """Return the rows as one table, its columns in the order in which the keys first come."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    check_size(len(rows), len(keys), name)
    cells = [[write_leaf(row[key]) if key in row else "" for key in keys] for row in rows]
    return Piece(format_table([keys, *cells]), BlockKind.TABLE)


def leaves(value: Any, path: str) -> Iterator[str]:
    """Yield `path: value` for each leaf below `value`, keys joined by dots, places in lists counted from 1."""
    if is_leaf(value):
        yield f"{path}: {write_leaf(value)}" if path else write_leaf(value)
    elif isinstance(value, list) and all(map(is_leaf, value)):
        joined = ", ".join(map(write_leaf, value))
        yield f"{path}: {joined}" if path else joined
    else:
        pairs = value.items() if isinstance(value, dict) else enumerate(value, 1)
        for key, inner in pairs:
            yield from leaves(inner, f"{path}.{key}" if path else str(key))


def is_leaf(value: Any) -> bool:
    """Whether the value holds no others."""
    return not isinstance(value, dict | list)


def write_leaf(value: Any) -> str:
    """Return a leaf as JSON writes it, text without its quotes."""
    return value if isinstance(value, str) else json.dumps(value)
