"""Documents and chunks as rows of the database and back. Every row carries the SHA-256 of its own values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from workbench.types import Block, BlockKind, Chunk, Document, EmbedderIdentity


def digest(values: Iterable[object]) -> str:
    """Return the SHA-256 (hex) of `values` with their lengths, so that no two lists of values share one."""
    state = hashlib.sha256()
    for value in values:
        content = value if isinstance(value, bytes) else str(value).encode()
        state.update(len(content).to_bytes(8, "big") + content)
    return state.hexdigest()


def vector_key(chunk: Chunk) -> str:
    """Return the key under which a chunk's vector is stored: equal texts are embedded once."""
    return digest([chunk.indexed_text])


def document_body(document: Document) -> str:
    """Return all of a document but its id as JSON."""
    fields = asdict(document)
    del fields["id"]
    fields["metadata"] = dict(sorted(document.metadata.items()))
    fields["blocks"] = [list(block.values()) for block in fields["blocks"]]
    return _json(fields)


def read_document_body(id_: str, body: str) -> Document:
    """Return the document behind `document_body`."""
    fields = json.loads(body)
    blocks = tuple(Block(start, end, BlockKind(kind), *rest) for start, end, kind, *rest in fields.pop("blocks"))
    return Document(id=id_, blocks=blocks, **fields)


def chunk_body(chunk: Chunk) -> str:
    """Return all of a chunk but its ids as JSON."""
    return _json([chunk.start, chunk.end, chunk.text, chunk.headings, chunk.page])


def read_chunk_body(id_: str, document_id: str, body: str) -> Chunk:
    """Return the chunk behind `chunk_body`."""
    start, end, text, headings, page = json.loads(body)
    return Chunk(id_, document_id, start, end, text, tuple(headings), page)


def identity_body(identity: EmbedderIdentity) -> str:
    """Return the stamp of a collection as JSON."""
    return _json(asdict(identity))


def read_identity_body(body: str) -> EmbedderIdentity:
    """Return the identity behind `identity_body`."""
    return EmbedderIdentity(**json.loads(body))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
