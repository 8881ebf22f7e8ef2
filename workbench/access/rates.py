"""How often a key may ask: a token bucket each, refilled by a clock that never goes back.

A minute's worth may come at once; over any t seconds no more than `per_minute * (1 + t / 60)` are let through.
Source: Turner, IEEE Communications Magazine 24(10), 1986 (the leaky bucket as a meter), https://doi.org/10.1109/MCOM.1986.1092946
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

MAX_KEYS = 10_000


class RateLimit:
    """Threads share it. Memory: two numbers for each of the `max_keys` keys that asked last."""

    def __init__(
        self, per_minute: int, *, clock: Callable[[], float] = time.monotonic, max_keys: int = MAX_KEYS
    ) -> None:
        """Take how many requests a key has a minute, 0 for no limit, and a clock in seconds.

        Args:
            max_keys: one key more, and the one that has not asked for longest begins anew, with a full bucket. Keys
                are made by people, so that many are not reached by asking.
        """
        self._per_minute, self._clock, self._max_keys = per_minute, clock, max_keys
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens left, and when that was

    def take(self, key: str) -> float:
        """Let one request of `key` through and return 0; else return in how many seconds the next one would be."""
        if not self._per_minute:
            return 0.0
        with self._lock:
            now = self._clock()
            tokens, then = self._buckets.pop(key, (float(self._per_minute), now))
            tokens = min(self._per_minute, tokens + (now - then) * self._per_minute / 60)
            # Who waits as long as was said must get through, whatever the sum of the fractions.
            wait = 0.0 if tokens >= 1 - 1e-9 else (1 - tokens) * 60 / self._per_minute
            self._buckets[key] = (tokens if wait else max(0.0, tokens - 1), now)
            while len(self._buckets) > self._max_keys:
                self._buckets.popitem(last=False)
            return wait

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self._buckets)
