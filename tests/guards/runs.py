"""Clean runs, drawn: three arms of some skill over questions with documents, hits, passages and clock times."""

import random

from workbench.config import ArmConfig, DecisionConfig, EvaluationConfig
from workbench.evaluation import score_answer
from workbench.guards import Evidence
from workbench.types import CaseCosts, CaseRecord, HitRecord, Question, Span, Split, StopReason
from workbench.verdict import ArmRun, Study

NOT_FOUND = "not in the documents"
ARMS = {
    "base": ArmConfig(strategy="closed_book"),
    "rag": ArmConfig(strategy="rag"),
    "lora": ArmConfig(strategy="closed_book", adapter="closed_book"),
    "rag_reader": ArmConfig(strategy="rag", adapter="reader"),
    "rag_oracle": ArmConfig(strategy="oracle", control=True),
}
COLOURS = ("teal", "amber", "olive", "ivory", "cobalt", "crimson", "maroon", "silver", "bronze", "violet")
THINGS = ("gauge", "valve", "pump", "meter", "sensor", "switch", "motor", "filter", "boiler", "damper")
WAYS = (
    "What colour is the {thing} {n}?",
    "In which paint is {thing} {n} sold?",
    "Name the shade of {n}, a {thing}.",
    "How do they paint {thing} {n}?",
)


def clean_run(seed: int, *, n: int = 120, ranked_by: str = "f1") -> Evidence:
    """Return a run without a fault: `n` test questions, half as many training questions of other documents."""
    draws = random.Random(seed)
    skills = dict(zip(ARMS, (draws.uniform(0.02, 0.3), 0.4, 0.3, draws.uniform(0.5, 0.9), 0.95), strict=True))
    questions = [_question(number, draws, Split.SEEN if number % 2 else Split.NEW) for number in range(n)]
    training = [_question(number, draws, Split.TRAIN) for number in range(n, n + n // 2)]
    hits = {question.id: _hits(question, draws, n) for question in questions}
    arms = {
        name: ArmRun(name, settings, [_record(question, name, skills[name], hits, draws) for question in questions], {})
        for name, settings in ARMS.items()
    }
    study = Study(
        questions={question.id: question for question in (*questions, *training)},
        arms=arms,
        evaluation=EvaluationConfig.model_validate({"ranked_by": ranked_by, "resamples": 200}),
        wishes=DecisionConfig(),
        seed=seed,
    )
    passages = {
        (question.relevant[0].document_id, 0, 60): f"It is painted {question.answers[0]} in the works."
        for question in (*questions, *training)
    }
    return Evidence(study, (*questions, *training), passages)


def _question(number: int, draws: random.Random, split: Split) -> Question:
    answer = " ".join(draws.sample(COLOURS, 2))
    text = WAYS[number % len(WAYS)].format(
        thing=draws.choice(THINGS), n=f"ab{number} cd{number} ef{number}"
    )  # words of its own: no near copy
    return Question(
        id=f"q{number:04d}",
        text=text,
        answers=(answer,),
        relevant=(Span(document_id=f"doc-{number}", start=14, end=14 + len(answer)),),
        split=split,
        kind=("direct", "rephrased")[number % 2],
        group=f"doc-{number}",
    )


def _hits(question: Question, draws: random.Random, n: int) -> tuple[HitRecord, ...]:
    own = int(question.id[1:])
    others = draws.sample([number for number in range(n) if number != own], 4)
    ranked = [own, *others] if draws.random() < 0.9 else others
    return tuple(
        HitRecord(document_id=f"doc-{number}", start=0, end=60, score=1 / rank, in_prompt=rank <= 2)
        for rank, number in enumerate(ranked, start=1)
    )


def _record(
    question: Question, arm: str, skill: float, hits: dict[str, tuple[HitRecord, ...]], draws: random.Random
) -> CaseRecord:
    answer = question.answers[0] if draws.random() < skill else " ".join(draws.sample(COLOURS, 2))
    reads = ARMS[arm].strategy == "rag"
    assert question.split is not None
    new_tokens = draws.randint(3, 12)
    return CaseRecord(
        question_id=question.id,
        arm=arm,
        split=question.split,
        kind=question.kind,
        answer=answer,
        stop_reason=StopReason.END,
        scores=score_answer(question, answer, NOT_FOUND) | {"gold_logprob": draws.gauss(-3, 1)},
        hits=hits[question.id] if reads else (),
        costs=CaseCosts(
            seconds=(0.3 if reads else 0.1) + 0.02 * new_tokens * draws.lognormvariate(0, 0.1),
            retrieval_seconds=0.0,
            prompt_tokens=(400 if reads else 40) + len(question.text.split()),
            new_tokens=new_tokens,
        ),
        training_seed=0 if ARMS[arm].adapter else None,
    )
