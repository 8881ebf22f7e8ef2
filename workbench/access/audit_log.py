"""The audit log: who asked what of which collection, a JSON line each, which holds the SHA-256 of the line before.

So a line that is taken out, put in or altered shows (`log_check.py`), also across rotated files, which nothing here
removes. `audit.head` names the last line: lines cut off at the end show by it.

What cannot be recorded is not done: when a line cannot be written (a full disk), it is kept in memory, and `check`,
called before each request, refuses until it is on the disk. Going on unrecorded would let whoever fills the disk read
unseen; the requests under way then are the most that a crash can cost. Lines survive the death of the process; with the
machine's power, the last seconds may be lost.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from workbench.errors import AuditLogError, named_path

LOG, HEAD = "audit.jsonl", "audit.head"
ROTATED = "audit-[0-9]*.jsonl"
FIRST = "0" * 64  # what the first line has in the place of a hash
MAX_BYTES = 64 * 2**20
MAX_WAITING = 10_000  # lines in memory while the disk takes none
TAIL_BYTES = 2**16  # read at once to find the last line


@dataclass(frozen=True, slots=True)
class Event:
    """One request, when it was answered."""

    key_id: str | None  # None: the owner, or nobody who was let in
    key: str | None  # the key's name
    route: str
    status: int  # HTTP's
    collection: str | None = None
    n_passages: int = 0  # shown, or put into the prompt
    seconds: float = 0.0
    words: str | None = None  # what was asked; written only where the log was opened for it


@dataclass(frozen=True, slots=True)
class LastLine:
    """The last line: its number, counted from 1, and its SHA-256 in hex."""

    n: int = 0
    sha256: str = FIRST


class AuditLog:
    """Threads share it, and so may processes."""

    def __init__(
        self,
        folder: Path,
        *,
        content: bool = False,
        max_bytes: int = MAX_BYTES,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Take the log's folder, made where it is missing, for this user alone.

        Args:
            content: write the words that were asked too.
            max_bytes: a file that has reached this is put aside, and a new one goes on with the chain.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder, self._path = folder, folder / LOG
        self._content, self._max_bytes, self._clock = content, max_bytes, clock
        self._lock = threading.Lock()
        self._waiting: deque[dict[str, object]] = deque()
        self._n_lost = 0
        self._seen: tuple[int, int] | None = None  # inode and size of the file after our last line
        self._last = LastLine()

    def record(self, event: Event) -> None:
        """Append one line; where the disk does not take it, it waits, and `check` refuses until it is written."""
        fields = asdict(event if self._content else replace(event, words=None))
        if not self._content:
            del fields["words"]
        with self._lock:
            if len(self._waiting) < MAX_WAITING:
                self._waiting.append({"time": self._clock().isoformat(), **fields})
            else:
                self._n_lost += 1  # told by the next line
            with suppress(OSError):
                self._write_waiting()

    def check(self) -> None:
        """Refuse a request while what was asked before it is not recorded.

        Raises:
            AuditLogError: the log cannot be written.
        """
        with self._lock:
            try:
                self._write_waiting()
            except OSError as error:
                raise AuditLogError(
                    error.errno,
                    f"the audit log cannot be written ({error.strerror}), so nothing is answered; make room on its "
                    "disk, then ask again",
                    str(self._path),
                ) from error

    def _write_waiting(self) -> None:
        while self._waiting:
            self._append(self._waiting[0])
            self._waiting.popleft()

    def _append(self, fields: dict[str, object]) -> None:
        with named_path(self._path), self._opened() as (descriptor, size):
            lost = {"lost": self._n_lost} if self._n_lost else {}
            numbered = {"n": self._last.n + 1, **fields, **lost, "previous": self._last.sha256}
            line = json.dumps(numbered).encode("ascii") + b"\n"
            try:
                if os.write(descriptor, line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except BaseException:
                os.ftruncate(descriptor, size)
                raise
            self._n_lost = 0
            self._last = LastLine(self._last.n + 1, hashlib.sha256(line[:-1]).hexdigest())
            self._seen = (os.fstat(descriptor).st_ino, size + len(line))
            with suppress(OSError):  # it may lag: the line itself is there
                _write_head(self._folder, self._last)
            if size + len(line) >= self._max_bytes:
                with suppress(OSError):  # then the file grows on, and the next line tries again
                    os.fsync(descriptor)
                    self._path.rename(self._folder / f"audit-{1 + len(rotated(self._folder)):06}.jsonl")

    @contextmanager
    def _opened(self) -> Iterator[tuple[int, int]]:
        """Yield the file, locked against other processes, and its size, with `_last` up to date."""
        descriptor = self._open_locked()
        try:
            found = os.fstat(descriptor)
            size = found.st_size
            if (found.st_ino, size) != self._seen:
                whole = _end_of_last_line(descriptor, size)
                if whole < size:  # of a process that died while it wrote
                    os.ftruncate(descriptor, whole)
                self._last, size = _find_last(self._folder, descriptor, whole), whole
            yield descriptor, size
        finally:
            os.close(descriptor)

    def _open_locked(self) -> int:
        while True:
            descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):
                if os.fstat(descriptor).st_ino == self._path.stat().st_ino:
                    return descriptor
            os.close(descriptor)  # another process put it aside while this one waited for it


def rotated(folder: Path) -> list[Path]:
    """Return the files of a log that were put aside, oldest first."""
    return sorted(folder.glob(ROTATED))


def _find_last(folder: Path, descriptor: int, size: int) -> LastLine:
    """Return the line to go on from: the last one there is, or the one that the head names, where that came after it.

    So a log that was cut goes on with the number it had, and the gap shows.
    """
    line = _last_line(descriptor, size)
    aside = rotated(folder)
    if not line and aside:
        with aside[-1].open("rb") as stream:
            line = _last_line(stream.fileno(), os.fstat(stream.fileno()).st_size)
    head = read_head(folder)
    try:
        found = LastLine(int(json.loads(line)["n"]), hashlib.sha256(line).hexdigest()) if line else LastLine()
    except (ValueError, KeyError, TypeError):  # whatever stands there, the head knows what was written
        found = LastLine()
    return head if head.n > found.n else found


def _end_of_last_line(descriptor: int, size: int) -> int:
    """Return the size of the file without what follows its last line end."""
    end = size
    while end:
        start = max(0, end - TAIL_BYTES)
        place = os.pread(descriptor, end - start, start).rfind(b"\n")
        if place >= 0:
            return start + place + 1
        end = start
    return 0


def _last_line(descriptor: int, size: int) -> bytes:
    """Return the last line of a file of whole lines, without its end; none: b""."""
    if not size:
        return b""
    start = _end_of_last_line(descriptor, size - 1)
    return os.pread(descriptor, size - 1 - start, start)


def _write_head(folder: Path, last: LastLine) -> None:
    """Name the last line. In place, since it is one short write, and a head that is wrong shows as such."""
    descriptor = os.open(folder / HEAD, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.pwrite(descriptor, f"{last.n:020} {last.sha256}\n".encode("ascii"), 0)
    finally:
        os.close(descriptor)


def read_head(folder: Path) -> LastLine:
    """Return the line that the head names as the last one; none, where there is no head or it is no head."""
    try:
        number, sha256 = (folder / HEAD).read_text(encoding="ascii").split()
        return LastLine(int(number), sha256)
    except (OSError, ValueError):
        return LastLine()
