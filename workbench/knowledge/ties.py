"""The best k of an index that breaks ties its own way: exact, with equal scores in order of chunk id."""

from __future__ import annotations

from collections.abc import Callable

Scored = list[tuple[str, float]]  # (chunk id, score), best first


def take_best(fetch: Callable[[int], Scored], k: int, n_total: int) -> Scored:
    """Return the `k` best of `fetch(limit)`, equal scores in order of chunk id.

    An index cuts a run of equal scores wherever it likes, so more is fetched until the run that holds the k-th score
    has ended; only then is it known which of the run come first.

    Raises:
        ValueError: `k` is below 1.
    """
    if k < 1:
        raise ValueError(f"k is {k}, must be at least 1")
    limit = min(k + 8, n_total)
    found = fetch(limit) if limit else []
    while limit < n_total and len(found) == limit and found[-1][1] == found[k - 1][1]:
        limit = min(limit * 4, n_total)
        found = fetch(limit)
    return sorted(found, key=lambda one: (-one[1], one[0]))[:k]
