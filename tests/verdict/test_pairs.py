"""What is said of two arms, and of arms in strata: by hand on small studies."""

import pytest

from tests.verdict.studies import make_study, shares
from workbench.decision import Outcome
from workbench.verdict.interaction import find_interactions
from workbench.verdict.pairs import correct_holm, rule_pairs
from workbench.verdict.strata import climb_ladder, score_strata

N = 200


def test_holm_by_hand() -> None:
    # sorted .01 .02 .04: times 3, 2, 1; never below the one before
    assert correct_holm([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert correct_holm([0.9, 0.8]) == [1.0, 1.0]


@pytest.mark.parametrize(
    ("lora", "outcome"),
    [
        pytest.param(shares(N, (150, 1.0)), Outcome.WORSE, id="clearly better"),
        pytest.param(shares(N, (50, 1.0)), Outcome.EQUIVALENT, id="the same answers"),
        pytest.param(shares(N, (42, 1.0), (8, 0.0), (14, 1.0)), Outcome.UNDECIDED, id="a few more"),
        pytest.param(shares(N, (5, 1.0)), Outcome.BETTER, id="clearly worse"),
    ],
)
def test_base_against_lora(lora: list[float], outcome: Outcome) -> None:
    [pair] = rule_pairs(make_study({"base": shares(N, (50, 1.0)), "lora": lora}), parts=("all",))
    assert (pair.a, pair.b, pair.outcome) == ("base", "lora", outcome)


def test_controls_are_in_no_pair() -> None:
    study = make_study({"base": shares(N, (50, 1.0)), "rag_oracle": shares(N, (150, 1.0))})
    assert rule_pairs(study) == ()


def test_arms_are_compared_on_the_questions_both_answered_only() -> None:
    study = make_study({"base": shares(N, (50, 1.0)), "rag": shares(N, (150, 1.0))})
    del study.arms["rag"].records[100:]  # type: ignore[attr-defined]
    [pair] = rule_pairs(study, parts=("all",))
    assert pair.n == 100 and pair.difference.value == pytest.approx(-0.5)  # the first hundred: 50 against 100


def test_log_probabilities_have_no_margin_and_are_never_equivalent() -> None:
    study = make_study({"base": shares(40, (20, 1.0)), "lora": shares(40, (20, 1.0))})
    for arm in study.arms.values():
        for record in arm.records:
            record.scores["gold_logprob"] = -3.0
    [pair] = rule_pairs(study, metrics=("gold_logprob",), parts=("all",))
    assert pair.outcome is Outcome.UNDECIDED and pair.difference.low is None


def test_the_interaction_is_the_difference_of_differences() -> None:
    study = make_study(
        {
            "base": shares(N, (20, 1.0)),
            "rag": shares(N, (60, 1.0)),
            "lora": shares(N, (40, 1.0)),
            "rag_lora": shares(N, (160, 1.0)),
        }
    )
    found = {one.part: one for one in find_interactions(study)}
    assert found["all"].value.value == pytest.approx((160 - 60 - 40 + 20) / N)
    assert found["all"].outcome is Outcome.BETTER
    assert (found["all"].rag, found["all"].both) == ("rag", "rag_lora")


def test_the_ladder_parts_finding_from_reading() -> None:
    shown = [place < 12 for place in range(20)]
    right = [1.0] * 8 + [0.0] * 4 + [1.0] * 2 + [0.0] * 6
    ladder = climb_ladder(make_study({"base": [0.0] * 20, "rag": right}, shown=shown))[0]
    assert (ladder.arm, ladder.part) == ("rag", "all")
    assert (ladder.found_right, ladder.read_error, ladder.right_anyway, ladder.retrieval_miss) == (8, 4, 2, 6)


def test_known_questions_are_those_the_base_answers() -> None:
    study = make_study({"base": shares(20, (5, 1.0)), "rag": shares(20, (5, 0.0), (10, 1.0))})
    strata = {
        (one.arm, one.part): one for one in score_strata(study, {"language:de": {"q000"}, "language:en": {"q001"}})
    }
    assert strata["rag", "known"].score.value == 0 and strata["rag", "known"].n == 5
    assert strata["rag", "unknown"].score.value == pytest.approx(10 / 15)
    assert strata["base", "language:de"].n == 1 and strata["base", "kind:direct"].n == 20
