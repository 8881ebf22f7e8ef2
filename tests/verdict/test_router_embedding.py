"""The question's embedding: it helps where only the topic tells, harms nowhere, and no fold sees another's."""

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tests.verdict.test_routing import N, alike, routed, split, study
from workbench.decision import Outcome
from workbench.types import Float32
from workbench.verdict import Study, router_learning
from workbench.verdict.router_features import EMBEDDING, Seen, Vectors
from workbench.verdict.router_learning import Lesson, Sight, choose
from workbench.verdict.router_model import COMPONENTS, QUESTIONS_PER_COMPONENT, fit_router, fit_space
from workbench.verdict.routing import Routing, route

DIMENSION = 48


def kinds_of(seed: int) -> list[bool]:
    draws = random.Random(seed)  # as `study` draws them
    return [draws.random() < 0.5 for _ in range(N)]


def embed(made: Study, topics: Sequence[int], *, seed: int = 0, noise: float = 1.5) -> Vectors:
    """Unit vectors: the topic's direction, and noise. An id → its vector."""
    draws = np.random.default_rng([seed, 7])
    middles = draws.standard_normal((max(topics) + 1, DIMENSION))
    rows = middles[list(topics)] + noise * draws.standard_normal((len(topics), DIMENSION))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    ids = list(made.questions)
    return Vectors({id_: row.astype(np.float32) for id_, row in zip(ids, rows, strict=True)}, seconds=0.01)


def with_vectors(made: Study, vectors: Vectors) -> Routing:
    routing = route(made, vectors=vectors)
    assert routing is not None
    return routing


def test_it_closes_the_gap_where_only_the_topic_tells() -> None:
    made = study(split, 5, told=False)
    blind, seeing = routed(made).report, with_vectors(made, embed(made, [int(kind) for kind in kinds_of(5)])).report
    assert blind.gap_closed is not None and seeing.gap_closed is not None
    assert blind.gap_closed.value < 0.2 and seeing.gap_closed.value > 0.6
    assert seeing.outcome is Outcome.BETTER and EMBEDDING in seeing.features and EMBEDDING not in blind.features


def test_it_does_no_harm_where_there_is_nothing_to_see() -> None:
    losses = []
    for seed in range(12):
        made = study(alike, seed, told=False)
        report = with_vectors(made, embed(made, [0] * N, seed=seed)).report
        assert report.outcome not in (Outcome.WORSE, Outcome.BETTER)
        losses.append(report.best_fixed_score - report.score.value)
    assert np.mean(losses) < 0.02


def test_it_does_no_harm_where_retrieval_tells_all() -> None:
    made = study(split, 0)
    report = with_vectors(made, embed(made, [0] * N)).report
    assert report.gap_closed is not None and report.gap_closed.value > 0.6


@pytest.mark.parametrize(("together", "gains"), [(True, False), (False, True)], ids=["kept_together", "torn"])
def test_what_holds_only_within_a_document_is_not_learnt(together: bool, gains: bool) -> None:
    """A document's questions share a vector and a right arm, by lot: to know one is to know all. Torn, it would pay."""
    won = []
    for seed in range(6):
        draws = np.random.default_rng(seed)
        documents = np.repeat(np.arange(14), 12)
        right = draws.permutation(np.arange(14) % 2)[documents]
        vectors = draws.standard_normal((14, 10))[documents] + 0.01 * draws.standard_normal((len(documents), 10))
        values = np.stack([right, 1 - right], axis=1).astype(float)  # (Q, A)
        groups = [str(one) for one in (documents if together else range(len(documents)))]
        choices = choose(Lesson(fit_input(vectors), values, groups, {Sight(False, True): np.zeros(2)}), seed)
        rows = np.arange(len(values))
        won.append((values[rows, choices.arms] - values[rows, choices.fixed]).mean())
    assert np.mean(won) > 0.2 if gains else np.mean(won) < 0.1


def fit_input(vectors: np.ndarray) -> Seen:
    return Seen({}, vectors)


def test_no_fold_is_fitted_on_a_question_or_document_it_chooses_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each question's vector names it in its first number; whatever is fitted or asked is looked up by it."""
    n = 60
    vectors = np.zeros((n, 4))
    vectors[:, 0] = np.arange(n)
    groups = [f"d{place // 3}" for place in range(n)]
    fitted: list[set[str]] = []
    asked: list[tuple[set[str], set[str]]] = []

    def spying_fit(seen: Seen) -> object:
        fitted.append({groups[int(row[0])] for row in seen.vectors})
        return fit_space(seen)

    class Spy:
        def __init__(self, known: set[str]) -> None:
            self.known = known

        def expect(self, seen: Seen) -> np.ndarray:
            asked.append((self.known, {groups[int(row[0])] for row in seen.vectors}))
            return np.stack([np.ones(len(seen.vectors)), seen.vectors[:, 0] % 2], axis=1)

    monkeypatch.setattr(router_learning, "fit_space", spying_fit)
    monkeypatch.setattr(router_learning, "fit_router", lambda *_, **__: Spy(fitted[-1]))
    values = np.stack([np.full(n, 0.5), np.arange(n) % 2], axis=1).astype(float)
    choose(Lesson(fit_input(vectors), values, groups, {Sight(False, True): np.zeros(2)}), 0)
    assert len(asked) >= 5 * 4
    assert all(known and tested and not known & tested for known, tested in asked)


def test_components_are_few_whitened_and_blind_to_directions_without_spread() -> None:
    draws = np.random.default_rng(0)
    vectors = draws.standard_normal((90, 30)) * np.linspace(2, 0.1, 30)
    space = fit_space(fit_input(vectors))
    assert len(space.components) == min(COMPONENTS, 90 // QUESTIONS_PER_COMPONENT)
    columns = space.columns(fit_input(vectors))
    np.testing.assert_allclose(np.cov(columns.T), np.eye(len(space.components)), atol=0.1)  # clipping takes a little
    same: Float32 = np.ones((50, 30), dtype=np.float32)
    assert fit_space(fit_input(same.astype(float))).components == ()


def test_equal_questions_give_an_equal_router_and_a_far_one_is_not_extrapolated_to() -> None:
    draws = np.random.default_rng(1)
    seen = fit_input(draws.standard_normal((80, 20)))
    values = draws.random((80, 3))
    first, second = (fit_router(fit_space(seen), seen, values, strength=10.0).model_dump_json() for _ in range(2))
    assert first == second
    model = fit_router(fit_space(seen), seen, values, strength=10.0)
    far, farther = (model.expect(fit_input(size * np.ones((1, 20)))) for size in (1e6, 1e9))
    np.testing.assert_array_equal(far, farther)


def test_the_same_study_gives_the_same_bytes() -> None:
    made = study(split, 6, told=False)
    vectors = embed(made, [int(kind) for kind in kinds_of(6)])
    one, two = (with_vectors(replace(made, _scores={}), vectors) for _ in range(2))
    assert one.router.model_dump_json() == two.router.model_dump_json()
    assert one.report.model_dump_json() == two.report.model_dump_json() and one.records == two.records
