"""What a stranger's SQLite file is made of, before it is opened for writing: tables and indexes, nothing that acts.

Triggers, views and virtual tables run when others read or write; none of ours exist. Read as SQLite advises for files
of unknown origin (https://www.sqlite.org/security.html): read-only, immutable, schema untrusted, only its list read.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

HEADER_BYTES = 100
MAGIC = b"SQLite format 3\0"
MAX_OBJECTS = 64
MAX_SQL_CHARACTERS = 10_000
ACTING = re.compile(r"\bVIRTUAL\b|\bload_extension\b|\bfts3_tokenizer\b|\breadfile\b|\bwritefile\b|\bedit\s*\(", re.I)
_READ_ONLY = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ}
_TABLES = ("sqlite_master", "sqlite_schema")


def find_database_fault(path: Path) -> str:
    """Return what a collection's database has that it may not; "": nothing. No row but the list of tables is read."""
    with path.open("rb") as stream:
        header = stream.read(HEADER_BYTES)
    if len(header) < HEADER_BYTES or not header.startswith(MAGIC):
        return "is no SQLite file"
    if header[18:20] not in (b"\1\1", b"\2\2"):
        return f"asks for version {header[18]} to write and {header[19]} to read, known are 1 and 2"
    uri = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA cell_size_check = ON")
            connection.set_authorizer(_allow_reading_the_list)
            rows = connection.execute("SELECT type, name, sql FROM sqlite_schema").fetchmany(MAX_OBJECTS + 1)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        return f"is not sound: {error}"
    if len(rows) > MAX_OBJECTS:
        return f"lists more than {MAX_OBJECTS} tables and indexes"
    return next((fault for row in rows if (fault := _judge(*row))), "")


def _judge(kind: object, name: object, sql: object) -> str:
    if kind not in ("table", "index") or not isinstance(name, str):
        return f"holds a {kind} {str(name)[:60]!r}; a collection has tables and indexes only"
    if sql is None and kind == "index" and name.startswith("sqlite_autoindex_"):
        return ""
    if not isinstance(sql, str) or len(sql) > MAX_SQL_CHARACTERS or ACTING.search(sql):
        return f"makes {kind} {name[:60]!r} by a command no collection has"
    return ""


def _allow_reading_the_list(action: int, first: str | None, *_: str | None) -> int:
    allowed = action in _READ_ONLY and (action == sqlite3.SQLITE_SELECT or first in _TABLES)
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY
