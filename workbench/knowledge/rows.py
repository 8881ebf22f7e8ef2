"""Documents and chunks as rows of the database and back, and the SHA-256 that every row carries of its own values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any, NamedTuple

from workbench.types import Block, BlockKind, Chunk, Document, EmbedderIdentity, Fact


@dataclass(frozen=True, slots=True)
class DocumentFacts:
    """All of a document but its text: what lists show, and what decides who may find it."""

    id: str
    source: str
    title: str
    fingerprint: str
    metadata: Mapping[str, Fact]
    readers: tuple[str, ...] | None  # None: everybody

    @property
    def filterable(self) -> dict[str, object]:
        """What filters see: the metadata, and over them `id`, `title` and `source`, which no metadata can forge."""
        return {**self.metadata, "id": self.id, "title": self.title, "source": self.source}

    @classmethod
    def of(cls, document: Document) -> DocumentFacts:
        """Return a document's facts."""
        return cls(
            document.id,
            document.source,
            document.title,
            document.fingerprint,
            document.metadata,
            document.readers,
        )


@dataclass(frozen=True, slots=True)
class FileMark:
    """What became of one source file: a document, or a failure with its kind and reason; never both."""

    path: str
    sha256: str  # of the file's bytes, in hex
    size: int  # bytes
    reader: str  # version of the reader that read it: another one may read it otherwise
    document_id: str | None
    kind: str = ""
    reason: str = ""


class KeyedChunk(NamedTuple):
    """A chunk, its indexed text, and the key of that text's vector."""

    chunk: Chunk
    text: str
    key: bytes


def digest(values: Iterable[object]) -> bytes:
    """Return the SHA-256 of `values` with their lengths, so that no two lists of texts share one.

    A text, its bytes and a number of its digits are the same here: whoever compares digests looks at the types first.
    """
    contents = [value if isinstance(value, bytes) else str(value).encode() for value in values]
    lengths = [len(content).to_bytes(8, "big") for content in contents]
    return hashlib.sha256(b"".join(chain.from_iterable(zip(lengths, contents, strict=True)))).digest()


def has_types(values: Sequence[object], *types: type) -> bool:
    """Say whether each value is of its type; SQLite lets any column hold any."""
    return all(type(value) is wanted for value, wanted in zip(values, types, strict=True))


def key_chunk(chunk: Chunk) -> KeyedChunk:
    """Return a chunk with the key under which its vector is stored: equal texts are embedded once."""
    text = chunk.indexed_text
    return KeyedChunk(chunk, text, text_key(text))


def text_key(text: str) -> bytes:
    """Return the key under which the vector of an indexed text is stored."""
    return digest([text])


def text_body(document: Document) -> str:
    """Return a document's text and blocks as JSON."""
    blocks = [[block.start, block.end, block.kind, block.level, block.page] for block in document.blocks]
    return _json([document.text, blocks])


def facts_body(document: Document) -> str:
    """Return a document's facts as JSON, but its id and source: those are columns of their own."""
    metadata = dict(sorted(document.metadata.items()))
    return _json([document.title, document.fingerprint, metadata, document.readers])


def read_facts(id_: str, source: str, body: str) -> DocumentFacts:
    """Return the facts behind `facts_body`."""
    title, fingerprint, metadata, readers = json.loads(body)
    typed = {key: tuple(value) if isinstance(value, list) else value for key, value in metadata.items()}
    return DocumentFacts(id_, source, title, fingerprint, typed, None if readers is None else tuple(readers))


def read_document(facts: DocumentFacts, body: str) -> Document:
    """Return the document behind its facts and its `text_body`."""
    text, rows = json.loads(body)
    blocks = tuple(Block(start, end, BlockKind(kind), *rest) for start, end, kind, *rest in rows)
    return Document(facts.id, facts.source, facts.title, text, blocks, facts.fingerprint, facts.metadata, facts.readers)


def chunk_body(chunk: Chunk) -> str:
    """Return all of a chunk but its ids as JSON."""
    return _json([chunk.start, chunk.end, chunk.text, chunk.headings, chunk.page, chunk.header])


def read_chunk_body(id_: str, document_id: str, body: str) -> Chunk:
    """Return the chunk behind `chunk_body`."""
    start, end, text, headings, page, header = json.loads(body)
    return Chunk(id_, document_id, start, end, text, tuple(headings), page, header)


def identity_body(identity: EmbedderIdentity) -> str:
    """Return the stamp of an edition as JSON."""
    return _json(asdict(identity))


def read_identity_body(body: str) -> EmbedderIdentity:
    """Return the identity behind `identity_body`."""
    return EmbedderIdentity(**json.loads(body))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
