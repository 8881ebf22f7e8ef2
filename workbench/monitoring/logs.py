"""The logs of questions and of feedback: append-only JSON lines, one whole line a record, in files of bounded size.

A kill leaves whole lines and at most one torn last line, which reading skips and tells. Questions are not fsynced: a
power cut may lose the last seconds of them, and a question must not wait for a disk; feedback, a person's work, is.
Files are for their owner alone (0600). One process writes a folder; its threads may share a log.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Generic, Self, TypeVar

from pydantic import ValidationError

from workbench.errors import named_path
from workbench.monitoring.records import FeedbackRecord, Mode, QueryRecord
from workbench.runs import sync_folder

Record = TypeVar("Record", QueryRecord, FeedbackRecord)
FILE_BYTES = 64 * 2**20
QUERIES, FEEDBACK = "queries", "feedback"
FOLDER = "log"  # below the server's folder


class _Lines:
    """One growing file `NAME.jsonl`, moved away to `NAME-000001.jsonl` and so on when it is full."""

    def __init__(self, folder: Path, name: str, *, file_bytes: int, durable: bool) -> None:
        self._folder, self._name, self._file_bytes, self._durable = folder, name, file_bytes, durable
        self._path = folder / f"{name}.jsonl"
        self._lock = threading.Lock()
        self._descriptor: int | None = None  # None: not open
        self._torn = False  # the file does not end with a newline

    def append(self, line: str) -> None:
        content = line.encode() + b"\n"
        with self._lock, named_path(self._path):
            descriptor = self._open()
            size = os.fstat(descriptor).st_size
            if size and size + len(content) > self._file_bytes:
                descriptor, size = self._rotate(), 0
            if self._torn:  # what was torn stays alone on its line
                content = b"\n" + content
            self._torn = True
            written = os.write(descriptor, content)
            while written < len(content):  # a disk that is nearly full takes a part; the next call raises
                written += os.write(descriptor, content[written:])
            self._torn = False
            if self._durable:
                os.fsync(descriptor)

    def close(self) -> None:
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def _open(self) -> int:
        if self._descriptor is None:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.fchmod(descriptor, 0o600)  # one that was there already
            size = os.fstat(descriptor).st_size
            self._torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            self._descriptor = descriptor
        return self._descriptor

    def _rotate(self) -> int:
        assert self._descriptor is not None
        os.close(self._descriptor)
        self._descriptor = None
        self._path.rename(self._folder / f"{self._name}-{_last_number(self._folder, self._name) + 1:06}.jsonl")
        sync_folder(self._folder)
        return self._open()


class QueryLog:
    """The log of questions. Use it as a context manager, or close it."""

    def __init__(self, folder: Path, *, mode: Mode, file_bytes: int = FILE_BYTES) -> None:
        """Write below `folder`; nothing is made before the first record.

        Args:
            mode: off: nothing is written; measures: no words; content: question and answer too.
            file_bytes: a file that would grow beyond it is moved away and a new one begun; none is ever deleted.
        """
        self._mode = mode
        self._lines = _Lines(folder, QUERIES, file_bytes=file_bytes, durable=False)

    def append(self, record: QueryRecord) -> None:
        """Write one line; safe to call from any thread. What the mode does not allow is left out here.

        Raises:
            OSError: the disk is full or failing; the record is lost, those before it are not.
        """
        if self._mode == "off":
            return
        kept = record if self._mode == "content" else record.without_words()
        self._lines.append(kept.model_dump_json(exclude_none=True))

    def close(self) -> None:
        """Close the file; the next record opens it again."""
        self._lines.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class FeedbackLog:
    """The log of feedback. Use it as a context manager, or close it."""

    def __init__(self, folder: Path, *, file_bytes: int = FILE_BYTES) -> None:
        """Write below `folder`, beside the questions; nothing is made before the first record."""
        self._lines = _Lines(folder, FEEDBACK, file_bytes=file_bytes, durable=True)

    def append(self, record: FeedbackRecord) -> None:
        """Write one line and make it durable; safe to call from any thread. Raises OSError as `QueryLog.append`."""
        self._lines.append(record.model_dump_json(exclude_none=True))

    def close(self) -> None:
        """Close the file; the next record opens it again."""
        self._lines.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class Logged(Generic[Record]):
    """What a log holds, oldest first, and what in it could not be read."""

    records: tuple[Record, ...]
    events: tuple[str, ...]


def read_queries(folder: Path, *, since: datetime | None = None) -> Logged[QueryRecord]:
    """Return the questions that came at `since` or later; a folder without a log holds none."""
    return _read(folder, QUERIES, QueryRecord, since)


def read_feedback(folder: Path, *, since: datetime | None = None) -> Logged[FeedbackRecord]:
    """Return the feedback given at `since` or later, the last of each response only."""
    found = _read(folder, FEEDBACK, FeedbackRecord, since)
    last = {record.response_id: record for record in found.records}
    return Logged(tuple(last.values()), found.events)


def _read(folder: Path, name: str, kind: type[Record], since: datetime | None) -> Logged[Record]:
    records: list[Record] = []
    events: list[str] = []
    for path in log_files(folder, name):
        with path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                if not line.strip():
                    continue
                try:
                    record = kind.model_validate_json(line)
                except ValidationError as error:
                    what = "torn" if not line.endswith(b"\n") else error.errors()[0]["msg"]
                    events.append(f"{path.name}:{number}: no {kind.__name__}, skipped: {what}")
                    continue
                if since is None or record.time >= since:
                    records.append(record)
    return Logged(tuple(records), tuple(events))


def log_files(folder: Path, name: str) -> list[Path]:
    """Return a log's files, oldest first; those that were moved away have a number."""
    moved = sorted(_numbered(folder, name))
    current = folder / f"{name}.jsonl"
    return [path for _, path in moved] + ([current] if current.exists() else [])


def _numbered(folder: Path, name: str) -> Iterator[tuple[int, Path]]:
    for path in folder.glob(f"{name}-*.jsonl"):
        if match := re.fullmatch(rf"{name}-(\d+)\.jsonl", path.name):
            yield int(match[1]), path


def _last_number(folder: Path, name: str) -> int:
    return max((number for number, _ in _numbered(folder, name)), default=0)
