"""Rankings scored by hand, and the cases where chunks and spans do not match one to one."""

from math import log2

import pytest

from workbench.evaluation import retrieval_scores
from workbench.types import HitRecord, Span


def hit(document_id: str, start: int, end: int) -> HitRecord:
    return HitRecord(document_id=document_id, start=start, end=end, score=1.0, in_prompt=True)


def span(document_id: str, start: int, end: int) -> Span:
    return Span(document_id=document_id, start=start, end=end)


def test_a_ranking_by_hand() -> None:
    hits = [hit("b", 0, 9), hit("a", 10, 20), hit("a", 0, 10), hit("a", 20, 30)]
    scores = retrieval_scores({"q": hits}, {"q": [span("a", 12, 15), span("a", 22, 24)]})["q"]
    # relevant at ranks 2 and 4; ideal at ranks 1 and 2
    ideal = 1 / log2(2) + 1 / log2(3)
    assert scores == pytest.approx(
        {
            "hit@1": 0,
            "hit@3": 1,
            "hit@5": 1,
            "hit@10": 1,
            "mrr": 1 / 2,
            "ndcg@10": (1 / log2(3) + 1 / log2(5)) / ideal,
        }
    )


def test_touching_is_not_overlapping() -> None:
    scores = retrieval_scores({"q": [hit("a", 0, 10), hit("a", 20, 30)]}, {"q": [span("a", 10, 20)]})
    assert set(scores["q"].values()) == {0.0}


def test_two_chunks_over_one_span_are_credited_once() -> None:
    relevant = {"q": [span("a", 5, 15)]}
    once = retrieval_scores({"q": [hit("a", 0, 10)]}, relevant)
    assert retrieval_scores({"q": [hit("a", 0, 10), hit("a", 10, 20)]}, relevant) == once
    assert once["q"]["ndcg@10"] == 1.0


def test_one_chunk_over_two_spans_counts_as_one_unit() -> None:
    scores = retrieval_scores({"q": [hit("a", 0, 50)]}, {"q": [span("a", 5, 15), span("a", 30, 40)]})
    assert scores["q"]["ndcg@10"] == 1.0


def test_a_question_without_hits_scores_zero() -> None:
    scores = retrieval_scores({"q": []}, {"q": [span("a", 0, 1)], "r": [span("a", 0, 1)]})
    assert set(scores["q"].values()) == set(scores["r"].values()) == {0.0}
    assert retrieval_scores({}, {}) == {}


def test_what_lies_below_the_depth_is_not_measured() -> None:
    hits = [hit("b", 0, 9)] * 5 + [hit("a", 0, 9)]
    scores = retrieval_scores({"q": hits}, {"q": [span("a", 0, 1)]}, depth=5)
    assert scores["q"] == {"hit@1": 0.0, "hit@3": 0.0, "hit@5": 0.0, "mrr": 0.0}


def test_a_question_without_spans_is_refused() -> None:
    with pytest.raises(ValueError, match="'q' has no relevant span"):
        retrieval_scores({}, {"q": []})
