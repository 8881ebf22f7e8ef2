"""Fusion worked by hand, and its laws."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.knowledge.fakes import cut_paragraphs, make_document
from tests.retrieval.memory import MemoryStore
from workbench.retrieval import Calibration, FusionRetriever, fuse_by_rank, fuse_convex, fuse_documents, fuse_log_odds
from workbench.retrieval.scored import Scored
from workbench.types import EVERYTHING, Scope

EVEN = Calibration(slope=1, intercept=0)


def rank(ids: str) -> Scored:
    """A pool of one-letter ids, best first."""
    return [(id_, -place) for place, id_ in enumerate(ids)]


class FixedPart:
    """Gives the first k of one pool and keeps what it was asked for."""

    def __init__(self, pool: Scored) -> None:
        self.pool = pool
        self.asked: list[tuple[int, Scope]] = []

    def rank(self, question: str, *, k: int, scope: Scope = EVERYTHING) -> Scored:
        self.asked.append((k, scope))
        return self.pool[:k]


def test_a_score_is_the_sum_of_damped_reciprocal_ranks() -> None:
    fused = fuse_by_rank([rank("abc"), rank("cd")], k=9, damping=60)
    # a: 1/61   b: 1/62   c: 1/63 + 1/61   d: 1/62, a tie with b
    assert [id_ for id_, _ in fused] == ["c", "a", "b", "d"]
    assert [score for _, score in fused] == pytest.approx([0.0322664584, 0.0163934426, 0.0161290323, 0.0161290323])


def test_damping_decides_between_one_first_place_and_two_lower_ones() -> None:
    pools = [rank("axyb"), rank("zwvb")]
    # damping 1: a 1/2, b 2/5.   damping 60: a 1/61, b 2/64.
    assert fuse_by_rank(pools, k=1, damping=1)[0][0] == "a"
    assert fuse_by_rank(pools, k=1, damping=60)[0][0] == "b"


def test_documents_are_ranked_among_documents_and_stand_by_their_best_chunk() -> None:
    document_of = {"a": "A", "b": "A", "c": "A", "d": "B", "e": "C"}
    pools = [rank("abcd"), rank("eda")]
    # documents: A B   and   C B A.   A: 1/2 + 1/4, B: 1/3 + 1/3, C: 1/2; over chunks d has 1/5 + 1/3 and e 1/2.
    fused = fuse_documents(pools, document_of, k=9, damping=1)
    assert fused == [("a", 0.75), ("d", pytest.approx(2 / 3)), ("e", 0.5)]
    assert fuse_documents(pools, document_of, k=1, damping=1) == fused[:1]
    # Two parts find a document by different chunks: neither has the sum, the document has.
    split = fuse_documents([rank("db"), rank("ec")], {**document_of, "b": "X", "c": "X"}, k=9, damping=1)
    assert split == [("b", pytest.approx(2 / 3)), ("d", 0.5), ("e", 0.5)]
    assert fuse_documents([[], []], {}, k=5) == []


def test_convex_scales_a_full_pool_from_its_lowest_score() -> None:
    pools: list[Scored] = [[("a", 0.9), ("b", 0.5), ("c", 0.1)], [("c", 30.0), ("a", 20.0), ("d", 10.0)]]
    # scaled: a 1, b .5, c 0   and   c 1, a .5, d 0;   weights 3 : 1
    fused = fuse_convex(pools, k=9, depth=3, weights=(3, 1))
    assert dict(fused) == pytest.approx({"a": 0.875, "b": 0.375, "c": 0.25, "d": 0.0})


def test_a_part_that_could_not_fill_its_pool_is_scaled_from_zero() -> None:
    # Three chunks hold the rare word: the third is still a find, unlike the chunk that does not hold it.
    pools: list[Scored] = [[("x", 0.8), ("y", 0.4)], [("a", 9.0), ("b", 6.0), ("c", 3.0)]]
    fused = dict(fuse_convex(pools, k=9, depth=4, weights=(0.5, 0.5)))
    assert fused == pytest.approx({"x": 0.5, "y": 0.25, "a": 0.5, "b": 1 / 3, "c": 1 / 6})
    negative: Scored = [("x", 0.5), ("y", -0.5)]  # cosines reach below 0
    assert dict(fuse_convex([negative], k=9, depth=4, weights=(1,))) == {"x": 1.0, "y": 0.0}


def test_equal_scores_are_all_the_best_and_an_empty_pool_adds_nothing() -> None:
    equal: Scored = [("a", 2.0), ("b", 2.0)]
    for depth in (2, 5):
        assert fuse_convex([equal, []], k=9, depth=depth, weights=(1, 1)) == [("a", 0.5), ("b", 0.5)]
    assert fuse_convex([[("z", 0.0)]], k=9, depth=5, weights=(1,)) == [("z", 1.0)]


def test_log_odds_are_weighted_and_a_missing_chunk_counts_as_the_floor() -> None:
    pools: list[Scored] = [[("a", 0.9), ("b", 0.5)], [("b", 4.0)]]
    calibrations = Calibration(slope=10, intercept=-7), Calibration(slope=1, intercept=-3)
    # a: 2, b: -2 from the first;   b: 1 from the second, and a as 0 shared words: -3
    fused = fuse_log_odds(pools, k=9, depth=2, weights=(0.5, 0.5), calibrations=calibrations)
    assert dict(fused) == pytest.approx({"a": -0.5, "b": -0.5})
    full = fuse_log_odds(pools, k=9, depth=1, weights=(0.5, 0.5), calibrations=calibrations)
    assert dict(full) == pytest.approx({"a": 1.5, "b": -0.5})  # a full pool: a counts as its lowest, 4


def test_nothing_fused_is_nothing() -> None:
    nothing: list[list[Scored]] = [[], [[], []]]
    for pools in nothing:
        weights, calibrations = [1.0] * len(pools), [EVEN] * len(pools)
        assert fuse_by_rank(pools, k=5) == []
        assert fuse_convex(pools, k=5, depth=5, weights=weights) == []
        assert fuse_log_odds(pools, k=5, depth=5, weights=weights, calibrations=calibrations) == []


scores = st.floats(-1, 40).map(lambda score: round(score, 3))
pools_of_scores = st.lists(
    st.dictionaries(st.sampled_from("abcdefgh"), scores, max_size=6).map(
        lambda found: sorted(found.items(), key=lambda one: (-one[1], one[0]))
    ),
    min_size=1,
    max_size=3,
)


@given(pools_of_scores, st.integers(1, 8), st.data())
def test_every_way_to_fuse_keeps_the_order_and_the_union(pools: list[Scored], k: int, data: st.DataObject) -> None:
    depth = max(*(len(pool) for pool in pools), data.draw(st.integers(1, 8)))
    weights = data.draw(st.lists(st.integers(1, 5), min_size=len(pools), max_size=len(pools)))
    everyone = {id_ for pool in pools for id_, _ in pool}
    calibrations = [EVEN] * len(pools)
    for fused in (
        fuse_by_rank(pools, k=k),
        fuse_convex(pools, k=k, depth=depth, weights=weights),
        fuse_log_odds(pools, k=k, depth=depth, weights=weights, calibrations=calibrations),
    ):
        ids = [id_ for id_, _ in fused]
        assert len(ids) == len(set(ids)) == min(k, len(everyone))
        assert set(ids) <= everyone
        assert fused == sorted(fused, key=lambda one: (-one[1], one[0]))
    assert all(-1e-9 <= score <= 1 + 1e-9 for _, score in fuse_convex(pools, k=k, depth=depth, weights=weights))


@given(pools_of_scores)
def test_the_order_of_the_parts_does_not_matter(pools: list[Scored]) -> None:
    even = [1.0] * len(pools)
    assert fuse_by_rank(pools[::-1], k=8) == fuse_by_rank(pools, k=8)
    assert fuse_convex(pools[::-1], k=8, depth=6, weights=even) == fuse_convex(pools, k=8, depth=6, weights=even)


@given(pools_of_scores)
def test_all_weight_on_one_part_is_that_part(pools: list[Scored]) -> None:
    alone = [1.0] + [0.0] * (len(pools) - 1)
    odds = fuse_log_odds(pools, k=8, depth=9, weights=alone, calibrations=[EVEN] * len(pools))
    expected = {id_: min(0.0, pools[0][-1][1]) if pools[0] else 0.0 for pool in pools for id_, _ in pool}
    assert dict(odds) == expected | dict(pools[0])


@given(pools_of_scores, st.floats(0.5, 4), st.floats(-3, 3))
def test_convex_does_not_mind_the_unit_of_a_full_pool(pools: list[Scored], factor: float, shift: float) -> None:
    even = [1.0] * len(pools)
    moved = [[(id_, score * factor + shift) for id_, score in pool] for pool in pools]
    depth = 1  # every pool that holds anything is full
    before = dict(fuse_convex(pools, k=8, depth=depth, weights=even))
    after = dict(fuse_convex(moved, k=8, depth=depth, weights=even))
    assert all(math.isclose(after[id_], score, abs_tol=1e-6) for id_, score in before.items())


def test_the_pool_is_deeper_than_k_and_the_scope_reaches_every_part() -> None:
    store = MemoryStore([make_document(id_, id_) for id_ in "abc"], cut_paragraphs)
    ids = list(store.all)
    parts = FixedPart([(id_, 1.0) for id_ in ids]), FixedPart([(id_, 1.0) for id_ in ids[::-1]])
    retriever = FusionRetriever(parts, store, lambda pools, *, k, depth: fuse_by_rank(pools, k=k), pool=3)
    scope = Scope(principals=frozenset({"ada"}))
    assert [hit.chunk.id for hit in retriever.search("q", k=1, scope=scope)] == [ids[0]]
    retriever.search("q", k=7)
    assert parts[0].asked == parts[1].asked == [(3, scope), (7, EVERYTHING)]
