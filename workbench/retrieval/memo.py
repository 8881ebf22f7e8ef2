"""Remembered rankings: several arms ask the same question, and one search answers them all.

For one run over a collection that stands still; it never forgets and does not notice an update.
"""

from __future__ import annotations

from workbench.contracts import Retriever
from workbench.types import Ranking


class RememberingRetriever:
    """Gives what `inner` gave when it was first asked the same question with the same `k`."""

    def __init__(self, inner: Retriever) -> None:
        self._inner = inner
        self._rankings: dict[tuple[str, int], Ranking] = {}

    def search(self, question: str, *, k: int) -> Ranking:
        """Return the ranking of `inner`, searched for once."""
        key = (question, k)
        if key not in self._rankings:
            self._rankings[key] = self._inner.search(question, k=k)
        return self._rankings[key]
