"""Fusion worked by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.retrieval import FusionRetriever, fuse_by_rank
from workbench.types import Chunk, Hit, Ranking


def rank(ids: str) -> Ranking:
    """A ranking of one-letter chunks, best first."""
    return tuple(Hit(Chunk(id_, "d", 0, 1, id_), -place) for place, id_ in enumerate(ids))


class FixedRetriever:
    """Gives the first k of one ranking and keeps the k it was asked for."""

    def __init__(self, ranking: Ranking) -> None:
        self.ranking = ranking
        self.asked: list[int] = []

    def search(self, question: str, *, k: int) -> Ranking:
        self.asked.append(k)
        return self.ranking[:k]


def test_a_score_is_the_sum_of_damped_reciprocal_ranks() -> None:
    fused = fuse_by_rank([rank("abc"), rank("cd")], k=9, damping=60)
    # a: 1/61   b: 1/62   c: 1/63 + 1/61   d: 1/62, a tie with b
    assert [hit.chunk.id for hit in fused] == ["c", "a", "b", "d"]
    assert [hit.score for hit in fused] == pytest.approx([0.0322664584, 0.0163934426, 0.0161290323, 0.0161290323])


def test_damping_decides_between_one_first_place_and_two_lower_ones() -> None:
    rankings = [rank("axyb"), rank("zwvb")]
    # damping 1: a 1/2, b 2/5.   damping 60: a 1/61, b 2/64.
    assert fuse_by_rank(rankings, k=1, damping=1)[0].chunk.id == "a"
    assert fuse_by_rank(rankings, k=1, damping=60)[0].chunk.id == "b"


def test_nothing_fused_is_nothing() -> None:
    assert fuse_by_rank([], k=5) == fuse_by_rank([(), ()], k=5) == ()


@given(st.lists(st.permutations("abcdef"), min_size=1, max_size=4))
def test_the_order_of_the_rankings_does_not_matter(orders: list[list[str]]) -> None:
    rankings = [rank("".join(order)) for order in orders]
    fused = fuse_by_rank(rankings, k=6)
    assert [(hit.chunk, hit.score) for hit in fuse_by_rank(rankings[::-1], k=6)] == [
        (hit.chunk, hit.score) for hit in fused
    ]


def test_the_pool_is_deeper_than_k() -> None:
    parts = FixedRetriever(rank("abc")), FixedRetriever(rank("cba"))
    assert [hit.chunk.id for hit in FusionRetriever(parts, pool=3).search("q", k=1)] == ["a"]
    FusionRetriever(parts, pool=3).search("q", k=7)
    assert parts[0].asked == parts[1].asked == [3, 7]
