"""How many chats are taken on at all: a place is taken before the body is read, and given back when the answer ended.

Decided before any work, so that a full server refuses in microseconds; the engine behind it never overflows.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from workbench.errors import QueueFullError

REMEMBERED = 64  # answers whose durations say how long the next will take


class Admission:
    """Used from the event loop only, so it needs no lock."""

    def __init__(self, *, slots: int, queue: int) -> None:
        """`slots` are answered together, `queue` more may wait."""
        self._slots, self._places = slots, slots + queue
        self._seconds: deque[float] = deque(maxlen=REMEMBERED)
        self.taken = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place while the block runs. Raises QueueFullError when there is none."""
        if self.taken >= self._places:
            raise QueueFullError(
                f"{self.taken} requests are running or waiting, and {self._places} may; come again later",
                retry_after=self._wait(),
            )
        self.taken += 1
        started = time.monotonic()
        try:
            yield
        finally:
            self.taken -= 1
            self._seconds.append(time.monotonic() - started)

    def _wait(self) -> float:
        """Seconds until a place may be free: one round of slots at the pace of the last answers."""
        return sum(self._seconds) / len(self._seconds) / self._slots if self._seconds else 1.0
