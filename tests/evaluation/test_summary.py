"""The summary's shape, what failed answers cost, and where clock times may stand."""

import json
from typing import Any

import pytest

from workbench.config import ArmConfig, EvaluationConfig
from workbench.errors import RunMismatchError
from workbench.evaluation import predictions_lines, score_answer, summarise
from workbench.types import CaseCosts, CaseRecord, HitRecord, Question, ReadFailure, Span, Split

ARMS = {
    "base": ArmConfig(strategy="closed_book"),
    "rag": ArmConfig(strategy="rag"),
    "rag_oracle": ArmConfig(strategy="oracle", control=True),
}
QUESTIONS = [
    Question(
        id=f"q{number}",
        text="Where?",
        answers=() if number == 5 else ("Bergen",),
        relevant=() if number == 5 else (Span(document_id="a", start=0, end=6),),
        split=Split.NEW if number >= 3 else Split.SEEN,
        kind="unanswerable" if number == 5 else "direct",
    )
    for number in range(6)
]


def record(question: Question, arm: str, answer: str, **changes: Any) -> CaseRecord:
    assert question.split is not None
    hits = (HitRecord(document_id="a", start=0, end=9, score=1.0, in_prompt=True),) if arm != "base" else ()
    costs = CaseCosts(seconds=1.0 + int(question.id[1:]), retrieval_seconds=0.1, prompt_tokens=100, new_tokens=4)
    return CaseRecord(
        question_id=question.id,
        arm=arm,
        split=question.split,
        kind=question.kind,
        answer=answer,
        scores=score_answer(question, answer, "not in the documents"),
        hits=hits,
        costs=costs,
    ).model_copy(update=changes)


def all_records() -> list[CaseRecord]:
    answers = {"base": "Oslo", "rag": "Bergen", "rag_oracle": "not in the documents"}
    return [record(question, arm, answers[arm]) for arm in ARMS for question in QUESTIONS]


def summary_of(records: list[CaseRecord]) -> dict[str, Any]:
    return summarise(
        records,
        questions=QUESTIONS,
        config=EvaluationConfig(resamples=200),
        arms=ARMS,
        build_costs={"rag": {"build_seconds": 3.5}},
        losses={"reader": {"held_out": 1.25}},
        failures=[ReadFailure("bad.pdf", "pdf", "no pages")],
    )


def test_arms_pairs_and_retrieval_are_averaged_over_what_applies() -> None:
    summary = summary_of(all_records())
    assert summary["arms"]["rag"]["f1"] == {"mean": 1.0, "low": pytest.approx(0.565518), "high": 1.0, "n": 5}
    assert summary["arms"]["rag"]["abstention"]["mean"] == 0.0 and summary["arms"]["rag"]["abstention"]["n"] == 1
    assert summary["arms"]["rag_oracle"]["over_refusal"]["mean"] == 1.0
    pair = next(pair for pair in summary["pairs"] if (pair["a"], pair["b"], pair["metric"]) == ("base", "rag", "f1"))
    u = 1 - 0.025 ** (1 / 5)  # five equal differences prove little
    assert pair["difference"] == -1.0 and pair["n"] == 5 and pair["high"] == pytest.approx(-(1 - u) + u, abs=1e-6)
    assert summary["retrieval"]["hit@1"]["n"] == 5 and summary["retrieval"]["ndcg@10"]["mean"] == 1.0
    assert summary["kinds"]["unanswerable"]["rag_oracle"]["abstention"]["mean"] == 1.0


def test_the_two_test_splits_stand_apart() -> None:
    splits = summary_of(all_records())["splits"]
    assert list(splits) == ["seen", "new"]
    assert splits["seen"]["arms"]["rag"]["f1"]["n"] == 3 and splits["new"]["arms"]["rag"]["f1"]["n"] == 2
    assert "abstention" not in splits["seen"]["arms"]["rag"]


def test_a_split_without_records_is_there_and_empty() -> None:
    records = [one for one in all_records() if one.split is Split.NEW]
    assert summary_of(records)["splits"]["seen"] == {"arms": {}, "pairs": [], "retrieval": {}, "kinds": {}}


def test_a_failed_answer_is_wrong_and_counted_never_left_out() -> None:
    records = all_records()
    fails = {("rag", "q0"), ("rag_oracle", "q5")}
    records = [
        one.model_copy(update={"error": "out of memory", "scores": {}, "answer": "", "costs": None})
        if (one.arm, one.question_id) in fails
        else one
        for one in records
    ]
    summary = summary_of(records)
    assert summary["arms"]["rag"]["f1"]["mean"] == 0.8 and summary["arms"]["rag"]["f1"]["n"] == 5
    assert summary["arms"]["rag_oracle"]["abstention"]["mean"] == 0.0
    assert summary["arms"]["rag"]["over_refusal"]["n"] == 4
    assert summary["counts"]["errors"] == {"base": 0, "rag": 1, "rag_oracle": 1}


def test_test_questions_without_span_and_group_are_counted() -> None:
    assert summary_of(all_records())["counts"]["unplaced"] == 1


def test_costs_are_percentiles_and_totals_beside_what_building_took() -> None:
    costs = summary_of(all_records())["costs"]["rag"]
    # seconds 1 ... 6
    assert costs["seconds_p50"] == 3.5 and costs["seconds_p95"] == 5.75 and costs["seconds_total"] == 21.0
    assert costs["prompt_tokens_p50"] == 100 and costs["build_seconds"] == 3.5


def test_clock_times_stand_under_costs_alone() -> None:
    slow = [
        one.model_copy(update={"costs": one.costs.model_copy(update={"seconds": 99.0})})
        for one in all_records()
        if one.costs
    ]
    fast_summary, slow_summary = summary_of(all_records()), summary_of(slow)
    assert fast_summary.pop("costs") != slow_summary.pop("costs")
    assert json.dumps(fast_summary) == json.dumps(slow_summary)


def test_the_order_of_the_records_does_not_show() -> None:
    assert json.dumps(summary_of(all_records())) == json.dumps(summary_of(sorted(all_records(), key=str)))


def test_unknown_and_double_records_are_refused() -> None:
    records = all_records()
    with pytest.raises(RunMismatchError, match="two answers of arm 'base' to question 'q0'"):
        summary_of([*records, records[0]])
    with pytest.raises(RunMismatchError, match="arm 'lora'"):
        summary_of([*records, records[0].model_copy(update={"arm": "lora"})])


def test_predictions_hold_three_fields_in_arm_and_question_order() -> None:
    lines = predictions_lines(reversed(all_records()), arms=["rag", "base", "rag_oracle"], questions=QUESTIONS)
    assert lines[0] == '{"question_id":"q0","arm":"rag","answer":"Bergen"}'
    assert [json.loads(line)["arm"] for line in lines] == ["rag"] * 6 + ["base"] * 6 + ["rag_oracle"] * 6
