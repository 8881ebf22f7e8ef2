"""The SQLite connection behind a collection: snapshots, transactions, the write-ahead log, and faults with names.

Which tables there are is `schema.py`; what is read from and written to them is `store.py`.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from workbench.errors import BusyError, DamagedCollectionError
from workbench.knowledge.commits import AlteredCountError, judge_counts, read_count, remove_leftovers, write_count
from workbench.knowledge.refusals import refuse_damaged, refuse_lapsed, refuse_version
from workbench.knowledge.schema import SCHEMA_VERSION, expected_schema, read_schema

WAIT_SECONDS = 1.5  # for another program that locks the database
PRAGMAS = (
    "synchronous = FULL",
    "secure_delete = ON",
    "foreign_keys = ON",
    "trusted_schema = OFF",
    "cache_size = -32768",  # KiB
    "wal_autocheckpoint = 8192",  # pages: index pages that many groups touch are copied back once
)


class Database:
    """An open database. Reads see the snapshot begun last, or else what is committed; writes need a `transaction`."""

    def __init__(self, path: Path) -> None:
        """Open an existing database.

        Raises:
            DamagedCollectionError: it is no database of this program, or not a whole one.
            CollectionVersionError: another version of this program made it.
        """
        self.path = path
        self.lapse = ""  # why the snapshot is not the state committed last, as far as that can be told; "": it is
        with self.named_faults():
            uri = f"{path.resolve().as_uri()}?mode=rw"
            # Handed from thread to thread, as a server does, but used by one at a time: what sqlite3 would check is who
            # opened it, not that.
            self._connection = sqlite3.connect(
                uri, uri=True, isolation_level=None, timeout=WAIT_SECONDS, check_same_thread=False
            )
            try:
                self._prepare()
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Close the database; a second time does nothing."""
        self._connection.close()

    def begin_snapshot(self) -> None:
        """Let reads see what is committed now, and nothing later, until the next snapshot or transaction.

        `lapse` says whether that is an older state; who may not take one for the newest calls `refuse_lapse`.
        """
        self.end_snapshot()
        try:
            # In this order: what was recorded is never ahead of what a later snapshot sees, however fast others write.
            before = read_count(self.path)
            with self.named_faults():
                self._connection.execute("BEGIN")
                found = self._count_commits()
            self.lapse = judge_counts(before, found, read_count(self.path))
        except AlteredCountError as error:
            self.lapse = f"may be an older state: {error}"
            with self.named_faults():
                self.end_snapshot()
                self._connection.execute("BEGIN")

    def refuse_lapse(self) -> None:
        """Raise DamagedCollectionError where the snapshot begun last is not known to be the newest state."""
        if self.lapse:
            raise refuse_lapsed(self.path, self.lapse)

    def end_snapshot(self) -> None:
        """Let reads see the newest state again."""
        if self._connection.in_transaction:
            with self.named_faults():  # on a damaged database even this can fail
                self._connection.execute("COMMIT")

    @contextmanager
    def transaction(self, *, accept_lapse: bool = False) -> Iterator[None]:
        """Commit all writes of the block together, or none; then record that there was one commit more.

        With `accept_lapse`, an older state is from now on the newest, and what was recorded is written anew.

        Raises:
            DamagedCollectionError: it would go on from an older state; nothing was changed.
            OSError: as `write_count`: the change is made, and the next transaction records it.
        """
        self.end_snapshot()
        with self.named_faults():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                count = 1 + self._catch_up(accept_lapse)
                yield
                self._connection.execute(f"PRAGMA application_id = {count}")
                self._connection.execute("COMMIT")
            except BaseException:
                # SQLite has rolled back by itself after some errors, a full disk among them.
                with suppress(sqlite3.OperationalError):
                    self._connection.execute("ROLLBACK")
                raise
        write_count(self.path, count)

    def settle_count(self) -> None:
        """Record the commit of a writer that was killed before it could; the caller holds the writer lock.

        Raises:
            DamagedCollectionError: the database is at an older state.
        """
        self.end_snapshot()
        with self.named_faults():
            self._catch_up(False)
        remove_leftovers(self.path)

    def checkpoint(self) -> bool:
        """Empty the write-ahead log, so that deleted text is in no file; False: another's snapshot prevents it."""
        with self.named_faults():
            self._connection.execute("PRAGMA busy_timeout = 0")
            try:
                busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                self._connection.execute(f"PRAGMA busy_timeout = {int(WAIT_SECONDS * 1000)}")
        return not busy

    def vacuum(self, into: Path | None = None) -> None:
        """Write the database anew from its live rows, in place or as another file, which must not exist.

        Raises:
            OSError: the disk is full; nothing was changed. In place it takes twice the database's size for a while.
        """
        self.end_snapshot()
        with self.named_faults():
            self._connection.execute(
                "VACUUM" if into is None else "VACUUM INTO ?", () if into is None else (str(into),)
            )

    def rows(self, query: str, values: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query, read as they are asked for."""
        with self.named_faults():
            # No `yield from`: a generator given up half-way would close the cursor, maybe after the connection.
            for row in self._connection.execute(query, values):  # noqa: UP028
                yield row

    def first(self, query: str, values: Sequence[object] = ()) -> tuple[Any, ...] | None:
        """Return the first row of a query; None: there is none."""
        with self.named_faults():
            row: tuple[Any, ...] | None = self._connection.execute(query, values).fetchone()
        return row

    def write(self, command: str, values: Sequence[object] = ()) -> int:
        """Run one command inside a transaction; return how many rows it changed."""
        return self._connection.execute(command, values).rowcount

    def write_many(self, command: str, rows: Sequence[Sequence[object]]) -> None:
        """Run one command for each of `rows` inside a transaction."""
        self._connection.executemany(command, rows)

    def damaged(self, fault: str) -> DamagedCollectionError:
        """Return the error that says what is wrong with this database and how to go on."""
        return refuse_damaged(self.path, fault)

    @contextmanager
    def named_faults(self) -> Iterator[None]:
        """Turn SQLite's errors into those a user can mend."""
        try:
            yield
        except UnicodeDecodeError as error:  # SQLite's message quotes a damaged name, and is no text then
            raise self.damaged("is not a whole database (a name in it is not text)") from error
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte; the rest says where
            if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or "unsupported file format" in str(error):
                raise self.damaged(f"is not a whole database ({error})") from error
            if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                message = f"{self.path} is locked by another program ({error}); close it, then run the command again"
                raise BusyError(message) from error
            if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
                # Reading needs it too: SQLite keeps its write-ahead log beside the database.
                message = f"{error}; reading it takes a writable folder: chmod -R u+w {self.path.parent}, or copy it"
                raise PermissionError(errno.EACCES, message, str(self.path)) from error
            if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
                number = errno.ENOSPC if code == sqlite3.SQLITE_FULL else errno.EIO
                message = f"{error}; nothing was changed, run the command again"
                raise OSError(number, message, str(self.path)) from error
            raise

    def _count_commits(self) -> int:
        """Return how many commits the database counts: 0 in one that was made before commits were counted.

        The header holds it, in a field of 32 bits that SQLite leaves to applications: so it needs no table, and
        collections of the same schema that were made before stay readable.
        """
        count: int = self._connection.execute("PRAGMA application_id").fetchone()[0]
        return count

    def _catch_up(self, accept_lapse: bool) -> int:
        """Make what is recorded agree with the database, and return the number of the last commit."""
        found = self._count_commits()
        try:
            recorded = read_count(self.path)
            fault = judge_counts(recorded, found, recorded)
        except AlteredCountError as error:
            recorded, fault = 0, f"may be an older state: {error}"
        if fault and not accept_lapse:
            raise refuse_lapsed(self.path, fault)
        if recorded < found:
            write_count(self.path, found)
        return max(recorded, found)

    def _prepare(self) -> None:
        # A damaged name must reach the digest check that finds it, not stop at its decoding.
        self._connection.text_factory = lambda content: content.decode(errors="replace")
        for pragma in PRAGMAS:
            self._connection.execute(f"PRAGMA {pragma}")
        found = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if found not in (0, SCHEMA_VERSION):  # 0: nobody has written it yet, so it is an empty or a foreign file
            raise refuse_version(self.path, found, SCHEMA_VERSION)
        # A flipped bit in a table's definition could switch off a constraint, or rename a column, unseen by SQLite.
        if read_schema(self._connection) != expected_schema():
            raise self.damaged("holds other tables than this program makes")
