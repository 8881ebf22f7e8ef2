"""Several rankings into one: by rank, by scaled score, or by calibrated log-odds.

A pool is what one part found, best first, asked for `depth` hits. A chunk that a pool does not hold has a score there
too, only an unknown one: no better than the pool's floor. The floor of a full pool is its lowest score. A part that
could not fill its pool has named all it has, so the floor is min(0, lowest): no shared word is BM25 0, no likeness
cosine 0. Without this a part that finds three chunks for a rare word would count the third as no find at all.

Sources: Cormack, Clarke and Büttcher, SIGIR 2009, https://doi.org/10.1145/1571941.1572114 (by rank);
Bruch, Gai and Ingber, TOIS 2023, https://doi.org/10.1145/3596512 (convex, and lower bounds known in theory).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Protocol

from pydantic import Field

from workbench.contracts import ChunkStore
from workbench.retrieval.scored import Part, Scored, fetch, take_best
from workbench.types import EVERYTHING, Frozen, Ranking, Scope


class Calibration(Frozen):
    """One part's scores as log-odds: log(P / (1 - P)) of being relevant = slope * score + intercept."""

    slope: float = Field(ge=0)
    intercept: float

    def log_odds(self, score: float) -> float:
        """Return the log-odds (nats) that a chunk with this score is relevant."""
        return self.slope * score + self.intercept


class Fuse(Protocol):
    """One way to fuse."""

    def __call__(self, pools: Sequence[Scored], *, k: int, depth: int) -> Scored:
        """Return the `k` best ids of all `pools`, each asked for `depth`."""


def fuse_by_rank(pools: Sequence[Scored], *, k: int, damping: int = 60) -> Scored:
    """Return the `k` best ids of all `pools`; equal scores go in order of chunk id.

    A chunk's score is the sum of 1 / (damping + rank) over the pools that hold it, ranks counted from 1.
    """
    return _add_up([{id_: 1 / (damping + rank) for rank, (id_, _) in enumerate(pool, 1)} for pool in pools], k)


def by_rank(damping: int) -> Fuse:
    """Return `fuse_by_rank` in the shape of the others; how deep a pool is does not matter to it."""
    return lambda pools, *, k, depth: fuse_by_rank(pools, k=k, damping=damping)


def fuse_convex(pools: Sequence[Scored], *, k: int, depth: int, weights: Sequence[float]) -> Scored:
    """Return the `k` best ids by the weighted mean of scores scaled to 0..1 within each pool.

    scaled = (score - floor) / (best - floor); 1 for all where best and floor are equal; 0 for a chunk the pool does
    not hold. An empty pool adds nothing. The best score is 1 where all parts agree on the best chunk, however poor:
    it tells less than log-odds whether a question can be answered.
    """
    total = math.fsum(weights)
    scaled: list[dict[str, float]] = []
    for pool, weight in zip(pools, weights, strict=True):
        floor = _floor(pool, depth)
        width = pool[0][1] - floor if pool else 0.0
        scaled.append({id_: weight / total * ((score - floor) / width if width else 1.0) for id_, score in pool})
    return _add_up(scaled, k)


def fuse_log_odds(
    pools: Sequence[Scored], *, k: int, depth: int, weights: Sequence[float], calibrations: Sequence[Calibration]
) -> Scored:
    """Return the `k` best ids by the weighted mean of each part's log-odds; a missing chunk counts as its pool's floor.

    Nothing is scaled within a pool, so scores compare between questions, and a threshold can stand on them.
    """
    total = math.fsum(weights)
    everyone = {id_ for pool in pools for id_, _ in pool}
    odds: list[dict[str, float]] = []
    for pool, weight, calibration in zip(pools, weights, calibrations, strict=True):
        absent = weight / total * calibration.log_odds(_floor(pool, depth))
        held = {id_: weight / total * calibration.log_odds(score) for id_, score in pool}
        odds.append(dict.fromkeys(everyone, absent) | held)
    return _add_up(odds, k)


class FusionRetriever:
    """Asks every part for a pool of hits and fuses them."""

    def __init__(self, parts: Sequence[Part], collection: ChunkStore, fuse: Fuse, *, pool: int = 100) -> None:
        self._parts = tuple(parts)
        self._collection = collection
        self._fuse = fuse
        self._pool = pool

    def search(self, question: str, *, k: int, scope: Scope = EVERYTHING) -> Ranking:
        """Return the `k` best of the fused pools; each pool has `pool` hits, or `k` where that is more."""
        depth = max(self._pool, k)
        pools = [part.rank(question, k=depth, scope=scope) for part in self._parts]
        return fetch(self._collection, self._fuse(pools, k=k, depth=depth))


def _floor(pool: Scored, depth: int) -> float:
    lowest = pool[-1][1] if pool else 0.0
    return lowest if len(pool) >= depth else min(0.0, lowest)


def _add_up(shares: Iterable[dict[str, float]], k: int) -> Scored:
    gathered: dict[str, list[float]] = defaultdict(list)
    for share in shares:
        for id_, value in share.items():
            gathered[id_].append(value)
    # fsum is exact, so equal shares in another order of parts stay a tie.
    return take_best({id_: math.fsum(values) for id_, values in gathered.items()}, k)
