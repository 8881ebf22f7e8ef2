"""BM25: chunks that share words with the question (how text becomes words: `knowledge/words.py`)."""

from __future__ import annotations

from workbench.contracts import ChunkStore
from workbench.retrieval.scored import Scored, fetch
from workbench.types import EVERYTHING, Ranking, Scope


class LexicalRetriever:
    """Ranks chunks by BM25; scores are positive and have no upper bound."""

    def __init__(self, collection: ChunkStore) -> None:
        self._collection = collection

    def rank(self, question: str, *, k: int, scope: Scope = EVERYTHING) -> Scored:
        """Return the `k` best chunk ids; nothing when no word of the question is in any chunk."""
        return self._collection.search_words(question, k=k, scope=scope)

    def search(self, question: str, *, k: int, scope: Scope = EVERYTHING) -> Ranking:
        """Return the `k` best chunks; nothing when no word of the question is in any chunk."""
        return fetch(self._collection, self.rank(question, k=k, scope=scope))
