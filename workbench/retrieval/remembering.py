"""The last question's passages and embedding, kept: a router looks at both, and the arm it chooses needs them again.

Only the last one, so that an evaluation, which asks all questions of one arm before those of the next, times each arm's
own search.
"""

from __future__ import annotations

from collections.abc import Sequence

from workbench.contracts import Embedder, Finder
from workbench.types import EVERYTHING, Float32, Found, Ranking, Scope


class LastFound:
    """Implements `contracts.Finder`."""

    def __init__(self, finder: Finder) -> None:
        self._finder = finder
        self._last: tuple[tuple[str, int, Scope], Found] | None = None

    def find(self, question: str, *, k: int, scope: Scope = EVERYTHING) -> Found:
        """Return what the finder finds, searched once for the same question asked twice in a row."""
        key, last = (question, k, scope), self._last
        if last is None or last[0] != key:
            last = (key, self._finder.find(question, k=k, scope=scope))
            self._last = last
        return last[1]

    def search(self, question: str, *, k: int, scope: Scope = EVERYTHING) -> Ranking:
        """Return `find`'s ranking."""
        return self.find(question, k=k, scope=scope).ranking


class LastEmbedded:
    """Implements `contracts.Embedder`: only a single question is remembered, whatever else passes through."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.identity = embedder.identity
        self.max_tokens, self.n_special_tokens = embedder.max_tokens, embedder.n_special_tokens
        self._last: tuple[str, Float32] | None = None

    def token_offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Return the embedder's own."""
        return self._embedder.token_offsets(texts)

    def embed_documents(self, texts: Sequence[str]) -> Float32:
        """Return the embedder's own, shape (N, D)."""
        return self._embedder.embed_documents(texts)

    def embed_questions(self, texts: Sequence[str]) -> Float32:
        """Return shape (N, D), unit rows; the same single question twice in a row is computed once."""
        if len(texts) != 1:
            return self._embedder.embed_questions(texts)
        last = self._last
        if last is None or last[0] != texts[0]:
            last = (texts[0], self._embedder.embed_questions(texts))
            self._last = last
        return last[1]
