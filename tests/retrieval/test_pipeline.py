"""The pipeline: the steps that are set, in their order, and when a question counts as answerable."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tests.knowledge.fakes import HashEmbedder, make_document
from tests.retrieval.memory import MemoryStore
from workbench.config import RetrievalConfig
from workbench.contracts import Reranker
from workbench.filters import All, parse_filter
from workbench.retrieval import Pipeline, best_scores, build_pipeline, narrow
from workbench.types import EVERYTHING, Float32, Question, Scope

TEXT = "The brass lamp costs 90 euro.\nThe glass lens costs 40 euro.\nThe tube is free.\nThe wick is sold out."
STORE = MemoryStore([make_document("a.md", TEXT), make_document("b.md", "Somewhere else.\nThe tube is free.")])


class LengthReranker:
    """The longer the text, the higher; so the order is not that of the first ranking."""

    def score(self, question: str, texts: Sequence[str]) -> Float32:
        return np.array([len(text) for text in texts], np.float32)


def build(**config: object) -> Pipeline:
    settings = RetrievalConfig.model_validate({"method": {"kind": "dense"}} | config)
    return build_pipeline(settings, STORE, HashEmbedder(), reranker=LengthReranker, fit=None, threshold=None)


def test_without_a_threshold_every_question_is_answerable() -> None:
    found = build().find("brass lamp", k=2)
    assert found.answerable
    assert found.best_score == found.ranking[0].score
    nothing = build().find(" ", k=2)
    assert (nothing.ranking, nothing.best_score, nothing.answerable) == ((), None, True)


def test_the_threshold_decides_by_the_best_hit_and_the_evidence_stays() -> None:
    best = build().find("brass lamp", k=2)
    assert best.best_score is not None
    for threshold, answerable in ((best.best_score, True), (np.nextafter(best.best_score, 2), False)):
        found = build(threshold=float(threshold)).find("brass lamp", k=2)
        assert (found.ranking, found.answerable) == (best.ranking, answerable)
    assert not build(threshold=-1.0).find(" ", k=2).answerable  # nothing found is never enough


def test_a_fitted_threshold_comes_from_outside() -> None:
    settings = RetrievalConfig.model_validate({"method": {"kind": "dense"}, "threshold": "fitted"})
    for threshold, answerable in ((None, True), (0.01, True), (0.99, False)):
        pipeline = build_pipeline(
            settings, STORE, HashEmbedder(), reranker=LengthReranker, fit=None, threshold=threshold
        )
        assert pipeline.find("brass lamp", k=2).answerable is answerable


def test_the_best_score_is_of_the_last_step_that_scores() -> None:
    reranked = build(rerank={"pool": 6})
    longest = max(len(chunk.indexed_text) for chunk in STORE.all.values())
    assert reranked.find("tube", k=2).best_score == longest
    found = build(rerank={"pool": 6}, diversity={"relevance": 0.5}, expansion={}).find("tube", k=2)
    assert found.best_score == longest
    assert found.ranking[0].score == 0.5  # as diversity scored it


def test_diversity_chooses_from_more_than_is_wanted() -> None:
    # Both files say "The tube is free."; the second place goes to another text.
    plain = build().search("The tube is free.", k=2)
    diverse = build(diversity={"relevance": 0.3}).search("The tube is free.", k=2)
    assert [hit.chunk.text for hit in plain] == ["The tube is free."] * 2
    assert diverse[0].chunk == plain[0].chunk
    assert diverse[1].chunk.text != "The tube is free."


def test_expansion_comes_last() -> None:
    (hit,) = build(expansion={"neighbours": 1}).search("a.md: The glass lens costs 40 euro.", k=1)
    assert hit.chunk.text == "\n".join(TEXT.split("\n")[:3])


def test_the_reranker_is_loaded_only_where_it_is_used() -> None:
    loaded: list[int] = []

    def load() -> Reranker:
        loaded.append(1)
        return LengthReranker()

    for config, n_loaded in ((RetrievalConfig(), 0), (RetrievalConfig.model_validate({"rerank": {}}), 1)):
        build_pipeline(config, STORE, HashEmbedder(), reranker=load, fit=None, threshold=None)
        assert len(loaded) == n_loaded


def test_the_filter_of_the_config_and_the_callers_scope_both_hold() -> None:
    english, recent = parse_filter({"language": "en"}), parse_filter({"year": 2024})
    ada = frozenset({"ada"})
    assert narrow(Scope(recent, ada), english) == Scope(All((english, recent)), ada)
    assert narrow(Scope(None, ada), english) == Scope(english, ada)
    assert narrow(EVERYTHING, None) is EVERYTHING
    closed = build(filter={"kind": "other"})
    assert closed.search("lamp", k=3) == ()
    assert build(filter={"kind": "test"}).search("lamp", k=3) == build().search("lamp", k=3) != ()
    assert build(filter={"kind": "test"}).search("lamp", k=3, scope=Scope(parse_filter({"kind": "other"}))) == ()


@pytest.mark.parametrize("k", [1, 3])
def test_best_scores_are_told_apart_by_the_question(k: int) -> None:
    asked = [
        Question(id="1", text="brass lamp", answers=("90 euro",)),
        Question(id="2", text="zebra"),
        Question(id="3", text=" "),
    ]
    answerable, others = best_scores(build(), asked, k=k)
    assert answerable == [build().find("brass lamp", k=1).best_score]
    assert others == [build().find("zebra", k=1).best_score, None]
