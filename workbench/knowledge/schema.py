"""The tables of a collection's database, what its state rows say, and how an empty one comes to be.

Reading and writing the tables is `store.py`. An edition is one embedder's chunks, vectors and segments; documents are
shared by all editions, and one edition is active.
"""

from __future__ import annotations

import errno
import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from workbench.knowledge.commits import remove_count
from workbench.knowledge.rows import digest, identity_body
from workbench.runs import sync_folder
from workbench.types import EmbedderIdentity

SCHEMA_VERSION = 2
# Long texts stand in tables or columns of their own, behind the digests, and the two indexes over digests cover what
# opening reads: it scans digests only, never texts.
SCHEMA = f"""
PRAGMA journal_mode = WAL;
PRAGMA user_version = {SCHEMA_VERSION};
CREATE TABLE editions (
    number INTEGER PRIMARY KEY AUTOINCREMENT, identity TEXT NOT NULL, chunks_sha256 BLOB NOT NULL,
    segments TEXT NOT NULL, digest BLOB NOT NULL
);
CREATE TABLE state (
    only INTEGER PRIMARY KEY CHECK (only = 1), active INTEGER NOT NULL REFERENCES editions,
    documents_sha256 BLOB NOT NULL, digest BLOB NOT NULL
);
CREATE TABLE documents (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, source TEXT NOT NULL,
    content BLOB NOT NULL, mark BLOB NOT NULL, digest BLOB NOT NULL, facts TEXT NOT NULL
);
CREATE INDEX documents_by_number ON documents (number, digest);
CREATE TABLE texts (document INTEGER PRIMARY KEY REFERENCES documents ON DELETE CASCADE, body TEXT NOT NULL);
CREATE TABLE cuts (
    document INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    edition INTEGER NOT NULL REFERENCES editions ON DELETE CASCADE, mark BLOB NOT NULL,
    PRIMARY KEY (document, edition)
) WITHOUT ROWID;
CREATE TABLE chunks (
    row INTEGER PRIMARY KEY AUTOINCREMENT, edition INTEGER NOT NULL REFERENCES editions ON DELETE CASCADE,
    document INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE, place INTEGER NOT NULL, id TEXT NOT NULL,
    vector_key BLOB NOT NULL, digest BLOB NOT NULL, body TEXT NOT NULL
);
CREATE UNIQUE INDEX chunks_by_id ON chunks (edition, id);
CREATE UNIQUE INDEX chunks_by_place ON chunks (document, edition, place);
CREATE INDEX chunks_by_key ON chunks (vector_key, edition);
CREATE INDEX chunks_by_row ON chunks (edition, row, document, digest);
CREATE TABLE vectors (
    edition INTEGER NOT NULL REFERENCES editions ON DELETE CASCADE, key BLOB NOT NULL, digest BLOB NOT NULL,
    vector BLOB NOT NULL
);
CREATE UNIQUE INDEX vectors_by_key ON vectors (edition, key);
CREATE TABLE loose (
    edition INTEGER NOT NULL REFERENCES editions ON DELETE CASCADE, key BLOB NOT NULL, PRIMARY KEY (edition, key)
) WITHOUT ROWID;
CREATE TABLE files (
    path TEXT PRIMARY KEY, digest BLOB NOT NULL, sha256 TEXT NOT NULL, size INTEGER NOT NULL, reader TEXT NOT NULL,
    document_id TEXT, kind TEXT NOT NULL, reason TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX files_by_document ON files (document_id);
"""


@dataclass(frozen=True, slots=True)
class SegmentRecord:
    """What the state says of one segment: rows `first` to `last`, `n` of them, and the SHA-256 (hex) of each file.

    `choice` is how its vectors are indexed (an `IndexChoice` as JSON), `wanted` the knobs that were asked for.
    """

    name: str
    first: int
    last: int
    n: int
    wanted: Mapping[str, Any]
    choice: Mapping[str, Any]
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Edition:
    """One embedder's view of the documents; `chunks_sha256` is over its rows (see `Ledger`)."""

    number: int
    identity: EmbedderIdentity
    chunks_sha256: bytes
    segments: tuple[SegmentRecord, ...]  # in order of their rows


@dataclass(frozen=True, slots=True)
class State:
    """What the database vouches for: an edition, usually the active one, and the documents (see `Ledger`)."""

    active: int  # number of the edition that is searched
    edition: Edition
    documents_sha256: bytes


def segments_body(segments: Sequence[SegmentRecord]) -> str:
    """Return segment records as JSON."""
    return json.dumps([asdict(segment) for segment in segments], sort_keys=True, separators=(",", ":"))


def read_segments_body(body: str) -> tuple[SegmentRecord, ...]:
    """Return the records behind `segments_body`."""
    return tuple(SegmentRecord(**fields) for fields in json.loads(body))


def read_schema(connection: sqlite3.Connection) -> list[tuple[str, ...]]:
    """Return what a database says its tables and indexes are."""
    return list(connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name"))


@cache
def expected_schema() -> list[tuple[str, ...]]:
    """Return what `read_schema` gives for an undamaged database."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.executescript(SCHEMA)
        return read_schema(connection)
    finally:
        connection.close()


def create_database(path: Path, identity: EmbedderIdentity) -> None:
    """Make an empty database at `path`; after a crash it is there whole or not at all."""
    temporary = path.with_name(f".{path.name}.new")
    for leftover in path.parent.glob(f"{temporary.name}*"):
        leftover.unlink()
    try:
        with closing(sqlite3.connect(temporary, isolation_level=None)) as connection:
            connection.executescript(SCHEMA)
            empty = digest([])  # the SHA-256 of an empty ledger
            edition = (1, identity_body(identity), empty, segments_body([]))
            connection.execute("INSERT INTO editions VALUES (?, ?, ?, ?, ?)", (*edition, digest(edition)))
            connection.execute("INSERT INTO state VALUES (1, 1, ?, ?)", (empty, digest((1, empty))))
            # Closing empties the write-ahead log too, but says nothing when that fails; and the log is not renamed.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except sqlite3.OperationalError as error:
        full = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
        message = f"{error}; nothing was made, run the command again"
        raise OSError(errno.ENOSPC if full else errno.EIO, message, str(path)) from error
    for leftover in path.parent.glob(f"{temporary.name}-*"):
        leftover.unlink()
    for suffix in ("-wal", "-shm"):  # of a database that was removed alone: SQLite would write its log into this one
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    remove_count(path)
    temporary.replace(path)
    sync_folder(path.parent)
