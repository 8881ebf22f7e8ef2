"""BM25: chunks that share words with the question (how text becomes words: `knowledge/words.py`)."""

from __future__ import annotations

from workbench.knowledge import Collection
from workbench.types import Hit, Ranking


class LexicalRetriever:
    """Ranks chunks by BM25; scores are positive and have no upper bound."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    def search(self, question: str, *, k: int) -> Ranking:
        """Return the `k` best chunks; nothing when no word of the question is in any chunk."""
        found = self._collection.search_words(question, k=k)
        chunks = self._collection.chunks([id_ for id_, _ in found])
        return tuple(Hit(chunk, score) for chunk, (_, score) in zip(chunks, found, strict=True))
