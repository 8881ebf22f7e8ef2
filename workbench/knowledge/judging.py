"""One row of the database at a time: is it what was written? Types first, then its digest, then its sense.

No row is trusted: a digest proves that nothing was altered by chance, not that the writer was this program.
Which rows there are, and whether any is missing, is `inspection.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from workbench.knowledge.rows import digest, has_types, key_chunk, read_chunk_body, read_identity_body
from workbench.knowledge.schema import SegmentRecord
from workbench.types import BlockKind, EmbedderIdentity

# The JSON inside rows, as `rows.py` and `schema.py` write it.
FACTS = TypeAdapter(tuple[str, str, dict[str, bool | int | float | str | list[str]], list[str] | None])
TEXT = TypeAdapter(tuple[str, list[tuple[int, int, BlockKind, int, int | None]]])
CHUNK = TypeAdapter(tuple[int, int, str, list[str], int | None, str])
IDENTITY = TypeAdapter(EmbedderIdentity)
SEGMENTS = TypeAdapter(list[SegmentRecord])
LENGTH_TOLERANCE = 1e-2  # of unit vectors, as when they are stored
ANOTHER_KIND = "holds a value of another kind than was written"


def judge_edition(row: Sequence[Any]) -> tuple[str, EmbedderIdentity | None]:
    """Return what is wrong with an edition's row, "" for nothing, and its embedder; None: unreadable."""
    _, identity, _, segments, mark = row
    if not has_types(row, int, str, bytes, str, bytes):
        return ANOTHER_KIND, None
    try:
        IDENTITY.validate_json(identity, strict=True)
        SEGMENTS.validate_json(segments, strict=True)
        read = read_identity_body(identity)
    except (ValidationError, TypeError):  # a TypeError: fields that no identity has
        return "cannot be read", None
    return "" if mark == digest(row[:-1]) else "is altered", read


def judge_document(row: Sequence[Any]) -> tuple[str, str]:
    """Return what is wrong with a document's rows, "" for nothing, and its text."""
    _, id_, source, content, facts, mark, whole, body = row
    if not has_types(row, int, str, str, bytes, str, bytes, bytes, str):
        return "has lost its text" if body is None else ANOTHER_KIND, ""
    if mark != digest((id_, content, facts)) or whole != digest((mark, source)):
        return "has an altered id, source, title, metadata or readers", ""
    try:
        title, *_ = FACTS.validate_json(facts, strict=True)
        text, blocks = TEXT.validate_json(body, strict=True)
    except ValidationError:
        return "cannot be read", ""
    if content != digest((title, body)):
        return "has an altered text", ""
    outside = any(not 0 <= start <= end <= len(text) for start, end, *_ in blocks)
    return "has a block outside its text" if outside else "", text


def judge_chunk(row: Sequence[Any], place: int, document_id: str, text: str) -> str:
    """Return what is wrong with a chunk's row, "" for nothing.

    Args:
        row: row number, id, place, vector key, body, digest.
        place: where it should stand in its document.
        document_id: its document's.
        text: its document's.
    """
    _, id_, found_place, key, body, mark = row
    if not has_types(row, int, str, int, bytes, str, bytes):
        return ANOTHER_KIND
    if mark != digest((id_, document_id, found_place, key, body)):
        return "is altered"
    try:
        CHUNK.validate_json(body, strict=True)
    except ValidationError:
        return "cannot be read"
    chunk = read_chunk_body(id_, document_id, body)
    if found_place != place:
        return f"stands at place {found_place} of its document, expected is {place}"
    if text[chunk.start : chunk.end] != chunk.text:
        return f"is not the text of its document from {chunk.start} to {chunk.end}"
    return "" if key_chunk(chunk).key == key else "names the vector of another text"


def judge_vector(row: Sequence[Any], identity: EmbedderIdentity | None) -> str:
    """Return what is wrong with a vector's row (key, digest, vector), "" for nothing."""
    key, mark, vector = row
    if not has_types(row, bytes, bytes, bytes):
        return ANOTHER_KIND
    if mark != digest((key, vector)):
        return "is altered"
    if identity is None:
        return ""
    if len(vector) != 4 * identity.dimension:
        return f"has {len(vector)} bytes, {identity.dimension} dimensions take {4 * identity.dimension}"
    length = float(np.linalg.norm(np.frombuffer(vector, dtype=np.float32).astype(np.float64)))
    if not np.isfinite(length):
        return "is not finite"
    return f"has length {length:.3f}, not 1" if identity.normalised and abs(length - 1) > LENGTH_TOLERANCE else ""


def judge_mark(row: Sequence[Any]) -> str:
    """Return what is wrong with the mark of a source file, "" for nothing."""
    named = row[4] is None or isinstance(row[4], str)
    if not named or not has_types((*row[:4], *row[5:]), str, str, int, str, str, str, bytes):
        return ANOTHER_KIND
    return "" if row[-1] == digest(row[:-1]) else "is altered"
