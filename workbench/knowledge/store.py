"""The truth of a collection, read and written: documents, chunks, vectors, files and editions as rows of one database.

Every row carries its own SHA-256, checked whenever it is read, and the state vouches for all of them together, so
neither a flipped bit nor a lost row can pass for content. Reading comes first below, then writing, which needs the
writer lock (`workbench/locking.py`) and a `transaction`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from workbench.knowledge.database import Database
from workbench.knowledge.ledger import Ledger, read_ledger
from workbench.knowledge.rows import (
    DocumentFacts,
    FileMark,
    KeyedChunk,
    chunk_body,
    digest,
    facts_body,
    identity_body,
    read_chunk_body,
    read_document,
    read_facts,
    read_identity_body,
    text_body,
)
from workbench.knowledge.schema import Edition, State, read_segments_body, segments_body
from workbench.types import Chunk, Document, EmbedderIdentity, Float32

EDITION_COLUMNS = "number, identity, chunks_sha256, segments, digest"
DOCUMENT_COLUMNS = "documents.number, documents.id, source, content, facts, mark, documents.digest"
CHUNK_COLUMNS = "chunks.row, chunks.id, documents.id, place, vector_key, body, chunks.digest"
CHUNKS = "chunks JOIN documents ON documents.number = chunks.document"
FILE_COLUMNS = "path, sha256, size, reader, document_id, kind, reason, digest"
BLOCK_ROWS = 4096  # vectors held in memory together


class DocumentMark(NamedTuple):
    """What tells whether a stored document is up to date, without its text."""

    number: int
    content: bytes  # digest of title, text and blocks
    digest: bytes  # of the whole row
    cut: bytes | None  # under which content and settings it was chunked; None: not yet in this edition


class StoredChunk(NamedTuple):
    """A chunk's row number, its place in its document, and itself."""

    row: int
    place: int
    chunk: Chunk


class Store(Database):
    """An open database with the tables of `schema.py`."""

    # -- state ---------------------------------------------------------------------------------------------------------

    def take_snapshot(self, edition: int | None = None) -> State:
        """Let reads see what is committed now, and nothing later, until the next snapshot or transaction.

        Args:
            edition: which one the state is of; None: the active one.

        Raises:
            DamagedCollectionError: the state row, or the edition it names, is lost or altered.
        """
        self.begin_snapshot()
        row = self.first("SELECT active, documents_sha256, digest FROM state")
        if row is None or row[-1] != digest(row[:-1]):
            raise self.damaged("has lost or altered its state row")
        return State(row[0], self.edition(edition or row[0]), row[1])

    def edition(self, number: int) -> Edition:
        """Return one edition. Raises DamagedCollectionError for one that is not there."""
        row = self.first(f"SELECT {EDITION_COLUMNS} FROM editions WHERE number = ?", (number,))
        if row is None or row[-1] != digest(row[:-1]):
            raise self.damaged(f"has lost or altered edition {number}")
        return Edition(number, read_identity_body(row[1]), row[2], read_segments_body(row[3]))

    def editions(self) -> list[Edition]:
        """Return all editions in order of number."""
        return [self.edition(number) for (number,) in list(self.rows("SELECT number FROM editions ORDER BY number"))]

    def scan_documents(self) -> Ledger:
        """Return the ledger of the documents."""
        return self._scan("SELECT number, 0, digest FROM documents ORDER BY number")

    def scan_chunks(self, edition: int) -> Ledger:
        """Return the ledger of an edition's chunks."""
        return self._scan("SELECT row, document, digest FROM chunks WHERE edition = ? ORDER BY row", (edition,))

    # -- documents -----------------------------------------------------------------------------------------------------

    def document_marks(self, edition: int) -> dict[str, DocumentMark]:
        """Return what is known of each document by id."""
        query = (
            "SELECT id, number, content, digest, cuts.mark FROM documents "
            "LEFT JOIN cuts ON cuts.document = number AND cuts.edition = ?"
        )
        return {id_: DocumentMark(*rest) for id_, *rest in self.rows(query, (edition,))}

    def document_digests(self) -> list[bytes]:
        """Return the digest of each document's content and facts, its source left out."""
        marks = []
        for id_, mark, source, whole in self.rows("SELECT id, mark, source, digest FROM documents"):
            if whole != digest((mark, source)):
                raise self.damaged(f"has altered document {id_!r}")
            marks.append(mark)
        return marks

    def facts(self) -> Iterator[tuple[int, DocumentFacts]]:
        """Yield number and facts of each document in order of id."""
        for row in self.rows(f"SELECT {DOCUMENT_COLUMNS} FROM documents ORDER BY documents.id"):
            yield row[0], self._read_facts(row)

    def document(self, id_: str) -> Document:
        """Return one document. Raises KeyError for an unknown id."""
        query = f"SELECT {DOCUMENT_COLUMNS}, body FROM documents LEFT JOIN texts ON document = number WHERE id = ?"
        row = self.first(query, (id_,))
        if row is None:
            raise KeyError(id_)
        *columns, body = row
        facts = self._read_facts(columns)
        if columns[3] != digest((facts.title, body)):
            raise self.damaged(f"has lost or altered the text of document {id_!r}")
        return read_document(facts, body)

    def file_marks(self) -> dict[str, FileMark]:
        """Return what became of each source file, by path."""
        marks = {}
        for row in self.rows(f"SELECT {FILE_COLUMNS} FROM files ORDER BY path"):
            if row[-1] != digest(row[:-1]):
                raise self.damaged(f"has altered what it knows of file {row[0]!r}")
            marks[row[0]] = FileMark(*row[:-1])
        return marks

    # -- chunks and vectors --------------------------------------------------------------------------------------------

    def chunk(self, edition: int, id_: str) -> StoredChunk:
        """Return one chunk. Raises KeyError for an unknown id."""
        query = f"SELECT {CHUNK_COLUMNS} FROM {CHUNKS} WHERE edition = ? AND chunks.id = ?"
        row = self.first(query, (edition, id_))
        if row is None:
            raise KeyError(id_)
        return self._read_chunk(row)

    def all_chunks(self, edition: int) -> Iterator[Chunk]:
        """Yield an edition's chunks in order of id."""
        query = f"SELECT {CHUNK_COLUMNS} FROM {CHUNKS} WHERE edition = ? ORDER BY chunks.id"
        return (self._read_chunk(row).chunk for row in self.rows(query, (edition,)))

    def chunks_of_rows(self, edition: int, first: int, last: int) -> Iterator[Chunk]:
        """Yield an edition's chunks of the rows `first` to `last`, in order of row."""
        query = f"SELECT {CHUNK_COLUMNS} FROM {CHUNKS} WHERE edition = ? AND row BETWEEN ? AND ? ORDER BY row"
        return (self._read_chunk(row).chunk for row in self.rows(query, (edition, first, last)))

    def chunks_of_document(self, edition: int, document_id: str, first: int, last: int) -> list[Chunk]:
        """Return a document's chunks at the places `first` to `last` (counted from 0), in order."""
        query = (
            f"SELECT {CHUNK_COLUMNS} FROM {CHUNKS} WHERE documents.id = ? AND edition = ? "
            "AND place BETWEEN ? AND ? ORDER BY place"
        )
        return [self._read_chunk(row).chunk for row in self.rows(query, (document_id, edition, first, last))]

    def ids_of_rows(self, rows: Sequence[int]) -> list[str]:
        """Return the chunk ids of `rows`, which are there, in order; whoever reads the chunk checks its digest."""
        found = [self.first("SELECT id FROM chunks WHERE row = ?", (row,)) for row in rows]
        if None in found:
            raise self.damaged(f"has lost chunk row {rows[found.index(None)]}")
        return [row[0] for row in found if row is not None]

    def rows_of_document(self, edition: int, number: int) -> list[tuple[int, bytes]]:
        """Return row and vector key of a document's chunks in order of place."""
        query = "SELECT row, vector_key FROM chunks WHERE document = ? AND edition = ? ORDER BY place"
        return list(self.rows(query, (number, edition)))

    def has_vector(self, edition: int, key: bytes) -> bool:
        """Say whether a text was embedded, by an update that was interrupted included."""
        return self.first("SELECT 1 FROM vectors WHERE edition = ? AND key = ?", (edition, key)) is not None

    def vectors_of(self, edition: int, ids: Sequence[str], dimension: int) -> Float32:
        """Return the vectors of chunks, shape (len(ids), dimension). Raises KeyError for an unknown id."""
        vectors = np.empty((len(ids), dimension), dtype=np.float32)
        query = (
            "SELECT chunks.id, key, vector, vectors.digest FROM chunks LEFT JOIN vectors "
            "ON vectors.edition = chunks.edition AND key = vector_key WHERE chunks.edition = ? AND chunks.id = ?"
        )
        for place, id_ in enumerate(ids):
            row = self.first(query, (edition, id_))
            if row is None:
                raise KeyError(id_)
            vectors[place] = self._read_vector(*row)
        return vectors

    def vector_blocks(self, edition: int, first: int, last: int, dimension: int) -> Iterator[Float32]:
        """Yield the vectors of the rows `first` to `last` in order of row, in blocks of shape (B, dimension)."""
        query = (
            "SELECT chunks.id, key, vector, vectors.digest FROM chunks LEFT JOIN vectors "
            "ON vectors.edition = chunks.edition AND key = vector_key "
            "WHERE chunks.edition = ? AND chunks.row BETWEEN ? AND ? ORDER BY chunks.row"
        )
        block: list[Float32] = []
        for row in self.rows(query, (edition, first, last)):
            block.append(self._read_vector(*row))
            if len(block) == BLOCK_ROWS:
                yield np.stack(block)
                block = []
        if block:
            yield np.stack(block)

    # -- writing -------------------------------------------------------------------------------------------------------

    def put_document(self, document: Document, number: int | None) -> tuple[int, bytes]:
        """Store a document, over the one that has `number` (None: a new one); return its number and digest."""
        body = text_body(document)
        row = document_row(document, digest((document.title, body)))
        if number is None:
            taken = self.first("SELECT seq FROM sqlite_sequence WHERE name = 'documents'")
            number = 1 + (taken[0] if taken else 0)
        self.write(
            "INSERT INTO documents (number, id, source, content, facts, mark, digest) VALUES (?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (number) DO UPDATE SET id = excluded.id, source = excluded.source, "
            "content = excluded.content, facts = excluded.facts, mark = excluded.mark, digest = excluded.digest",
            (number, *row),
        )
        self.write("INSERT OR REPLACE INTO texts VALUES (?, ?)", (number, body))
        return number, row[-1]

    def delete_documents(self, ids: Sequence[str], numbers: Sequence[int]) -> None:
        """Delete documents with their chunks in all editions, and what is known of the files they came from."""
        for number in numbers:
            self._loosen("document = ?", (number,))
        self.write_many("DELETE FROM documents WHERE number = ?", [(number,) for number in numbers])
        self.write_many("DELETE FROM files WHERE document_id = ?", [(id_,) for id_ in ids])

    def put_chunks(
        self, edition: int, number: int, chunks: Sequence[KeyedChunk], rows: Sequence[int | None], cut: bytes
    ) -> list[tuple[int, bytes]]:
        """Store a document's chunks in the place of those it had; return row and digest of each.

        Args:
            edition: where they belong.
            number: their document's.
            chunks: in order.
            rows: the row that each keeps, for a text that stays; None: a new one.
            cut: under which content and settings they were cut.
        """
        self._loosen("document = ? AND edition = ?", (number, edition))
        self.write("DELETE FROM chunks WHERE document = ? AND edition = ?", (number, edition))
        taken = self.first("SELECT seq FROM sqlite_sequence WHERE name = 'chunks'")
        fresh = taken[0] if taken else 0
        written, marks = [], []
        for place, ((chunk, _, key), kept) in enumerate(zip(chunks, rows, strict=True)):
            fresh += kept is None
            row = kept or fresh
            body = chunk_body(chunk)
            mark = digest((chunk.id, chunk.document_id, place, key, body))
            written.append((row, edition, number, place, chunk.id, key, mark, body))
            marks.append((row, mark))
        self.write_many("INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?)", written)
        self.write("INSERT OR REPLACE INTO cuts VALUES (?, ?, ?)", (number, edition, cut))
        return marks

    def drop_chunks_of_others(self, edition: int, number: int) -> int:
        """Delete a document's chunks in all editions but one, where they are out of date; return how many."""
        self._loosen("document = ? AND edition != ?", (number, edition))
        self.write("DELETE FROM cuts WHERE document = ? AND edition != ?", (number, edition))
        return self.write("DELETE FROM chunks WHERE document = ? AND edition != ?", (number, edition))

    def put_vectors(self, edition: int, keys: Sequence[bytes], vectors: Float32) -> None:
        """Store `vectors`, shape (len(keys), D). They are loose until a chunk points to them."""
        rows = [(edition, key, vector.tobytes()) for key, vector in zip(keys, vectors, strict=True)]
        marked = [(edition, key, digest((key, vector)), vector) for edition, key, vector in rows]
        self.write_many("INSERT INTO vectors (edition, key, digest, vector) VALUES (?, ?, ?, ?)", marked)
        self.write_many("INSERT OR IGNORE INTO loose VALUES (?, ?)", [row[:2] for row in rows])

    def has_loose_vectors(self) -> bool:
        """Say whether there may be vectors that no chunk points to."""
        return self.first("SELECT 1 FROM loose") is not None

    def drop_loose_vectors(self) -> None:
        """Delete the vectors that no chunk points to."""
        self.write(
            "DELETE FROM vectors WHERE rowid IN (SELECT vectors.rowid FROM loose JOIN vectors USING (edition, key) "
            "WHERE NOT EXISTS (SELECT 1 FROM chunks WHERE vector_key = loose.key AND edition = loose.edition))"
        )
        self.write("DELETE FROM loose")

    def put_file(self, file: FileMark) -> None:
        """Record what became of a source file."""
        row = (file.path, file.sha256, file.size, file.reader, file.document_id, file.kind, file.reason)
        self.write(
            f"INSERT OR REPLACE INTO files ({FILE_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*row, digest(row))
        )

    def delete_files_of(self, document_id: str) -> None:
        """Forget the source files of a document."""
        self.write("DELETE FROM files WHERE document_id = ?", (document_id,))

    def delete_files(self, paths: Iterable[str]) -> None:
        """Forget source files."""
        self.write_many("DELETE FROM files WHERE path = ?", [(path,) for path in paths])

    def add_edition(self, identity: EmbedderIdentity) -> Edition:
        """Add an empty edition, not active."""
        taken = self.first("SELECT seq FROM sqlite_sequence WHERE name = 'editions'")
        empty = read_ledger([]).sha256
        edition = Edition(1 + (taken[0] if taken else 0), identity, empty, ())
        self.write(f"INSERT INTO editions ({EDITION_COLUMNS}) VALUES (?, '', '', '', '')", (edition.number,))
        self.record_edition(edition)
        return edition

    def record_edition(self, edition: Edition) -> None:
        """Record what an edition vouches for."""
        row = (edition.number, identity_body(edition.identity), edition.chunks_sha256, segments_body(edition.segments))
        self.write(
            "UPDATE editions SET identity = ?2, chunks_sha256 = ?3, segments = ?4, digest = ?5 WHERE number = ?1",
            (*row, digest(row)),
        )

    def drop_edition(self, number: int) -> None:
        """Delete an edition that is not active, with its chunks and vectors."""
        self.write("DELETE FROM editions WHERE number = ?", (number,))

    def record_state(self, active: int, documents_sha256: bytes) -> None:
        """Record which edition is active and what the documents' ledger is."""
        row = (active, documents_sha256)
        self.write("UPDATE state SET active = ?, documents_sha256 = ?, digest = ?", (*row, digest(row)))

    # -- rows ----------------------------------------------------------------------------------------------------------

    def _loosen(self, condition: str, values: Sequence[object]) -> None:
        self.write(f"INSERT OR IGNORE INTO loose SELECT edition, vector_key FROM chunks WHERE {condition}", values)

    def _scan(self, query: str, values: Sequence[object] = ()) -> Ledger:
        try:
            return read_ledger(list(self.rows(query, values)))
        except (TypeError, ValueError) as error:
            raise self.damaged(f"holds a row that is none ({error})") from error

    def _read_facts(self, row: Sequence[Any]) -> DocumentFacts:
        _, id_, source, content, facts, mark, whole = row
        if mark != digest((id_, content, facts)) or whole != digest((mark, source)):
            raise self.damaged(f"has altered document {id_!r}")
        return read_facts(id_, source, facts)

    def _read_chunk(self, row: Sequence[Any]) -> StoredChunk:
        number, id_, document_id, place, key, body, mark = row
        if mark != digest((id_, document_id, place, key, body)):
            raise self.damaged(f"has altered chunk {id_!r}")
        return StoredChunk(number, place, read_chunk_body(id_, document_id, body))

    def _read_vector(self, id_: str, key: bytes | None, vector: bytes | None, mark: bytes | None) -> Float32:
        if key is None or vector is None or mark != digest((key, vector)):
            raise self.damaged(f"has lost or altered the vector of chunk {id_!r}")
        return np.frombuffer(vector, dtype=np.float32)


def document_row(document: Document, content: bytes) -> tuple[str, str, bytes, str, bytes, bytes]:
    """Return id, source, content, facts, mark and digest of a document, `content` being that of title and text."""
    facts = facts_body(document)
    mark = digest((document.id, content, facts))
    return document.id, document.source, content, facts, mark, digest((mark, document.source))


def match_rows(old: Sequence[tuple[int, bytes]], chunks: Sequence[KeyedChunk]) -> list[int | None]:
    """Return for each chunk the row that it keeps: one of `old` with the same indexed text, in order; None: none."""
    free: dict[bytes, list[int]] = {}
    for row, key in reversed(old):
        free.setdefault(key, []).append(row)
    return [rows.pop() if (rows := free.get(chunk.key)) else None for chunk in chunks]
