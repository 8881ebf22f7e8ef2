"""Reciprocal rank fusion: merge rankings by rank alone, so their scores need not be comparable.

Source: Cormack, Clarke and Büttcher, SIGIR 2009, https://doi.org/10.1145/1571941.1572114
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

from workbench.contracts import Retriever
from workbench.types import Chunk, Hit, Ranking


def fuse_by_rank(rankings: Sequence[Ranking], *, k: int, damping: int = 60) -> Ranking:
    """Return the `k` best chunks of all `rankings`; equal scores go in order of chunk id.

    A chunk's score is the sum of 1 / (damping + rank) over the rankings that hold it, ranks counted from 1.
    """
    chunks: dict[str, Chunk] = {}
    shares: dict[str, list[float]] = defaultdict(list)
    for ranking in rankings:
        for rank, hit in enumerate(ranking, start=1):
            chunks[hit.chunk.id] = hit.chunk
            shares[hit.chunk.id].append(1 / (damping + rank))
    # fsum is exact, so equal ranks in another order of rankings stay a tie.
    fused = [Hit(chunk, math.fsum(shares[id_])) for id_, chunk in chunks.items()]
    return tuple(sorted(fused, key=lambda hit: (-hit.score, hit.chunk.id))[:k])


class FusionRetriever:
    """Asks every part for a pool of hits and fuses them by rank."""

    def __init__(self, parts: Sequence[Retriever], *, damping: int = 60, pool: int = 100) -> None:
        self._parts = tuple(parts)
        self._damping = damping
        self._pool = pool

    def search(self, question: str, *, k: int) -> Ranking:
        """Return the `k` best of the fused pools; each pool has `pool` hits, or `k` where that is more."""
        depth = max(self._pool, k)
        rankings = [part.search(question, k=depth) for part in self._parts]
        return fuse_by_rank(rankings, k=k, damping=self._damping)
