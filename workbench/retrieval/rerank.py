"""The best of a first ranking, scored again by a model that reads question and passage together."""

from __future__ import annotations

import numpy as np

from workbench.contracts import Reranker, Retriever
from workbench.errors import ModelIntegrityError
from workbench.types import EVERYTHING, Hit, Ranking, Scope


class RerankRetriever:
    """Orders a pool by the reranker alone; the first ranking only decides who is in the pool."""

    def __init__(self, first: Retriever, reranker: Reranker, *, pool: int = 50) -> None:
        self._first = first
        self._reranker = reranker
        self._pool = pool

    def search(self, question: str, *, k: int, scope: Scope = EVERYTHING) -> Ranking:
        """Return the `k` best of the pool, which has `pool` hits, or `k` where that is more; the model scores them all.

        Raises:
            ModelIntegrityError: the model gives a score that is not a number.
        """
        hits = self._first.search(question, k=max(self._pool, k), scope=scope)
        scores = self._reranker.score(question, [hit.chunk.indexed_text for hit in hits])  # (N,)
        n_broken = int(np.count_nonzero(~np.isfinite(scores)))
        if n_broken:
            raise ModelIntegrityError(
                f"the reranker gave no finite score to {n_broken} of {len(hits)} passages for {question[:60]!r}; "
                f"set retrieval.rerank: null, or take another model in models.reranker"
            )
        scored = [Hit(hit.chunk, float(score)) for hit, score in zip(hits, scores, strict=True)]
        return tuple(sorted(scored, key=lambda hit: (-hit.score, hit.chunk.id))[:k])
