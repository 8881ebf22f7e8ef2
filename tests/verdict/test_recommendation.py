"""The rule on situations whose answer is plain, its words, and what turns it."""

from typing import Any

import pytest

from tests.verdict.studies import SECONDS, make_study, shares
from workbench.decision import Alarm, Decision
from workbench.verdict import decide

N = 400
GOOD, FAIR, POOR, NONE = (shares(N, (n, 1.0)) for n in (320, 200, 60, 8))


def place(decision: Decision) -> dict[str, str]:
    return {one.arm: one.place for one in decision.recommendation.standings}


@pytest.mark.parametrize(
    ("scores", "wishes", "arm"),
    [
        pytest.param({"base": NONE, "rag": GOOD, "lora": POOR}, {}, "rag", id="a clear winner"),
        pytest.param({"base": GOOD, "rag": GOOD, "lora": GOOD}, {}, "base", id="all alike: the cheapest"),
        pytest.param({"base": NONE, "rag": NONE, "lora": NONE}, {}, "base", id="all fail: the base"),
        pytest.param(
            {"base": NONE, "rag": FAIR, "rag_reader": GOOD}, {"max_build_hours": 0.1}, "rag", id="too long to build"
        ),
        pytest.param({"base": NONE, "lora": FAIR, "rag_reader": GOOD}, {"max_seconds": 0.3}, "lora", id="too slow"),
        pytest.param({"base": NONE, "rag": FAIR, "lora": GOOD}, {"sources_needed": True}, "rag", id="sources needed"),
        pytest.param(
            {"base": NONE, "rag": FAIR, "lora": GOOD},
            {"weights_may_hold_corpus": False},
            "rag",
            id="sensitive documents",
        ),
        pytest.param({"base": NONE, "rag": GOOD, "lora": GOOD}, {"questions_per_month": 1e6}, "lora", id="volume"),
        pytest.param(
            {"base": NONE, "rag": GOOD, "lora": GOOD},
            {"questions_per_month": 1000, "updates_per_month": 30},
            "rag",
            id="documents change",
        ),
        pytest.param({"base": POOR}, {}, "base", id="one arm only"),
        pytest.param({"base": NONE, "rag": FAIR, "rag_oracle": GOOD}, {}, "rag", id="a control is never taken"),
        pytest.param({"base": NONE, "rag": GOOD}, {"max_seconds": 0.01}, None, id="nothing meets the constraints"),
        pytest.param({"base": NONE, "rag": GOOD}, {"max_memory_gib": 8}, None, id="nothing measured"),
    ],
)
def test_the_arm_is(scores: dict[str, list[float]], wishes: dict[str, Any], arm: str | None) -> None:
    advice = decide(make_study(scores, **wishes)).recommendation
    assert advice.arm == arm, advice.sentence


def test_a_cheaper_arm_that_may_be_worse_leaves_it_undecided_and_tells_how_many_questions() -> None:
    near = shares(N, (190, 1.0), (10, 0.0), (20, 1.0))  # 210 right against 200, 30 differ
    advice = decide(make_study({"base": NONE, "rag": FAIR, "rag_reader": near}, margin=0.03)).recommendation
    assert advice.arm is None and advice.candidates == ("rag", "rag_reader")
    # standard error sqrt(30/400 - .025²)/20 = .0137, so 80 % power at 3 points takes 400 (2.81 · .0137 / .03)² = 655
    assert advice.collect == pytest.approx(255, abs=8)
    assert f"collect about {advice.collect:,} more questions" in advice.sentence


def test_places_say_where_each_arm_ended() -> None:
    decision = decide(make_study({"base": NONE, "rag": GOOD, "lora": GOOD, "rag_lora": FAIR, "rag_oracle": GOOD}))
    assert place(decision) == {
        "base": "worse",
        "rag": "equivalent",
        "lora": "recommended",
        "rag_lora": "dominated",
        "rag_oracle": "control",
    }
    assert "equivalent to rag" in " ".join(decision.recommendation.reasons)


def test_an_alarm_that_refuses_stops_the_recommendation() -> None:
    alarm = Alarm(guard="leak", severity="refuse", message="3 test questions are training rows")
    advice = decide(make_study({"base": NONE, "rag": GOOD}), alarms=[alarm]).recommendation
    assert advice.arm is None and advice.reasons == ("3 test questions are training rows",)
    assert {one.place for one in advice.standings} == {"undecided"}


def test_a_warning_stands_beside_it() -> None:
    alarm = Alarm(guard="noise", severity="warn", message="the machine was busy")
    advice = decide(make_study({"base": NONE, "rag": GOOD}), alarms=[alarm]).recommendation
    assert advice.arm == "rag" and advice.cautions == ("the machine was busy",)


def test_the_volume_at_which_it_flips_is_the_crossover() -> None:
    decision = decide(make_study({"base": NONE, "rag": GOOD, "lora": GOOD}, questions_per_month=10, months=10))
    assert decision.recommendation.arm == "rag"
    [flip] = [flip for flip in decision.recommendation.flips if flip.knob == "volume"]
    # 290 s more to build over 10 months against 0.29 s saved a question: 100 questions a month
    assert (flip.arm, flip.direction) == ("lora", "above") and flip.value == pytest.approx(100, rel=1e-3)
    [crossover] = [one for one in decision.crossovers if (one.earlier, one.later) == ("rag", "lora")]
    assert crossover.questions is not None and crossover.questions.value == pytest.approx(1000)


def test_the_update_rate_at_which_it_flips() -> None:
    decision = decide(make_study({"base": NONE, "rag": GOOD, "lora": GOOD}, questions_per_month=10_000, months=12))
    [flip] = [flip for flip in decision.recommendation.flips if flip.knob == "updates"]
    # lora saves 2,900 s of questions and costs 290/12 s more to build a month and 290 s more an update
    assert flip.arm == "rag" and flip.value == pytest.approx((2900 - 290 / 12) / 290, rel=1e-3)


def test_the_mix_of_splits_at_which_it_flips() -> None:
    seen_only = [float(place % 2) for place in range(N)]  # lora knows what it was trained on, rag a bit of everything
    even = [float(place % 5 < 3) for place in range(N)]
    decision = decide(make_study({"base": NONE, "rag": even, "lora": seen_only}, seen_share=0.2))
    assert decision.recommendation.arm == "rag"
    flips = {flip.knob: flip for flip in decision.recommendation.flips}
    assert flips["seen_share"].arm == "lora" and flips["seen_share"].direction == "above"


def test_money_and_hours_order_arms_alike() -> None:
    scores = {"base": NONE, "rag": GOOD, "lora": GOOD}
    paid = decide(make_study(scores, hourly_rate=3.6, currency="CHF"))
    assert paid.recommendation.arm == decide(make_study(scores)).recommendation.arm
    costs = {one.arm: one for one in paid.costs}
    assert costs["lora"].build_money == pytest.approx(0.3) and costs["lora"].money_per_1000 == pytest.approx(0.21)
    assert "CHF a month" in paid.recommendation.sentence


def test_cost_of_pass_is_seconds_over_the_share_of_right_answers() -> None:
    costs = {one.arm: one for one in decide(make_study({"base": NONE, "rag": FAIR})).costs}
    assert costs["rag"].seconds_of_pass is not None
    assert costs["rag"].seconds_of_pass.value == pytest.approx(SECONDS["rag"] / 0.5)
    none = decide(make_study({"base": [0.0] * 40, "rag": FAIR[:40]}))
    assert none.costs[0].seconds_of_pass is None


def test_never_is_a_crossover_and_costs_of_updates_count() -> None:
    study = make_study({"base": NONE, "rag": GOOD, "lora": GOOD}, updates_per_month=10, months=10)
    found = {(one.earlier, one.later): one.questions for one in decide(study).crossovers}
    assert found["base", "rag"] is None  # dearer to build and dearer to ask
    lora = found["rag", "lora"]
    assert lora is not None and lora.value == pytest.approx((290 + 100 * 290) / 0.29)


def test_costs_that_round_alike_are_told_with_the_digits_that_differ() -> None:
    seconds = {**SECONDS, "rag": 0.5, "rag_lora": 0.5004}
    scores = {"rag": shares(400, (200, 1.0)), "rag_lora": shares(400, (200, 1.0))}
    build: dict[str, dict[str, float]] = {name: {} for name in SECONDS}
    told = decide(make_study(scores, seconds=seconds, build=build)).recommendation
    (other,) = [one for one in told.standings if one.arm == "rag_lora"]
    assert other.reason == (
        "as good as rag and dearer: 0.1389 hours of this machine a month against 0.139 hours of this machine"
    )
