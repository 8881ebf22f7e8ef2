"""Several runs as one study: arms named by what decides them, planted winners found, and none where there is none."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from random import Random
from statistics import fmean

import pytest

from tests.verdict.studies import Columns, make_study, shares
from workbench.config.variants import tell_values
from workbench.decision import Alarm, Outcome
from workbench.errors import RunMismatchError
from workbench.verdict import (
    Part,
    caution,
    decide,
    join_alarms,
    join_interactions,
    join_studies,
    measure_selection,
    name_arms,
)

MODELS, RATES = ("small", "large"), ("2e-4", "5e-4")


def variants(decides: Mapping[str, str]) -> list[tuple[dict[str, str], dict[str, str]]]:
    """Two models × two rates; `decides` says for each arm which of them its inputs depend on: "", "m", "r" or "mr"."""
    rows = []
    for model in MODELS:
        for rate in RATES:
            by = {"m": model, "r": rate}
            inputs = {arm: "|".join(by[letter] for letter in letters) for arm, letters in decides.items()}
            rows.append(({"models.generator": model, "training.learning_rate": rate}, inputs))
    return rows


def names(rows: list[tuple[dict[str, str], dict[str, str]]]) -> list[dict[str, str]]:
    return name_arms(rows, partial(tell_values, keys=["models.generator", "training.learning_rate"]))


def test_an_arm_is_named_by_the_values_that_decide_it_and_is_one_arm_where_they_do_not() -> None:
    found = names(variants({"fixed": "", "base": "m", "router": "r", "reader": "mr"}))
    assert [one["fixed"] for one in found] == ["fixed"] * 4
    assert [one["base"] for one in found] == ["base · small", "base · small", "base · large", "base · large"]
    assert [one["router"] for one in found] == ["router · learning_rate 2e-4", "router · learning_rate 5e-4"] * 2
    assert found[3]["reader"] == "reader · large, learning_rate 5e-4"
    assert len({one["reader"] for one in found}) == 4


def test_equal_inputs_by_chance_of_one_value_only_are_one_arm() -> None:
    rows = variants({"reader": "mr"})
    rows[1][1]["reader"] = rows[0][1]["reader"]  # the small model's adapter came out the same at both rates
    found = [one["reader"] for one in names(rows)]
    assert found[0] == found[1] and len(set(found)) == 3


def test_an_arm_that_some_variants_lack_is_there_where_it_is() -> None:
    rows = variants({"base": "", "extra": "m"})
    del rows[2][1]["extra"], rows[3][1]["extra"]
    assert ["extra" in one for one in names(rows)] == [True, True, False, False]


def part(name: str, scores: Mapping[str, Columns], arms: Mapping[str, str]) -> Part:
    return Part(name, make_study(scores), arms)


def test_the_better_of_two_base_models_wins_with_its_strategy() -> None:
    n = 80
    small = part(
        "small",
        {"base": shares(n, (10, 1.0)), "rag": shares(n, (24, 1.0))},
        {"base": "base · small", "rag": "rag · small"},
    )
    large = part(
        "large",
        {"base": shares(n, (14, 1.0)), "rag": shares(n, (60, 1.0))},
        {"base": "base · large", "rag": "rag · large"},
    )
    joint = join_studies([small, large])
    assert list(joint.arms) == ["base · small", "base · large", "rag · small", "rag · large"]
    decision = decide(joint)
    assert decision.recommendation.arm == "rag · large"
    ruling = next(one for one in decision.pairs if (one.a, one.b, one.part) == ("rag · small", "rag · large", "all"))
    assert ruling.outcome is Outcome.WORSE and ruling.n == n
    assert ruling.difference.value == pytest.approx((24 - 60) / n)


def test_variants_that_differ_by_chance_alone_bring_no_winner() -> None:
    """Eight variants of one arm, all right in 40 % by coin: the best of them is a few points above, and undecided."""
    draws, n = Random(5), 80
    parts = [
        part(f"v{number}", {"rag": [float(draws.random() < 0.4) for _ in range(n)]}, {"rag": f"rag · v{number}"})
        for number in range(8)
    ]
    joint = join_studies(parts)
    decision, selection = decide(joint), measure_selection(joint)
    means = [fmean(one[0] for one in joint.scores(arm, "f1").values()) for arm in joint.arms]
    assert max(means) - min(means) > 0.05  # chance alone
    assert decision.recommendation.arm is None and len(decision.recommendation.candidates) == 8
    assert {one.outcome for one in decision.pairs if one.part == "all"} == {Outcome.UNDECIDED}
    assert selection is not None and selection.score == pytest.approx(max(means))
    assert selection.elsewhere < selection.score  # what picking by score took from chance
    assert max(selection.picked.values()) < 0.9
    assert f"{100 * selection.elsewhere:.1f} on the rest" in caution(selection)


def test_identical_answers_are_equivalent_and_the_cheaper_is_taken() -> None:
    scores = [1.0, 0.0] * 30
    parts = [part(name, {"rag": scores}, {"rag": f"rag · {name}"}) for name in ("a", "b")]
    cheaper = replace(parts[1].study.arms["rag"], build={"build_seconds": 1.0, "update_seconds": 1.0})
    parts[1] = replace(parts[1], study=replace(parts[1].study, arms={"rag": cheaper}, _scores={}))
    decision = decide(join_studies(parts))
    assert [one.outcome for one in decision.pairs if one.part == "all"] == [Outcome.EQUIVALENT]
    assert decision.recommendation.arm == "rag · b"


def test_a_clear_winner_keeps_its_score_on_questions_that_did_not_pick_it() -> None:
    selection = measure_selection(
        join_studies(
            [
                part("a", {"rag": shares(60, (40, 1.0))}, {"rag": "rag · a"}),
                part("b", {"rag": shares(60, (10, 1.0))}, {"rag": "rag · b"}),
            ]
        )
    )
    assert selection is not None
    assert selection.arm == "rag · a" and selection.picked == {"rag · a": 1.0}
    assert selection.elsewhere == pytest.approx(selection.score) == pytest.approx(40 / 60)
    assert measure_selection(join_studies([part("a", {"rag": shares(60, (40, 1.0))}, {"rag": "rag"})])) is None


def test_tied_arms_share_the_draws() -> None:
    scores = shares(40, (20, 1.0))
    selection = measure_selection(
        join_studies([part(name, {"rag": scores}, {"rag": f"rag · {name}"}) for name in ("a", "b")])
    )
    assert selection is not None and selection.picked == {"rag · a": 0.5, "rag · b": 0.5}
    assert selection.elsewhere == pytest.approx(0.5)


def test_an_equal_arm_is_taken_once_from_the_first_part() -> None:
    one = part("a", {"base": [1.0] * 20, "rag": [1.0] * 20}, {"base": "base", "rag": "rag · a"})
    two = part("b", {"base": [0.0] * 20, "rag": [0.0] * 20}, {"base": "base", "rag": "rag · b"})
    joint = join_studies([one, two])
    assert list(joint.arms) == ["base", "rag · a", "rag · b"]
    assert {record.arm for record in joint.arms["rag · b"].records} == {"rag · b"}
    assert set(joint.scores("base", "f1").values()) == {(1.0,)}


def test_parts_that_asked_other_questions_are_not_joined() -> None:
    with pytest.raises(RunMismatchError, match="'a' and 'b' asked different questions \\(5 of 20 and 25 differ\\)"):
        join_studies([part("a", {"rag": [1.0] * 20}, {"rag": "a"}), part("b", {"rag": [1.0] * 25}, {"rag": "b"})])


def test_interactions_stay_within_a_part_and_equal_ones_are_told_once() -> None:
    scores = {
        "base": shares(40, (4, 1.0)),
        "rag": shares(40, (20, 1.0)),
        "lora": shares(40, (8, 1.0)),
        "rag_lora": shares(40, (30, 1.0)),
    }
    arms = {"base": "base", "rag": "rag", "lora": "lora · a", "rag_lora": "rag_lora · a"}
    parts = [
        part("a", scores, arms),
        part("b", scores, {name: one.replace("· a", "· b") for name, one in arms.items()}),
    ]
    alone, joined = join_interactions(parts[:1]), join_interactions([*parts, parts[0]])
    assert len(joined) == 2 * len(alone) > 0
    assert {(one.base, one.rag, one.lora) for one in joined} == {
        ("base", "rag", "lora · a"),
        ("base", "rag", "lora · b"),
    }


def test_alarms_of_all_parts_are_said_once_and_others_with_their_part() -> None:
    def alarm(message: str, *arms: str, severity: str = "warn") -> Alarm:
        return Alarm.model_validate({"guard": "g", "severity": severity, "message": message, "arms": arms})

    one = Part("a", make_study({"rag": [1.0]}), {"rag": "rag · x", "base": "base"})
    two = Part("b", make_study({"rag": [1.0]}), {"rag": "rag · x", "base": "base"})
    three = Part("c", make_study({"rag": [1.0]}), {"rag": "rag · y", "base": "base"})
    few, slow, bad = alarm("few"), alarm("rag: slow", "rag"), alarm("leak", severity="refuse")
    joined = join_alarms([(one, [few, slow]), (two, [few, slow]), (three, [few, bad])])
    assert [(found.message, found.arms) for found in joined] == [
        ("c: leak", ()),
        ("few", ()),
        ("a: rag: slow", ("rag · x",)),
    ]
