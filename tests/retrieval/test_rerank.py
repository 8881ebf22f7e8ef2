"""Reranking with a model that counts the words shared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tests.knowledge.fakes import HashEmbedder, make_document
from tests.retrieval.memory import MemoryStore
from workbench.errors import ModelIntegrityError
from workbench.retrieval import DenseRetriever, RerankRetriever
from workbench.types import EVERYTHING, Float32, Ranking, Scope


class CountingReranker:
    """Scores a text by how often it says "lamp"; keeps the texts it was given."""

    def __init__(self, broken: float | None = None) -> None:
        self.broken = broken
        self.given: list[str] = []

    def score(self, question: str, texts: Sequence[str]) -> Float32:
        self.given.extend(texts)
        return np.array([text.count("lamp") if self.broken is None else self.broken for text in texts], np.float32)


class Fixed:
    """Finds the same chunks whatever is asked, as many as are wanted."""

    def __init__(self, store: MemoryStore) -> None:
        self.dense = DenseRetriever(store, HashEmbedder())
        self.asked: list[tuple[int, Scope]] = []

    def search(self, question: str, *, k: int, scope: Scope = EVERYTHING) -> Ranking:
        self.asked.append((k, scope))
        return self.dense.search("wick", k=k, scope=scope)


STORE = MemoryStore([make_document("a", "lamp\nwick\nlamp lamp"), make_document("b", "lamp\nwick wick\nglass")])


def test_the_model_alone_decides_and_reads_what_was_indexed() -> None:
    reranker = CountingReranker()
    ranking = RerankRetriever(Fixed(STORE), reranker, pool=6).search("q", k=3)
    assert [(hit.chunk.id, hit.score) for hit in ranking] == [("a#0002", 2.0), ("a#0000", 1.0), ("b#0000", 1.0)]
    assert sorted(reranker.given) == sorted(chunk.indexed_text for chunk in STORE.all.values())


def test_a_pool_below_k_grows_to_k_so_that_no_hit_is_unscored() -> None:
    first = Fixed(STORE)
    scope = Scope(principals=frozenset())
    retriever = RerankRetriever(first, CountingReranker(), pool=2)
    assert len(retriever.search("q", k=1, scope=scope)) == 1
    assert len(retriever.search("q", k=5)) == 5
    assert first.asked == [(2, scope), (5, EVERYTHING)]


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_a_score_that_is_no_number_is_refused(broken: float) -> None:
    with pytest.raises(ModelIntegrityError, match="no finite score to 6 of 6 passages for 'q'"):
        RerankRetriever(Fixed(STORE), CountingReranker(broken), pool=6).search("q", k=1)


def test_nothing_found_is_nothing_scored() -> None:
    assert RerankRetriever(Fixed(MemoryStore([])), CountingReranker()).search("q", k=3) == ()
