"""Nearest neighbours of the question's embedding, by cosine. Exact or approximate is the collection's business."""

from __future__ import annotations

from workbench.contracts import ChunkStore, Embedder
from workbench.retrieval.scored import Scored, fetch
from workbench.types import EVERYTHING, Ranking, Scope


class DenseRetriever:
    """Ranks chunks by the inner product of unit vectors, so scores lie in [-1, 1]."""

    def __init__(self, collection: ChunkStore, embedder: Embedder) -> None:
        """Take the collection and the embedder that it is stamped with.

        Raises:
            StaleIndexError: the collection was built with another embedder.
        """
        collection.require(embedder.identity)
        self._collection = collection
        self._embedder = embedder

    def rank(self, question: str, *, k: int, scope: Scope = EVERYTHING) -> Scored:
        """Return the `k` nearest chunk ids. A blank question finds nothing: its embedding would point anywhere."""
        if not question.strip():
            return []
        vector = self._embedder.embed_questions([question])[0]  # (D,)
        return self._collection.search_vectors(vector, k=k, scope=scope)

    def search(self, question: str, *, k: int, scope: Scope = EVERYTHING) -> Ranking:
        """Return the `k` nearest chunks; none for a blank question."""
        return fetch(self._collection, self.rank(question, k=k, scope=scope))
