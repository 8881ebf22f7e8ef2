"""How many commits there were, told by a file beside the database: no older state can pass for the newest.

SQLite takes a damaged frame of its write-ahead log for the torn end of a transaction that was never committed, and goes
back to the state before it without a word. So each transaction counts itself in the database, and this file says how
many there were, written when a commit is durable. The database may be one commit ahead of it: a writer is between the
two steps, or was killed there. It is never behind, and never further ahead, since a writer brings the file up to date
before it commits. A copy of the folder takes the file with it; exports do not, for an import begins to count anew.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from workbench.runs import write_atomically

SUFFIX = ".commits"
MOST_BYTES = 100  # a count has 76 at most


class AlteredCountError(ValueError):
    """The file is not what was written. It never reaches the user: `judge_counts` tells."""


def count_path(database: Path) -> Path:
    """Return where the commits of a database are counted."""
    return database.with_suffix(SUFFIX)


def read_count(database: Path) -> int:
    """Return how many commits of a database were recorded; without a file none, as in one that was made before it.

    Raises:
        AlteredCountError: the file is not what was written.
    """
    try:
        with count_path(database).open("rb") as stream:
            content = stream.read(MOST_BYTES)
    except FileNotFoundError:
        return 0
    number, _, _ = content.partition(b" ")
    # What int() reads in more than one way, a sign or a leading zero, is not what was written.
    if not number.isdigit() or content != _count_body(int(number)):
        raise AlteredCountError(f"{count_path(database).name} is altered")
    return int(number)


def write_count(database: Path, count: int) -> None:
    """Record that a database has had `count` commits, durably; the caller holds the writer lock.

    Raises:
        OSError: the disk is full or failing; the commits themselves are made.
    """
    path = count_path(database)
    try:
        write_atomically(path, _count_body(count))
    except OSError as error:
        message = f"{error.strerror}; what was committed stays, but is not yet recorded: run the command again"
        raise OSError(error.errno, message, str(path)) from error


def remove_count(database: Path) -> None:
    """Forget what was recorded, for a database that is to be made anew."""
    count_path(database).unlink(missing_ok=True)
    remove_leftovers(database)


def remove_leftovers(database: Path) -> None:
    """Remove what writers left that were killed while they wrote the count; the caller holds the writer lock."""
    for leftover in database.parent.glob(f".{count_path(database).name}.*.tmp"):
        leftover.unlink(missing_ok=True)


def judge_counts(before: int, found: int, after: int) -> str:
    """Return what is wrong with a database that counts `found` commits, "" for nothing.

    Args:
        before: what was recorded before the snapshot began that `found` was read from.
        found: what the database itself says.
        after: what was recorded afterwards; writers go on meanwhile.
    """
    if found < before:
        return (
            f"is at commit {found:,}, but {before:,} were made, so it is an older state, as after damage to its "
            "write-ahead log"
        )
    if found > after + 1:
        return f"is at commit {found:,}, but {after:,} were recorded, so what was recorded is lost or of another time"
    return ""


def _count_body(count: int) -> bytes:
    digest = hashlib.sha256(f"workbench commits {count}".encode()).hexdigest()
    return f"{count} {digest}\n".encode()
