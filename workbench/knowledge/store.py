"""The truth of a collection: one SQLite file with its documents, chunks and vectors, and which generation is valid.

Readers work on a snapshot (WAL): a writer elsewhere never changes what they see. Every row carries its own SHA-256,
checked whenever it is read, and one row holds the fingerprint of all of them, so neither a flipped bit nor a lost row
can pass for content. No lock on writers here: that is `workbench/locking.py`.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from workbench.errors import BusyError, DamagedCollectionError
from workbench.knowledge.rows import (
    chunk_body,
    digest,
    document_body,
    read_chunk_body,
    read_document_body,
    read_identity_body,
    vector_key,
)
from workbench.knowledge.schema import SCHEMA_VERSION, State
from workbench.types import Chunk, Document, Float32

WAIT_SECONDS = 1.5  # for another program that locks the database
# The last column is the digest of those before it.
DOCUMENT_COLUMNS = "id, fingerprint, settings, body, digest"
CHUNK_COLUMNS = "id, document_id, vector_key, body, digest"


class Store:
    """An open database. Reads see the snapshot taken last; writes need the writer lock and a `transaction`."""

    def __init__(self, path: Path) -> None:
        """Open an existing database.

        Raises:
            DamagedCollectionError: it is no database of this program, or not a whole one.
        """
        self._path = path
        with self._named_faults():
            uri = f"{path.resolve().as_uri()}?mode=rw"
            self._connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=WAIT_SECONDS)
            try:
                self._prepare()
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Close the database; a second time does nothing."""
        self._connection.close()

    def take_snapshot(self) -> State:
        """Let reads see what is committed now, and nothing later, until the next snapshot or transaction.

        Raises:
            DamagedCollectionError: the rows are not those that were committed together.
        """
        self.end_snapshot()
        with self._named_faults():
            self._connection.execute("BEGIN")
            row = self._connection.execute("SELECT * FROM state").fetchone()
            if row is None:
                raise self._damaged("has lost its state row")
            _, stamp, fingerprint, vectors_sha256, words_sha256 = row
            found = self._fingerprint(stamp)
        if found != fingerprint:
            raise self._damaged(f"holds rows with fingerprint {found[:12]}, recorded is {fingerprint[:12]}")
        return State(read_identity_body(stamp), fingerprint, vectors_sha256, words_sha256)

    def end_snapshot(self) -> None:
        """Let reads see the newest state again."""
        if self._connection.in_transaction:
            self._connection.execute("COMMIT")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all writes of the block together, or none."""
        self.end_snapshot()
        with self._named_faults():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                # SQLite has rolled back by itself after some errors, a full disk among them.
                with suppress(sqlite3.OperationalError):
                    self._connection.execute("ROLLBACK")
                raise

    def checkpoint(self) -> bool:
        """Empty the write-ahead log, so that deleted text is in no file; False: another's snapshot prevents it."""
        with self._named_faults():
            self._connection.execute("PRAGMA busy_timeout = 0")
            try:
                busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                self._connection.execute(f"PRAGMA busy_timeout = {int(WAIT_SECONDS * 1000)}")
        return not busy

    def document_marks(self) -> dict[str, str]:
        """Return for each document id the mark of its content and settings (see `mark_document`)."""
        return dict(self._rows("SELECT id, digest FROM documents"))

    def document(self, id_: str) -> Document:
        """Return one document. Raises KeyError for an unknown id."""
        for row in self._rows(f"SELECT {DOCUMENT_COLUMNS} FROM documents WHERE id = ?", (id_,)):
            if row[-1] != digest(row[:-1]):
                raise self._damaged(f"has altered document {id_!r}")
            return read_document_body(id_, row[3])
        raise KeyError(id_)

    def put_document(self, document: Document, settings: str, chunks: Sequence[Chunk]) -> None:
        """Store a document and its chunks; one with the same id goes first, chunks included."""
        self.delete_document(document.id)
        row = (document.id, document.fingerprint, settings, document_body(document))
        self._connection.execute(
            f"INSERT INTO documents ({DOCUMENT_COLUMNS}) VALUES (?, ?, ?, ?, ?)", (*row, digest(row))
        )
        rows = [(chunk.id, chunk.document_id, vector_key(chunk), chunk_body(chunk)) for chunk in chunks]
        marked = [(*row, digest(row)) for row in rows]
        self._connection.executemany(f"INSERT INTO chunks ({CHUNK_COLUMNS}) VALUES (?, ?, ?, ?, ?)", marked)

    def delete_document(self, id_: str) -> None:
        """Delete a document and its chunks, if it is there."""
        self._connection.execute("DELETE FROM documents WHERE id = ?", (id_,))

    def chunk_ids(self) -> list[str]:
        """Return all chunk ids, sorted."""
        return [id_ for (id_,) in self._rows("SELECT id FROM chunks ORDER BY id")]

    def all_chunks(self) -> Iterator[Chunk]:
        """Yield all chunks in order of id."""
        for row in self._rows(f"SELECT {CHUNK_COLUMNS} FROM chunks ORDER BY id"):
            yield self._read_chunk(row)

    def chunks(self, ids: Sequence[str]) -> list[Chunk]:
        """Return the chunks in the order of `ids`. Raises KeyError for an unknown id."""
        return [self._chunk(id_) for id_ in ids]

    def vector_keys(self) -> set[str]:
        """Return the keys of all vectors, those of an update that was interrupted included."""
        return {key for (key,) in self._rows("SELECT key FROM vectors")}

    def put_vectors(self, keys: Sequence[str], vectors: Float32) -> None:
        """Store `vectors`, shape (len(keys), D)."""
        rows = [(key, vector.tobytes()) for key, vector in zip(keys, vectors, strict=True)]
        marked = [(*row, digest(row)) for row in rows]
        self._connection.executemany("INSERT INTO vectors VALUES (?, ?, ?)", marked)

    def drop_unused_vectors(self) -> None:
        """Delete the vectors that no chunk points to."""
        self._connection.execute("DELETE FROM vectors WHERE key NOT IN (SELECT vector_key FROM chunks)")

    def vectors(self, dimension: int) -> Float32:
        """Return the vectors of all chunks, shape (N, dimension), in order of chunk id."""
        n_chunks = next(self._rows("SELECT count(*) FROM chunks"))[0]
        vectors = np.empty((n_chunks, dimension), dtype=np.float32)
        joined = (
            "SELECT chunks.id, key, vector, vectors.digest FROM chunks LEFT JOIN vectors ON key = vector_key "
            "ORDER BY chunks.id"
        )
        for row, (id_, key, vector, mark) in enumerate(self._rows(joined)):
            if mark != digest((key, vector)):
                raise self._damaged(f"has lost or altered the vector of chunk {id_!r}")
            vectors[row] = np.frombuffer(vector, dtype=np.float32)
        return vectors

    def record_content(self) -> str:
        """Record the fingerprint of the rows as they stand, and that no generation fits them yet; return it."""
        stamp = next(self._rows("SELECT identity FROM state"))[0]
        found = self._fingerprint(stamp)
        self._connection.execute(
            "UPDATE state SET fingerprint = ?, vectors_sha256 = NULL, words_sha256 = NULL", (found,)
        )
        return found

    def record_generation(self, vectors_sha256: str, words_sha256: str) -> None:
        """Point to the generation that fits the rows as they stand."""
        self._connection.execute(
            "UPDATE state SET vectors_sha256 = ?, words_sha256 = ?", (vectors_sha256, words_sha256)
        )

    def _prepare(self) -> None:
        # A damaged name must reach the digest check that finds it, not stop at its decoding.
        self._connection.text_factory = lambda content: content.decode(errors="replace")
        for pragma in ("synchronous = FULL", "secure_delete = ON", "foreign_keys = ON", "trusted_schema = OFF"):
            self._connection.execute(f"PRAGMA {pragma}")
        found = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if found != SCHEMA_VERSION:
            raise self._damaged(f"has schema version {found}, this program reads {SCHEMA_VERSION}")

    def _fingerprint(self, stamp: str) -> str:
        # Sorted by id and without the documents' sources: order of insertion, clock and machine leave no trace.
        documents = self._rows("SELECT id, fingerprint FROM documents ORDER BY id")
        chunks = self._rows("SELECT id, digest FROM chunks ORDER BY id")
        return digest(chain([stamp], chain.from_iterable(documents), chain.from_iterable(chunks)))

    def _chunk(self, id_: str) -> Chunk:
        for row in self._rows(f"SELECT {CHUNK_COLUMNS} FROM chunks WHERE id = ?", (id_,)):
            return self._read_chunk(row)
        raise KeyError(id_)

    def _read_chunk(self, row: tuple[Any, ...]) -> Chunk:
        id_, document_id, _, body, mark = row
        if mark != digest(row[:-1]):
            raise self._damaged(f"has altered chunk {id_!r}")
        return read_chunk_body(id_, document_id, body)

    def _rows(self, query: str, values: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        with self._named_faults():
            yield from self._connection.execute(query, values)

    @contextmanager
    def _named_faults(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte; the rest says where
            if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                raise self._damaged(f"is not a whole database ({error})") from error
            if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                message = f"{self._path} is locked by another program ({error}); close it, then run the command again"
                raise BusyError(message) from error
            if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
                # Reading needs it too: SQLite keeps its write-ahead log beside the database.
                message = f"{error}; reading it takes a writable folder: chmod -R u+w {self._path.parent}, or copy it"
                raise PermissionError(errno.EACCES, message, str(self._path)) from error
            if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
                number = errno.ENOSPC if code == sqlite3.SQLITE_FULL else errno.EIO
                raise OSError(
                    number, f"{error}; nothing was changed, run the command again", str(self._path)
                ) from error
            raise

    def _damaged(self, fault: str) -> DamagedCollectionError:
        return DamagedCollectionError(
            f"{self._path} {fault}; remove {self._path.parent} and build it from its documents: workbench index CONFIG"
        )
