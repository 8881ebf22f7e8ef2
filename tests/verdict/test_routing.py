"""Routing: it gains where what is seen beforehand tells arms apart, and knows better than to where it does not."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tests.verdict.studies import make_study
from workbench.decision import Outcome
from workbench.types import CaseRecord
from workbench.verdict import ArmRun, Study
from workbench.verdict.router_features import DRAFT, FEATURES, read_features
from workbench.verdict.routing import Routing, route

N = 200


def study(right: Callable[[random.Random, bool], tuple[float, float]], seed: int, *, told: bool = True) -> Study:
    """Questions of two kinds; `right` draws rag's and lora's scores. `told`: retrieval's scores tell kinds apart."""
    draws = random.Random(seed)
    kinds = [draws.random() < 0.5 for _ in range(N)]
    scores = [right(draws, kind) for kind in kinds]
    made = make_study(
        {"base": [0.0] * N, "rag": [one for one, _ in scores], "lora": [two for _, two in scores]}, margin=0.02
    )
    best = [draws.gauss(0.8 if kind and told else 0.4, 0.08) for kind in kinds]

    def seen(record: CaseRecord) -> CaseRecord:
        score = best[int(record.question_id[1:])]
        hits = tuple(hit.model_copy(update={"score": score}) for hit in record.hits)
        return record.model_copy(update={"hits": hits, "entropy": 1.5})

    arms = {
        name: ArmRun(name, arm.settings, [seen(record) for record in arm.records], arm.build)
        for name, arm in made.arms.items()
    }
    return replace(made, arms=arms, seed=seed, _scores={})


def split(draws: random.Random, kind: bool) -> tuple[float, float]:
    return float(draws.random() < (0.9 if kind else 0.1)), float(draws.random() < (0.1 if kind else 0.9))


def alike(draws: random.Random, kind: bool) -> tuple[float, float]:
    return float(draws.random() < 0.6), float(draws.random() < 0.5)


def routed(made: Study) -> Routing:
    routing = route(made)
    assert routing is not None
    return routing


def test_it_closes_most_of_the_gap_where_retrieval_tells_kinds_apart() -> None:
    report = routed(study(split, 0)).report
    assert report.gap_closed is not None and report.gap_closed.value > 0.6
    assert report.outcome is Outcome.BETTER and report.non_inferior
    assert report.oracle_score >= report.score.value > report.best_fixed_score + 0.25
    assert report.shares["base"] == 0 and 0.3 < report.shares["rag"] < 0.7


def test_without_anything_to_see_it_falls_back_to_the_best_fixed_arm() -> None:
    fallen_back = gained = 0
    for seed in range(20):
        report = routed(study(alike, seed, told=False)).report
        fallen_back += max(report.shares.values()) > 0.75
        gained += report.outcome is Outcome.BETTER
        assert report.outcome is not Outcome.WORSE
    assert gained == 0 and fallen_back >= 14


def test_features_of_other_questions_gain_nothing() -> None:
    made = study(split, 1)
    order = [record.hits for record in made.arms["rag"].records]
    random.Random(0).shuffle(order)
    records = [one.model_copy(update={"hits": hits}) for one, hits in zip(made.arms["rag"].records, order, strict=True)]
    shuffled = replace(made, arms={**made.arms, "rag": replace(made.arms["rag"], records=records)}, _scores={})
    report = routed(shuffled).report
    assert report.gap_closed is not None and abs(report.gap_closed.value) < 0.15


def drafted(made: Study, seed: int) -> Study:
    """The study, where the base's entropy alone tells kinds apart: 0.5 nats or 2.5."""
    draws = random.Random(seed)
    entropies = [0.5 + 2 * (draws.random() < 0.5) for _ in range(N)]  # as `study` draws kinds
    records = [
        record.model_copy(update={"entropy": entropies[int(record.question_id[1:])]})
        for record in made.arms["base"].records
    ]
    return replace(made, arms={**made.arms, "base": replace(made.arms["base"], records=records)}, _scores={})


def test_records_are_the_chosen_arms_and_pay_for_what_was_looked_at() -> None:
    made = drafted(study(split, 2, told=False), 2)
    routing = routed(made)
    paid = Counter(round(record.costs.seconds, 6) for record in routing.records if record.costs is not None)
    # rag 0.5 s, lora 0.21 s, each with the base's draft of 0.2 s
    assert set(paid) == {0.7, 0.41} and paid[0.7] / N == routing.report.shares["rag"]
    for record in routing.records:
        assert record.costs is not None and record.arm == "routed"
        chosen = made.arms["rag" if record.costs.seconds > 0.5 else "lora"].records[int(record.question_id[1:])]
        assert (record.answer, record.scores, record.hits) == (chosen.answer, chosen.scores, chosen.hits)
    assert routing.report.features == FEATURES and routing.router.draft == "base"


def test_a_draft_that_tells_nothing_is_not_paid_for() -> None:
    routing = routed(study(split, 2))
    paid = {round(record.costs.seconds, 6) for record in routing.records if record.costs is not None}
    assert paid == {0.5, 0.21}
    assert routing.router.draft is None and not set(DRAFT) & set(routing.router.features)


def test_a_router_that_falls_back_has_looked_at_nothing() -> None:
    made = study(lambda draws, _: (1.0, float(draws.random() < 0.2)), 0, told=False)
    routing = routed(made)
    assert {record.costs.seconds for record in routing.records if record.costs is not None} == {0.5}
    assert routing.router.always == "rag" and routing.router.features == ()


def test_it_looks_at_nothing_that_is_known_only_afterwards() -> None:
    made = study(split, 3)
    blind = {
        id_: question.model_copy(update={"answers": ("other",), "relevant": (), "split": None, "kind": "x"})
        for id_, question in made.questions.items()
    }
    seen, then = read_features(made), read_features(replace(made, questions=blind))
    assert seen is not None and then is not None and seen.names == then.names == FEATURES
    for name in FEATURES:
        np.testing.assert_array_equal(seen.seen.named[name], then.seen.named[name])


def test_the_same_study_is_routed_alike_and_few_questions_are_not() -> None:
    made = study(split, 4)
    assert routed(made).records == routed(made).records
    assert route(make_study({"base": [0.0] * 30, "rag": [1.0] * 30})) is None
    assert route(make_study({"base": [0.0] * 60, "lora": [1.0] * 60})) is None  # nothing retrieves
