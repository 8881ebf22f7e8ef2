"""MMR worked by hand, and its laws."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.knowledge.fakes import make_document
from tests.retrieval.memory import MemoryStore
from workbench.config import DiversityConfig
from workbench.retrieval import Diversity
from workbench.types import Chunk, Float32, Hit, Ranking

DIRECTIONS = {"a": (1.0, 0.0), "b": (0.8, 0.6), "c": (0.0, 1.0), "d": (-1.0, 0.0)}


class Vectors(MemoryStore):
    """Unit vectors by one-letter id."""

    def __init__(self, directions: dict[str, tuple[float, float]]) -> None:
        super().__init__([make_document("d", "text")])
        self.directions = directions

    def vectors_of(self, ids: Sequence[str]) -> Float32:
        return np.array([self.directions[id_] for id_ in ids], dtype=np.float32)


def ranking(scores: dict[str, float]) -> Ranking:
    hits = [Hit(Chunk(id_, "d", 0, 1, id_), score) for id_, score in scores.items()]
    return tuple(sorted(hits, key=lambda hit: (-hit.score, hit.chunk.id)))


def choose(scores: dict[str, float], relevance: float, k: int = 9) -> list[tuple[str, float]]:
    chosen = Diversity(Vectors(DIRECTIONS), DiversityConfig(relevance=relevance)).choose(ranking(scores), k=k)
    return [(hit.chunk.id, hit.score) for hit in chosen]


def test_a_near_copy_gives_way_to_something_else() -> None:
    # scaled: a 1, b .75, c .5, d 0.  After a: b .375-.4, c .25-0, d 0-0 (its cosine is -1).
    # After c (.25): b .375 - .5 * max(.8, .6), d 0.
    chosen = choose({"a": 9.0, "b": 8.0, "c": 7.0, "d": 5.0}, 0.5)
    assert [id_ for id_, _ in chosen] == ["a", "c", "d", "b"]
    assert [score for _, score in chosen] == pytest.approx([0.5, 0.25, 0.0, -0.025])


def test_relevance_alone_keeps_the_order_and_difference_alone_ignores_it() -> None:
    scores = {"a": 9.0, "b": 8.0, "c": 7.0}
    assert [id_ for id_, _ in choose(scores, 1.0)] == ["a", "b", "c"]
    assert [id_ for id_, _ in choose({"b": 9.0, "a": 1.0, "c": 0.0}, 0.0)] == ["a", "c", "b"]


def test_equal_scores_all_count_as_best_and_nothing_gives_nothing() -> None:
    assert choose({"a": 3.0, "c": 3.0}, 0.7) == [("a", 0.7), ("c", 0.7)]
    assert choose({}, 0.7) == []


directions = st.floats(0, 6.25).map(lambda angle: (float(np.cos(angle)), float(np.sin(angle))))
pools = st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(st.integers(-3, 9), directions), min_size=1)


@given(pools, st.sampled_from([0.0, 0.3, 0.7, 1.0]), st.integers(1, 9))
def test_what_is_chosen_is_a_ranking(
    pool: dict[str, tuple[int, tuple[float, float]]], relevance: float, k: int
) -> None:
    found = ranking({id_: float(score) for id_, (score, _) in pool.items()})
    diversity = Diversity(Vectors({id_: one for id_, (_, one) in pool.items()}), DiversityConfig(relevance=relevance))
    chosen = diversity.choose(found, k=k)
    assert len(chosen) == min(k, len(found))
    assert len({hit.chunk.id for hit in chosen}) == len(chosen)
    assert list(chosen) == sorted(chosen, key=lambda hit: (-hit.score, hit.chunk.id))
    assert all(-1 - 1e-6 <= hit.score <= 1 + 1e-6 for hit in chosen)
    assert diversity.choose(found, k=k) == chosen
    assert diversity.choose(found, k=9)[:k] == chosen
    if relevance == 1.0:
        assert [hit.chunk.id for hit in chosen] == [hit.chunk.id for hit in found][:k]
