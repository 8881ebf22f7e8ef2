"""The race: who stops, when and why, with which error; and that it depends on the answers alone."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from workbench.decision import ArmStop
from workbench.evaluation.race_rules import RaceCase, RaceRules
from workbench.evaluation.racing import Race
from workbench.evaluation.sequential import bet

NEEDS = {
    "base": frozenset[str](),
    "rag": frozenset({"index"}),
    "lora": frozenset({"adapter"}),
    "both": frozenset({"index", "adapter"}),
}
TOKENS = {"base": 60.0, "rag": 500.0, "lora": 60.0, "both": 500.0}


def answer(skill: Mapping[str, float], n: int, seed: int, *, agreement: float = 0.5) -> list[RaceCase]:
    """Draw right or wrong answers; on a share `agreement` of the questions all arms have the same luck."""
    draws = np.random.default_rng(seed)
    common, own, shared = draws.random(n), draws.random((n, len(skill))), draws.random(n) < agreement
    luck = np.where(shared[:, None], common[:, None], own)
    return [
        RaceCase(f"q{row}", {arm: float(luck[row, place] < skill[arm]) for place, arm in enumerate(skill)}, TOKENS)
        for row in range(n)
    ]


def run(cases: Sequence[RaceCase], rules: RaceRules | None = None, *, batch: int = 8, keep: Sequence[str] = ()) -> Race:
    arms = [arm for arm in NEEDS if arm in cases[0].scores]
    race = Race({arm: NEEDS[arm] for arm in arms}, len(cases), rules or RaceRules(), keep=keep)
    for start in range(0, len(cases), batch):
        race.feed(cases[start : start + batch])
    return race


def stop_of(race: Race, arm: str) -> ArmStop:
    return next(stop for stop in race.stops if stop.arm == arm)


def test_a_clear_loser_stops_at_the_first_look_and_the_winner_when_it_is_alone() -> None:
    race = run(answer({"base": 0.05, "rag": 0.95}, 160, 0))
    assert [(stop.arm, stop.rule, stop.by) for stop in race.stops] == [
        ("base", "worse", "rag"),
        ("rag", "decided", None),
    ]
    assert stop_of(race, "base").questions == race.n_asked == 24  # the first batch after 20 questions
    assert race.is_over
    assert not race.answers("rag")
    assert stop_of(race, "base").difference == 0.75
    assert "rag (+0.750) is surely better" in stop_of(race, "base").sentence


def test_a_tie_between_arms_of_unknown_price_goes_to_the_end_unless_futility_is_set() -> None:
    cases = [RaceCase(f"q{n}", {"rag": float(n % 4 < 2), "lora": float(n % 2)}, TOKENS) for n in range(160)]
    assert run(cases, RaceRules(futility=0)).running == ("rag", "lora")
    stopped = run(cases, RaceRules(futility=0.05))
    assert [stop.rule for stop in stopped.stops] == ["undecidable", "decided"]
    assert stopped.n_asked > 80  # half of the rest may still decide while half is unseen


def test_an_equal_arm_that_needs_more_stops_as_dearer_and_the_cheaper_one_never_does() -> None:
    cases = answer({"rag": 0.6, "both": 0.6}, 400, 2, agreement=0.95)
    race = run(cases, RaceRules(margin=0.05))
    assert [(stop.arm, stop.rule, stop.by) for stop in race.stops] == [
        ("both", "dearer", "rag"),
        ("rag", "decided", None),
    ]


def test_arms_of_unknown_price_that_are_surely_alike_stop_together_since_costs_decide() -> None:
    cases = answer({"base": 0.1, "rag": 0.6, "lora": 0.6}, 600, 4, agreement=0.98)
    race = run(cases, RaceRules(margin=0.05, futility=0))
    assert [(stop.arm, stop.rule, stop.by) for stop in race.stops] == [
        ("base", "worse", "rag"),
        ("rag", "equivalent", "lora"),
        ("lora", "equivalent", "rag"),
    ]
    assert race.is_over
    assert race.n_asked < 400
    assert "surely within 0.05 of each other: costs decide" in stop_of(race, "rag").sentence
    limited = run(cases, RaceRules(margin=0.05, futility=0, only_by_cheaper=True))
    assert limited.running == ("rag", "lora")  # a limit may exclude either


def test_arms_that_differ_by_the_margin_are_called_alike_no_more_often_than_stated() -> None:
    """lora is better by exactly the margin, and neither is known to be cheaper."""
    rules = RaceRules(margin=0.1, futility=0)
    lost = [
        any(stop.rule == "equivalent" for stop in run(answer({"rag": 0.5, "lora": 0.6}, 160, n), rules, batch=16).stops)
        for n in range(600)
    ]
    assert np.mean(lost) <= 0.05


def test_a_lead_sure_for_one_allowance_is_sure_for_any_smaller() -> None:
    """So "worse", "dominated" and "equivalent" of one pair are one test, not three."""
    leads = np.linspace(-1, 1, 201)
    for margin in (0.02, 0.1, 0.4):
        allowances = np.array([-margin, 0.0, margin])[:, None]
        stakes = bet(leads - allowances, worst=1 + allowances)  # (bets, 3, leads)
        assert (np.diff(stakes, axis=1) <= 1e-12).all()


def test_who_costs_the_same_stops_when_surely_worse_by_whatever_it_be() -> None:
    needs = {"rag": frozenset({"index"}), "rag_five": frozenset({"index"})}
    race = Race(needs, 400, RaceRules(margin=0.45))
    scores = [RaceCase(f"q{n}", {"rag": float(n % 10 < 8), "rag_five": float(n % 10 < 5)}, {}) for n in range(200)]
    race.feed(scores)
    assert [(stop.arm, stop.rule) for stop in race.stops] == [("rag_five", "dominated"), ("rag", "decided")]


LIMITED = RaceRules(only_by_cheaper=True, limited=True, futility=0)


def test_under_a_limit_a_dearer_arm_stops_only_the_last_resort_and_goes_on_to_show_that_it_keeps_the_limit() -> None:
    cases = answer({"base": 0.05, "rag": 0.95}, 160, 0)
    race = run(cases, LIMITED)
    assert [(stop.arm, stop.rule, stop.by) for stop in race.stops] == [("base", "worse", "rag")]
    assert (race.running, race.n_asked, race.answers("rag")) == (("rag",), 160, True)


def test_under_a_limit_an_arm_that_may_still_be_needed_goes_on() -> None:
    equal = answer({"base": 0.05, "rag": 0.95, "lora": 0.1}, 160, 0)  # base and lora are not told apart
    assert run(equal, LIMITED).running == ("base", "rag", "lora")
    apart = run(answer({"base": 0.05, "rag": 0.95, "lora": 0.6}, 160, 0), LIMITED)
    assert apart.running == ("rag", "lora")  # each may be excluded, and base is worse than both


def test_an_arm_that_breaks_a_limit_stops_and_shields_no_other() -> None:
    cases = answer({"base": 0.05, "rag": 0.95, "lora": 0.6}, 160, 0)
    race = Race({arm: NEEDS[arm] for arm in ("base", "rag", "lora")}, 160, LIMITED, beside=["oracle"])
    race.feed(cases[:16], excluded={"rag": "is slow"})
    assert not race.stops  # too early to look
    for start in range(16, 160, 16):
        race.feed(cases[start : start + 16])
    assert [(stop.arm, stop.rule, stop.by) for stop in race.stops] == [
        ("rag", "excluded", None),
        ("base", "worse", "lora"),
        ("oracle", "control", None),
    ]
    assert stop_of(race, "rag").sentence == "rag stopped after 32 questions: is slow"
    assert race.answers("lora")
    race.feed(cases[:16], excluded={"lora": "is slow, too"})
    assert race.is_over


def test_under_a_limit_the_last_arm_goes_on_alone_unless_no_answer_tells_whether_it_keeps_it() -> None:
    cases = answer({"base": 0.95, "rag": 0.05}, 160, 0)
    assert run(cases, LIMITED).n_asked == 160
    to_build = run(cases, replace(LIMITED, limited=False))  # hours to build are known beforehand
    assert [stop.rule for stop in to_build.stops] == ["dearer", "decided"]


def test_a_limit_on_seconds_is_one_test_more() -> None:
    assert RaceRules(alpha=0.05).level(5) == 0.0125
    assert RaceRules(alpha=0.05, limited=True).level(5) == 0.01


def test_no_arm_stops_before_its_time() -> None:
    race = run(answer({"base": 0.0, "rag": 1.0}, 160, 0), RaceRules(min_questions=100))
    assert stop_of(race, "base").questions == 104
    assert run(answer({"base": 0.0, "rag": 1.0}, 160, 0), RaceRules(look_every=5)).n_asked == 40


def test_a_kept_arm_answers_every_question_and_controls_stop_with_the_last() -> None:
    cases = answer({"base": 0.05, "rag": 0.95}, 160, 0)
    kept = run(cases, keep=["base"])
    assert kept.answers("base")
    assert [stop.arm for stop in kept.stops] == ["rag"]
    race = Race({arm: NEEDS[arm] for arm in ("base", "rag")}, 160, RaceRules(), beside=["oracle"], n_beside=None)
    assert race.answers("oracle")
    race.feed(cases[:24])
    assert [(stop.arm, stop.rule) for stop in race.stops][-1] == ("oracle", "control")
    assert not race.answers("oracle")


def test_a_control_may_be_asked_a_few_questions_only() -> None:
    cases = answer({"rag": 0.6, "lora": 0.6}, 160, 1)
    race = Race({arm: NEEDS[arm] for arm in ("rag", "lora")}, 160, RaceRules(), beside=["oracle"], n_beside=30)
    for start in (0, 16):
        race.feed(cases[start : start + 16])
    assert [(stop.arm, stop.questions) for stop in race.stops] == [("oracle", 32)]
    assert race.running == ("rag", "lora")


def test_weights_decide_whose_questions_count() -> None:
    def cases(weight: float) -> list[RaceCase]:
        return [
            RaceCase(f"q{n}", {"rag": float(n % 2), "lora": float(not n % 2)}, {}, weight if n % 2 else 2 - weight)
            for n in range(80)
        ]

    needs = {arm: NEEDS[arm] for arm in ("rag", "lora")}
    for weight, loser in ((1.9, "lora"), (0.1, "rag")):
        race = Race(needs, 80, RaceRules(futility=0), max_weight=1.9)
        race.feed(cases(weight))
        assert race.stops[0].arm == loser
        assert race.stops[0].difference == pytest.approx(0.9)


def test_the_arm_to_take_is_stopped_no_more_often_than_stated() -> None:
    """rag is as good as lora and both, and better than base by exactly the margin: the hardest case for the test."""
    skill = {"base": 0.55, "rag": 0.6, "lora": 0.6, "both": 0.6}
    lost = 0
    for seed in range(400):
        race = run(answer(skill, 160, seed), RaceRules(margin=0.05, futility=0, alpha=0.05), batch=16)
        lost += any(stop.arm == "rag" and stop.rule in ("worse", "dominated", "dearer") for stop in race.stops)
    assert lost <= 0.05 * 400  # by Bonferroni well below


def test_a_race_of_two_at_the_edge_errs_no_more_often_than_stated() -> None:
    """rag is better by exactly the margin, so base, which is cheaper, is not as good: one test at 5 %."""
    rules = RaceRules(margin=0.1, futility=0)
    lost = [
        any(stop.rule == "dearer" for stop in run(answer({"base": 0.5, "rag": 0.6}, 160, seed), rules, batch=16).stops)
        for seed in range(600)
    ]
    assert 0.003 < np.mean(lost) <= 0.05


def test_a_question_that_counts_for_more_than_was_said_is_refused() -> None:
    race = Race({arm: NEEDS[arm] for arm in ("base", "rag")}, 10, RaceRules())
    with pytest.raises(ValueError, match=r"'q1' counts 1.5, but at most 1.0"):
        race.feed([RaceCase("q1", {"base": 1.0, "rag": 0.0}, {}, 1.5)])


def test_the_same_answers_give_the_same_race_and_the_last_arm_stays() -> None:
    cases = answer({"base": 0.3, "rag": 0.5, "lora": 0.7, "both": 0.75}, 160, 5)
    first, second = run(cases).report("f1"), run(cases).report("f1")
    assert first == second
    assert first.stops[-1].rule in ("decided", "undecidable") or len(first.stops) < 4


def test_a_race_needs_rivals_and_their_scores() -> None:
    with pytest.raises(ValueError, match="two arms"):
        Race({"base": frozenset()}, 10, RaceRules())
    with pytest.raises(ValueError, match=r"kept arms x .* base, rag"):
        Race({arm: NEEDS[arm] for arm in ("base", "rag")}, 10, RaceRules(), keep=["x"])
    with pytest.raises(ValueError, match=r"'q1' has no score of running arms: rag"):
        Race({arm: NEEDS[arm] for arm in ("base", "rag")}, 10, RaceRules()).feed([RaceCase("q1", {"base": 1.0}, {})])
