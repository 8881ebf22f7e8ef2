"""Fitting weights: a part that knows is trusted, one that guesses is not."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.knowledge.fakes import HashEmbedder, make_document
from tests.retrieval.memory import MemoryStore
from workbench.config import FusionConfig
from workbench.errors import ConfigError
from workbench.retrieval import FusionFit, build_retriever, fit_method
from workbench.retrieval.fitting import MIN_QUESTIONS, _choose, fit_fusion, weight_grid
from workbench.retrieval.scored import Scored, take_best
from workbench.types import EVERYTHING, Question, Scope, Span

N_DOCUMENTS = 40
STORE = MemoryStore([make_document(f"d{number:02d}", f"fact {number}") for number in range(N_DOCUMENTS)])
IDS = sorted(STORE.all)


class Knowing:
    """Scores the right chunk `margin` above the best of the others, which it orders anyhow."""

    def __init__(self, margin: float) -> None:
        self.margin = margin

    def rank(self, question: str, *, k: int, scope: Scope = EVERYTHING) -> Scored:
        right = int(question)
        scores = {id_: float((place * 7 + right) % N_DOCUMENTS) for place, id_ in enumerate(IDS)}
        scores[IDS[right]] = N_DOCUMENTS - 1 + self.margin
        return take_best(scores, k)


def questions(n: int) -> list[Question]:
    return [
        Question(
            id=str(number),
            text=str(number),
            answers=("x",),
            relevant=(Span(document_id=f"d{number:02d}", start=0, end=4),),
        )
        for number in range(n)
    ]


def fit(margins: tuple[float, float], n: int = 30) -> FusionFit:
    return fit_fusion(FusionConfig(pool=20), [Knowing(margin) for margin in margins], STORE, questions(n))


def test_a_part_that_knows_gets_the_weight_it_needs() -> None:
    found = fit((5.0, -60.0))
    assert found.part_ndcg == (1.0, 0.0)
    assert found.ndcg["convex"] == found.ndcg["log_odds"] == 1.0 > found.ndcg["rank"]
    assert found.weights["convex"][0] > found.weights["convex"][1]
    assert found.weights["log_odds"] == (0.5, 0.5)  # whatever its weight, the calibration silences the second part
    assert found.calibrations[0].slope > 0 == found.calibrations[1].slope  # 20 found for each question, none relevant
    assert found.n_questions == 30


def test_weights_that_are_better_by_luck_do_not_win() -> None:
    steady, lucky = [0.5] * 30, [0.5] * 29 + [1.0]
    assert _choose(np.array([steady, lucky])) == 0  # better by 1/60, its standard error 1/60
    sure = [0.5] * 20 + [1.0] * 10
    assert _choose(np.array([steady, lucky, sure])) == 2  # by 1/6, its standard error 0.044


def test_of_equally_good_weights_the_even_ones_win() -> None:
    found = fit((5.0, 5.0))
    assert found.weights == {"convex": (0.5, 0.5), "log_odds": (0.5, 0.5)}
    assert set(found.ndcg.values()) == {1.0}


def test_a_fit_crosses_the_disk_unchanged() -> None:
    found = fit((5.0, -1.0))
    assert FusionFit.model_validate(json.loads(json.dumps(found.model_dump(mode="json")))) == found
    assert fit((5.0, -1.0)) == found


def test_too_few_questions_are_refused_with_their_count() -> None:
    unjudged = [Question(id="u", text="1")] * 50
    with pytest.raises(ConfigError, match=r"needs 20 dev questions .* there are 19; .*by: rank$"):
        fit_fusion(FusionConfig(), [Knowing(1), Knowing(1)], STORE, questions(MIN_QUESTIONS - 1) + unjudged)


def test_questions_about_other_documents_are_refused() -> None:
    with pytest.raises(ConfigError, match="for 30 dev questions no part finds a relevant chunk among its best 10"):
        fit((-60.0, -60.0))


def test_only_what_needs_fitting_is_fitted() -> None:
    embedder = HashEmbedder()
    asked = [question.model_copy(update={"text": f"fact {question.text}"}) for question in questions(20)]
    for config in (FusionConfig(), FusionConfig(by="convex", weights=(1, 1))):
        assert fit_method(config, STORE, embedder, []) is None
    config = FusionConfig(by="log_odds")
    found = fit_method(config, STORE, embedder, asked)
    assert found is not None
    assert found.parts == ("dense", "lexical")
    best = build_retriever(config, STORE, embedder, fit=found).search("fact 7", k=1)
    assert best[0].chunk.text == "fact 7"


def test_the_grid_sums_to_one_and_starts_even() -> None:
    for n_parts in (2, 3):
        grid = weight_grid(n_parts)
        assert all(sum(point) == pytest.approx(1) for point in grid)
        assert len(set(grid)) == len(grid)
        assert max(grid[0]) - min(grid[0]) <= 0.1 + 1e-9
        assert {max(point) for point in grid[-n_parts:]} == {1.0}
