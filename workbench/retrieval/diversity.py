"""Maximal marginal relevance: each next hit is good, and unlike those already chosen.

Source: Carbonell and Goldstein, SIGIR 1998, https://doi.org/10.1145/290941.291025
"""

from __future__ import annotations

import numpy as np

from workbench.config import DiversityConfig
from workbench.contracts import ChunkStore
from workbench.types import Hit, Ranking


class Diversity:
    """Chooses from a ranking by relevance and by the stored vectors of its chunks."""

    def __init__(self, collection: ChunkStore, config: DiversityConfig) -> None:
        self._collection = collection
        self._relevance = config.relevance
        self.pool = config.pool  # hits it wants to choose from

    def choose(self, ranking: Ranking, *, k: int) -> Ranking:
        """Return `k` of `ranking`, or all where it has fewer, scored in [-1, 1] by

            relevance * scaled score - (1 - relevance) * highest cosine to a hit chosen before

        Scores are scaled to 0..1 within the ranking (all 1 where they are equal). A cosine below 0 counts as 0, which
        also makes the new scores fall from hit to hit. Equal ones go in order of chunk id.
        """
        if not ranking:
            return ()
        vectors = self._collection.vectors_of([hit.chunk.id for hit in ranking]).astype(np.float64)  # (N, D)
        likeness = np.maximum(vectors @ vectors.T, 0.0)  # (N, N)
        scores = np.array([hit.score for hit in ranking])  # (N,)
        width = scores.max() - scores.min()
        scaled = (scores - scores.min()) / width if width else np.ones_like(scores)
        nearest = np.zeros_like(scores)  # (N,) highest likeness to a chosen hit
        open_ = sorted(range(len(ranking)), key=lambda place: ranking[place].chunk.id)
        chosen: list[Hit] = []
        while open_ and len(chosen) < k:
            gains = self._relevance * scaled - (1 - self._relevance) * nearest
            best = max(open_, key=lambda place: gains[place])  # the first of equals, so the lowest id
            open_.remove(best)
            chosen.append(Hit(ranking[best].chunk, float(gains[best])))
            nearest = np.maximum(nearest, likeness[best])
        return tuple(chosen)
