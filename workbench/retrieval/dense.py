"""Nearest neighbours of the question's embedding, by cosine, exact."""

from __future__ import annotations

from workbench.contracts import Embedder
from workbench.knowledge import Collection
from workbench.types import Hit, Ranking


class DenseRetriever:
    """Ranks chunks by the inner product of unit vectors, so scores lie in [-1, 1]."""

    def __init__(self, collection: Collection, embedder: Embedder) -> None:
        """Take the collection and the embedder that it is stamped with.

        Raises:
            StaleIndexError: the collection was built with another embedder.
        """
        collection.require(embedder.identity)
        self._collection = collection
        self._embedder = embedder

    def search(self, question: str, *, k: int) -> Ranking:
        """Return the `k` nearest chunks. A blank question finds nothing: its embedding would point anywhere."""
        if not question.strip():
            return ()
        vector = self._embedder.embed_questions([question])[0]  # (D,)
        found = self._collection.search_vectors(vector, k=k)
        chunks = self._collection.chunks([id_ for id_, _ in found])
        return tuple(Hit(chunk, score) for chunk, (_, score) in zip(chunks, found, strict=True))
