"""The tables of a collection's database, and how an empty one comes to be. Reading and writing them is `store.py`."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from workbench.knowledge.rows import digest, identity_body
from workbench.runs import sync_folder
from workbench.types import EmbedderIdentity

SCHEMA_VERSION = 1
# The digest stands before the body: a scan of the digests then need not read the long texts.
SCHEMA = f"""
PRAGMA journal_mode = WAL;
PRAGMA user_version = {SCHEMA_VERSION};
CREATE TABLE documents (
    id TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, settings TEXT NOT NULL, digest TEXT NOT NULL, body TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE chunks (
    id TEXT PRIMARY KEY, document_id TEXT NOT NULL REFERENCES documents ON DELETE CASCADE,
    vector_key TEXT NOT NULL, digest TEXT NOT NULL, body TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX chunks_by_document ON chunks (document_id);
CREATE TABLE vectors (key TEXT PRIMARY KEY, vector BLOB NOT NULL, digest TEXT NOT NULL);
CREATE TABLE state (
    only INTEGER PRIMARY KEY CHECK (only = 1), identity TEXT NOT NULL, fingerprint TEXT NOT NULL,
    vectors_sha256 TEXT, words_sha256 TEXT
);
"""


@dataclass(frozen=True, slots=True)
class State:
    """What the database vouches for. The two SHA-256 (hex) name the valid generation; None: none was built yet."""

    identity: EmbedderIdentity
    fingerprint: str
    vectors_sha256: str | None
    words_sha256: str | None


def create_database(path: Path, identity: EmbedderIdentity) -> None:
    """Make an empty database at `path`; after a crash it is there whole or not at all."""
    temporary = path.with_name(f".{path.name}.new")
    for leftover in path.parent.glob(f"{temporary.name}*"):
        leftover.unlink()
    connection = sqlite3.connect(temporary, isolation_level=None)
    try:
        connection.executescript(SCHEMA)
        stamp = identity_body(identity)
        connection.execute("INSERT INTO state VALUES (1, ?, ?, NULL, NULL)", (stamp, digest([stamp])))
    finally:
        connection.close()
    temporary.replace(path)
    sync_folder(path.parent)
