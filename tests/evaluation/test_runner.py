"""The runner: every question through every arm, fixed batches, one line an answer, no answer twice."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.tiny import load_tiny
from workbench.config import ArmConfig, DecisionConfig, EvaluationConfig, PromptConfig, RacingConfig
from workbench.decision import RaceReport
from workbench.errors import PromptBudgetError
from workbench.evaluation.metrics import token_f1
from workbench.evaluation.run_race import line_up
from workbench.evaluation.runner import Arm, answer_questions
from workbench.generation import ScriptedGenerator
from workbench.prompting import PromptBuilder
from workbench.runs import read_lines
from workbench.strategies import ClosedBook
from workbench.types import CaseRecord, Prompt, Question, Split, StopReason

pytestmark = pytest.mark.usefixtures("tiny_home")
QUESTIONS = [
    Question(id=f"q{n}", text="Why " + "so " * n + "?", answers=() if n == 3 else (f"answer {n}",), split=Split.SEEN)
    for n in range(7)
]


def make_arms() -> list[Arm]:
    _, tokenizer = load_tiny()
    strategy = ClosedBook(PromptBuilder(tokenizer, PromptConfig(max_tokens=2000)))
    return [Arm("base", strategy, None), Arm("lora", strategy, "a")]


def script(prompt: Prompt, adapter: str | None) -> str:
    n = prompt.messages[-1].content.count("so ")
    return f"answer {n}" if adapter or n % 2 else "no idea"


def answer(path: Path, generator: ScriptedGenerator) -> list[CaseRecord]:
    return answer_questions(
        QUESTIONS, make_arms(), generator, path, batch_size=3, max_new_tokens=5, not_found="not here"
    )


MANY = [Question(id=f"q{n:02}", text="Why " + "so " * n + "?", answers=(f"answer {n}",)) for n in range(60)]


def answer_racing(path: Path, generator: ScriptedGenerator) -> tuple[list[CaseRecord], RaceReport]:
    """The base answers every second question rightly, the adapter all: the base is out before the end."""
    race = line_up(
        {"base": ArmConfig(strategy="closed_book"), "lora": ArmConfig(strategy="closed_book", adapter="a")},
        EvaluationConfig(racing=RacingConfig(enabled=True, min_questions=6)),
        DecisionConfig(),
        MANY,
        lambda record, question: token_f1(record.answer, question.answers),
        seed=1,
    )
    assert race is not None
    records = answer_questions(
        MANY, make_arms(), generator, path, batch_size=3, max_new_tokens=5, not_found="not here", race=race
    )
    return records, race.report()


def test_arms_that_lose_a_race_answer_no_more_and_a_torn_race_ends_the_same(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    generator = ScriptedGenerator(script)
    whole, report = answer_racing(path, generator)
    assert [(stop.arm, stop.rule) for stop in report.stops] == [("base", "worse"), ("lora", "decided")]
    answered = {arm: [record.question_id for record in whole if record.arm == arm] for arm in ("base", "lora")}
    assert len(answered["base"]) == report.stops[0].questions == report.asked < 60
    assert sum(n for n, _ in generator.calls) == len(whole)  # nothing is generated for nobody
    batches = [tuple(f"q{n:02}" for n in range(start + 2, start - 1, -1)) for start in range(57, -1, -3)]
    in_file = [record.question_id for record in read_lines(path, CaseRecord) if record.arm == "base"]
    asked = [tuple(in_file[start : start + 3]) for start in range(0, len(in_file), 3)]
    assert set(asked) < set(batches)  # the batches of the full grid, in another order
    assert asked != batches[: len(asked)]
    lines = path.read_bytes().splitlines(keepends=True)
    for kept in (0, 4, 7, len(lines) // 2, len(lines)):
        path.write_bytes(b"".join(lines[:kept]) + (lines[kept][:20] if kept < len(lines) else b""))
        resumed, again = answer_racing(path, ScriptedGenerator(script))
        assert again == report
        assert [(r.arm, r.question_id, r.answer) for r in resumed] == [(r.arm, r.question_id, r.answer) for r in whole]


def test_every_question_meets_every_arm_in_the_order_given(tmp_path: Path) -> None:
    generator = ScriptedGenerator(script)
    records = answer(tmp_path / "cases.jsonl", generator)
    assert [(r.arm, r.question_id) for r in records] == [(a, f"q{n}") for a in ("base", "lora") for n in range(7)]
    assert [r.answer for r in records[:4]] == ["no idea", "answer 1", "no idea", "answer 3"]
    assert records[1].scores == {"gold_logprob": 0.0}
    assert records[3].scores == {"gold_logprob": None}  # nothing to be right about
    assert generator.calls == [(3, None), (3, "a"), (3, None), (3, "a"), (1, None), (1, "a")]


def test_a_torn_run_goes_on_with_the_same_batches_and_answers_nothing_twice(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    whole = answer(path, ScriptedGenerator(script))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:4]) + lines[4][:20])  # killed inside the fifth line
    generator = ScriptedGenerator(script)
    resumed = answer(path, generator)
    assert generator.calls[0] == (3, "a")  # the batch that lacks a line is answered whole
    assert [(r.arm, r.question_id, r.answer) for r in resumed] == [(r.arm, r.question_id, r.answer) for r in whole]
    assert len(read_lines(path, CaseRecord)) == len(whole)


def test_a_question_without_a_prompt_is_a_recorded_error_and_the_rest_goes_on(tmp_path: Path) -> None:
    arms = make_arms()[:1]
    inner = arms[0].strategy

    class Refusing:
        def prompt(self, question: Question) -> Prompt:
            if question.id == "q2":
                raise PromptBudgetError("too long")
            return inner.prompt(question)

    records = answer_questions(
        QUESTIONS,
        [Arm("base", Refusing(), None)],
        ScriptedGenerator(script),
        tmp_path / "c",
        batch_size=3,
        max_new_tokens=5,
        not_found="not here",
    )
    assert [record.error for record in records] == [None, None, "too long", None, None, None, None]
    assert records[2].answer == ""


def test_a_refused_prompt_is_answered_without_the_model(tmp_path: Path) -> None:
    inner = make_arms()[0].strategy

    class Threshold:
        def prompt(self, question: Question) -> Prompt:
            return replace(inner.prompt(question), refused=question.id == "q1")

    generator = ScriptedGenerator(script)
    arms = [Arm("rag", Threshold(), None)]
    path = tmp_path / "cases.jsonl"
    records = answer_questions(QUESTIONS, arms, generator, path, batch_size=3, max_new_tokens=5, not_found="not here")
    refused = records[1]
    assert (refused.answer, refused.stop_reason) == ("not here", StopReason.REFUSED)
    assert refused.costs is not None
    assert refused.costs.new_tokens == 0
    assert [record.answer for record in records[2:4]] == ["no idea", "answer 3"]
    assert sum(n for n, _ in generator.calls) == len(QUESTIONS) - 1
