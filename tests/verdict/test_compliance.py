"""Checks of form, arm by arm."""

from dataclasses import replace

from tests.verdict.studies import make_study
from workbench.config import CheckConfig, EvaluationConfig
from workbench.types import Question
from workbench.verdict import ArmRun, Study, decide
from workbench.verdict.compliance import check_answers


def make_answers(study: Study, arm: str, answers: list[str], *, failed: int = 0) -> ArmRun:
    """Return the arm with other answers, the last `failed` of which were errors."""
    records = [
        record.model_copy(update={"answer": answer, "error": "gone" if place >= len(answers) - failed else None})
        for place, (record, answer) in enumerate(zip(study.arms[arm].records, answers, strict=True))
    ]
    return replace(study.arms[arm], records=records)


def make_checked(**checks: CheckConfig) -> Study:
    study = make_study({"base": [1.0] * 8, "lora": [1.0] * 8}, kinds=["style"] * 4 + ["direct"] * 4)
    return replace(
        study,
        arms={
            "base": make_answers(study, "base", ["a long answer"] * 6 + ["short"] * 2, failed=1),
            "lora": make_answers(study, "lora", ["short"] * 8),
        },
        evaluation=EvaluationConfig(checks=checks),
    )


def test_each_arms_share_is_of_the_questions_the_check_applies_to() -> None:
    study = make_checked(brief=CheckConfig(words=(1, 1)), brief_style=CheckConfig(words=(1, 1), kinds=("style",)))
    found = {(one.check, one.arm): one for one in check_answers(study)}
    assert found["brief", "base"].share.value == 1 / 8  # of two short answers one failed
    assert found["brief", "lora"].share.value == 1.0
    low = found["brief", "lora"].share.low
    assert low is not None
    assert 0.5 < low < 1.0
    assert found["brief", "lora"].n == 8
    assert found["brief_style", "base"].n == 4
    assert found["brief_style", "base"].share.value == 0.0


def test_an_unanswerable_question_counts_only_where_its_kind_is_named() -> None:
    study = make_checked(brief=CheckConfig(words=(1, 1)), refusal=CheckConfig(words=(1, 1), kinds=("unanswerable",)))
    questions = dict(study.questions)
    first: Question = questions["q000"]
    questions["q000"] = first.model_copy(update={"answers": (), "kind": "unanswerable"})
    counted = {(one.check, one.arm): one.n for one in check_answers(replace(study, questions=questions))}
    assert counted["brief", "lora"] == 7
    assert counted["refusal", "lora"] == 1


def test_a_decision_holds_them() -> None:
    assert [one.check for one in decide(make_checked(brief=CheckConfig(words=(1, 1)))).compliance] == ["brief", "brief"]
