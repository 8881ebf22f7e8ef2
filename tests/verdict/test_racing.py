"""What a race means for the verdict: who lost it is out, for as long as what it lost to may be taken."""

from dataclasses import replace
from typing import Any, Literal

import pytest

from tests.verdict.studies import make_study, shares
from workbench.decision import ArmStop, RaceReport
from workbench.verdict import Study, decide
from workbench.verdict.racing import losses, lost

Rule = Literal["worse", "dominated", "dearer", "undecidable", "decided", "control"]


def stop(arm: str, rule: Rule, by: str | None) -> ArmStop:
    return ArmStop(
        arm=arm, questions=40, rule=rule, by=by, difference=0.4, sentence=f"{arm} stopped after 40 questions"
    )


def raced(study: Study, *stops: ArmStop) -> Study:
    """Cut the stopped arms' records, and say why they are cut."""
    n = {one.arm: one.questions for one in stops}
    arms = {name: replace(arm, records=arm.records[: n.get(name)]) for name, arm in study.arms.items()}
    race = RaceReport(metric="f1", alpha=0.05, margin=0.05, questions=200, asked=200, looks=9, stops=stops)
    return replace(study, arms=arms, race=race, _scores={})


def three_arms(**wishes: Any) -> Study:
    """rag is best; lora, unlucky in its last questions, was as good as rag in its first forty."""
    scores = {"base": shares(200, (20, 1.0)), "rag": shares(200, (160, 1.0)), "lora": shares(200, (40, 1.0))}
    return make_study(scores, **wishes)


def test_without_the_race_the_first_questions_alone_would_not_decide() -> None:
    cut = raced(three_arms(), stop("lora", "worse", "rag"))
    assert decide(replace(cut, race=None, _scores={})).recommendation.arm is None
    assert decide(cut).recommendation.arm == "rag"


def test_who_lost_stands_where_the_race_put_it_and_the_reasons_say_so() -> None:
    said = decide(raced(three_arms(), stop("lora", "worse", "rag"))).recommendation
    assert {one.arm: one.place for one in said.standings}["lora"] == "worse"
    assert "In the race, lora stopped after 40 questions." in said.reasons
    assert not any("better than base and lora" in reason for reason in said.reasons)


def test_an_arm_is_back_when_what_it_lost_to_may_not_be_taken() -> None:
    study = raced(three_arms(sources_needed=False, max_seconds=0.3), stop("lora", "worse", "rag"))  # rag takes 0.5 s
    said = decide(study).recommendation
    assert said.arm == "lora"
    assert {one.arm: one.place for one in said.standings}["rag"] == "excluded"


def test_losing_is_handed_on() -> None:
    stops = {"a": stop("a", "worse", "b"), "b": stop("b", "dearer", "c")}
    assert set(lost(stops, ["a", "b", "c"])) == {"a", "b"}
    assert set(lost(stops, ["a", "c"])) == {"a"}  # b may not be taken, but lost to c, which may
    assert not lost(stops, ["a"])


@pytest.mark.parametrize(
    ("rule", "smaller", "larger"),
    [("worse", True, False), ("dominated", True, True), ("dearer", False, True), ("undecidable", False, False)],
)
def test_under_another_margin_only_what_still_follows_holds(rule: Rule, smaller: bool, larger: bool) -> None:
    study = raced(three_arms(), stop("lora", rule, "rag"))
    assert bool(losses(study, margin=0.02)) == smaller
    assert bool(losses(study, margin=0.1)) == larger
    assert bool(losses(study, margin=0.05)) == (rule != "undecidable")


def test_under_another_metric_or_mix_of_splits_nothing_does() -> None:
    study = raced(three_arms(), stop("lora", "worse", "rag"))
    by_contains = study.evaluation.model_copy(update={"ranked_by": "contains"})
    assert not losses(replace(study, evaluation=by_contains), margin=0.05)
    assert not losses(replace(study, wishes=study.wishes.model_copy(update={"seen_share": 0.9})), margin=0.05)
