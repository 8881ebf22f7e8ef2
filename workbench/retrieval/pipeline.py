"""The whole way from a question to passages: rank, score again, judge, diversify, widen; each only where it is set.

Whether a question can be answered is judged on the best score after the last step that scores, before diversity and
expansion, which only choose and widen. The ranking is returned either way: where it is not enough, it is the nearest
evidence.
"""

from __future__ import annotations

from collections.abc import Sequence

from workbench.contracts import Finder, Retriever
from workbench.filters import All, Filter
from workbench.retrieval.diversity import Diversity
from workbench.retrieval.expansion import Expansion
from workbench.types import EVERYTHING, Found, Question, Ranking, Scope


class Pipeline:
    """Implements `contracts.Finder`."""

    def __init__(
        self,
        scoring: Retriever,
        *,
        threshold: float | None = None,
        diversity: Diversity | None = None,
        expansion: Expansion | None = None,
        filter_: Filter | None = None,
    ) -> None:
        """Take the parts; None: left out.

        Args:
            scoring: the method, reranked or not.
            threshold: least score of the best hit; None: every question counts as answerable.
            diversity: chooses from what `scoring` found.
            expansion: widens what was chosen.
            filter_: documents must pass it, and the caller's scope too.
        """
        self._scoring = scoring
        self._threshold = threshold
        self._diversity = diversity
        self._expansion = expansion
        self._filter = filter_

    def find(self, question: str, *, k: int, scope: Scope = EVERYTHING) -> Found:
        """Return at most `k` passages, and whether the best hit reaches the threshold."""
        depth = k if self._diversity is None else max(k, self._diversity.pool)
        ranking = self._scoring.search(question, k=depth, scope=narrow(scope, self._filter))
        best = ranking[0].score if ranking else None
        if self._diversity is not None:
            ranking = self._diversity.choose(ranking, k=k)
        if self._expansion is not None:
            ranking = self._expansion.widen(ranking)
        answerable = self._threshold is None or (best is not None and best >= self._threshold)
        return Found(ranking, best, answerable)

    def search(self, question: str, *, k: int, scope: Scope = EVERYTHING) -> Ranking:
        """Return at most `k` passages, best first, whether they are enough or not."""
        return self.find(question, k=k, scope=scope).ranking


def narrow(scope: Scope, filter_: Filter | None) -> Scope:
    """Return the scope whose documents are in `scope` and pass `filter_` too."""
    if filter_ is None:
        return scope
    both = filter_ if scope.filter is None else All((filter_, scope.filter))
    return Scope(both, scope.principals)


def best_scores(
    finder: Finder, questions: Sequence[Question], *, k: int, scope: Scope = EVERYTHING
) -> tuple[list[float | None], list[float | None]]:
    """Return the best scores of the answerable questions, and of the others: what a threshold is fitted on."""
    scores: tuple[list[float | None], list[float | None]] = ([], [])
    for question in questions:
        found = finder.find(question.text, k=k, scope=scope)
        scores[0 if question.answerable else 1].append(found.best_score)
    return scores
