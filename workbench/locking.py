"""One writer at a time: a kernel lock on a file that also says who holds it.

Not a pid file: the kernel frees `flock` when its process dies, however it dies, so a stale lock cannot exist and the
pid inside is only for the message. POSIX and local disks; network file systems may not honour it.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.errors import BusyError, named_path

WAIT_SECONDS = 1.5  # the second writer is promised its answer within 2 s
POLL_SECONDS = 0.02
NAMELESS_SECONDS = 0.2  # more, for a holder that has not written its pid yet


@contextmanager
def hold_writer_lock(path: Path, *, wait_seconds: float = WAIT_SECONDS) -> Iterator[None]:
    """Hold the lock at `path` for the block; the file itself stays, since removing it would let two writers in.

    Raises:
        BusyError: another writer, in this process or another, still held it after `wait_seconds`.
    """
    with path.open("ab+", buffering=0) as stream:  # unbuffered: a write that failed is not tried again on closing
        deadline = time.monotonic() + wait_seconds
        while not _try_lock(stream.fileno()):
            if time.monotonic() >= deadline:
                stream.seek(0)
                holder = stream.read().decode("ascii", "replace").strip()
                # Empty between a holder's lock and its pid, and between its last act and its unlocking.
                if not holder and time.monotonic() < deadline + NAMELESS_SECONDS:
                    time.sleep(POLL_SECONDS)
                    continue
                raise BusyError(
                    f"{path.parent} is being written by process {holder or 'unknown'}, so process {os.getpid()} may "
                    "not write; wait for it to end, then run the same command again"
                )
            time.sleep(POLL_SECONDS)
        with named_path(path):
            stream.truncate(0)
            stream.write(f"{os.getpid()}\n".encode("ascii"))
        try:
            yield
        finally:
            with named_path(path):
                stream.truncate(0)
            fcntl.flock(stream.fileno(), fcntl.LOCK_UN)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
