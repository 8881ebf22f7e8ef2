"""Studies by hand: each arm's scores question by question, what it costs, and what the user wishes."""

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.config import DecisionConfig, EvaluationConfig
from workbench.config.experiment import DEFAULT_ARMS as SETTINGS
from workbench.types import CaseCosts, CaseRecord, HitRecord, Question, Span, Split
from workbench.verdict import ArmRun, Study

SECONDS = {"base": 0.2, "rag": 0.5, "lora": 0.21, "rag_lora": 0.52, "rag_reader": 0.51, "rag_oracle": 0.4}
BUILD = {
    "base": {},
    "rag": {"build_seconds": 10.0, "update_seconds": 10.0},
    "lora": {"build_seconds": 300.0, "update_seconds": 300.0},
    "rag_lora": {"build_seconds": 310.0, "update_seconds": 310.0},
    "rag_reader": {"build_seconds": 610.0, "update_seconds": 10.0},
    "rag_oracle": {},
}
Columns = Sequence[float] | Sequence[Sequence[float]]  # a value a question, or one a training seed


def make_study(
    scores: Mapping[str, Columns],
    *,
    seconds: Mapping[str, float] = SECONDS,
    build: Mapping[str, Mapping[str, float]] = BUILD,
    shown: Sequence[bool] | None = None,
    kinds: Sequence[str] | None = None,
    margin: float = 0.05,
    **wishes: Any,
) -> Study:
    """Return a study; F1 and contains are the scores given. Every second question is on a seen document."""
    n = len(next(iter(scores.values())))
    questions = [
        Question(
            id=f"q{place:03d}",
            text=f"What is {place}?",
            answers=("teal",),
            relevant=(Span(document_id=f"d{place}", start=0, end=4),),
            split=Split.SEEN if place % 2 else Split.NEW,
            kind=kinds[place] if kinds else "direct",
        )
        for place in range(n)
    ]
    arms = {}
    for name, columns in scores.items():
        records = [
            _record(
                questions[place], name, value, seed=seed, seconds=seconds[name], shown=shown is None or shown[place]
            )
            for place, row in enumerate(columns)
            for seed, value in enumerate(row if isinstance(row, Sequence) else [row])
        ]
        arms[name] = ArmRun(name, SETTINGS[name], records, build[name])
    return Study(
        questions={question.id: question for question in questions},
        arms=arms,
        evaluation=EvaluationConfig(margin=margin, resamples=1000),
        wishes=DecisionConfig(**wishes),
        seed=0,
    )


def shares(n: int, *parts: tuple[int, float]) -> list[float]:
    """Return `n` values: each part's count of its value, then zeros."""
    values = [value for count, value in parts for _ in range(count)]
    return values + [0.0] * (n - len(values))


def _record(question: Question, arm: str, value: float, *, seed: int, seconds: float, shown: bool) -> CaseRecord:
    reads = SETTINGS[arm].strategy == "rag"
    hit = HitRecord(document_id=question.relevant[0].document_id, start=0, end=9, score=0.9, in_prompt=shown)
    assert question.split is not None
    return CaseRecord(
        question_id=question.id,
        arm=arm,
        split=question.split,
        kind=question.kind,
        answer="teal" if value else "",
        scores={"f1": value, "contains": float(value == 1.0), "exact_match": float(value == 1.0)},
        hits=(hit,) if reads else (),
        costs=CaseCosts(seconds=seconds, retrieval_seconds=0.0, prompt_tokens=40, new_tokens=5),
        training_seed=seed if SETTINGS[arm].adapter else None,
    )
