"""A seeded run that never happened: six arms, two splits, disagreements, one unreadable file. Figures are invented."""

import random
from functools import cache

from workbench.config import EvaluationConfig
from workbench.config.experiment import DEFAULT_ARMS
from workbench.evaluation import score_answer, summarise
from workbench.report import ReportData
from workbench.types import (
    CaseCosts,
    CaseRecord,
    Citation,
    HitRecord,
    Question,
    ReadFailure,
    Span,
    Split,
)

NOT_FOUND = "not in the documents"
CHANCE = {  # of a right answer on seen and on new documents
    "base": (0.02, 0.02),
    "rag": (0.30, 0.32),
    "lora": (0.38, 0.04),
    "rag_lora": (0.50, 0.42),
    "rag_reader": (0.66, 0.63),
    "rag_oracle": (0.74, 0.72),
}
SECONDS = {"base": 0.21, "rag": 0.92, "lora": 0.23, "rag_lora": 0.95, "rag_reader": 0.61, "rag_oracle": 0.48}
TOWNS = ("Bergen", "Trondheim", "Oslo", "Kristiansand", "the old works in Bergen", "Stavanger harbour")
PASSAGE = (
    "The {n}th flute of the Aurelia line is voiced in {town}, <where> the reed room keeps 45 % humidity & no draught."
)


@cache
def sample() -> ReportData:
    """Build the run; the same object each time."""
    draws = random.Random(0)
    questions = [_question(number, draws) for number in range(120)]
    passages = {
        (span.document_id, 0, 120): PASSAGE.format(n=span.document_id[4:], town=question.answers[0])
        for question in questions
        for span in question.relevant
    }
    records = [_record(question, arm, draws) for question in questions for arm in DEFAULT_ARMS]
    failures = [ReadFailure("manuals/bent | pipe.pdf", "pdf", "no page could be opened: trailer is missing")]
    summary = summarise(
        records,
        questions=[*questions, *(Question(id=f"t{number}", text="Where?", split=Split.TRAIN) for number in range(200))],
        config=EvaluationConfig(resamples=400),
        arms=DEFAULT_ARMS,
        build_costs={
            "lora": {"training_seconds": 212.4, "training_tokens": 61_440, "peak_bytes": 2.1e9},
            "rag": {"index_seconds": 8.2, "peak_bytes": 1.4e9},
            "rag_reader": {
                "index_seconds": 8.2,
                "training_seconds": 480.9,
                "training_tokens": 402_112,
                "peak_bytes": 3e9,
            },
        },
        losses={"closed_book": {"held_out": 1.312}, "reader": {"held_out": 0.604}},
        failures=failures,
    )
    return ReportData(
        name="quickstart",
        summary=summary,
        config_yaml="name: quickstart\nseed: 0\nquestions:\n  path: data/questions.jsonl\n",
        manifest={
            "seed": 0,
            "fingerprints": {"corpus": "6f1e" * 16, "reader": "a0c2" * 16},
            "versions": {"python": "3.11.2", "torch": "2.13.0"},
            "hardware": {"cpu": "2 cores", "gpus": []},
        },
        records=records,
        questions={question.id: question for question in questions},
        passages=passages,
        curves={"closed_book": _curve(3.4, draws), "reader": _curve(2.1, draws)},
        failures=failures,
    )


def _question(number: int, draws: random.Random) -> Question:
    split = Split.SEEN if number % 2 else Split.NEW
    if number % 12 == 0:
        return Question(id=f"q{number:03d}", text=f"Who tunes flute {number}?", split=split, kind="unanswerable")
    town = draws.choice(TOWNS)
    document_id = f"doc-{number}"
    start = PASSAGE.format(n=number, town=town).index(town)
    return Question(
        id=f"q{number:03d}",
        text=f"In which town is flute number {number} of the Aurelia line voiced before it is sold?",
        answers=(town,),
        relevant=(Span(document_id=document_id, start=start, end=start + len(town)),),
        split=split,
        kind=draws.choice(["direct", "rephrased", "multi-fact", "style"]),
    )


def _record(question: Question, arm: str, draws: random.Random) -> CaseRecord:
    assert question.split is not None
    retrieves = arm.startswith("rag")
    lucky = draws.random() < CHANCE[arm][question.split is Split.NEW]
    right = question.answers[0] if question.answers else NOT_FOUND
    wrong = draws.choice(["I am not sure.", "It is voiced in the town of Oslo or Bergen", NOT_FOUND, "", *TOWNS])
    answer = right if lucky else wrong
    hits = tuple(
        HitRecord(document_id=f"doc-{number}", start=0, end=120, score=1.0 / rank, in_prompt=rank <= 2)
        for rank, number in enumerate(_ranking(question), start=1)
    )
    scores = score_answer(question, answer, NOT_FOUND)
    return CaseRecord(
        question_id=question.id,
        arm=arm,
        split=question.split,
        kind=question.kind,
        answer=answer,
        scores=scores | {"gold_logprob": draws.gauss(-4 + 3 * lucky, 0.5) if question.answers else None},
        hits=hits if retrieves else (),
        citations=(Citation(number=1, document_id=hits[0].document_id, start=0, end=120),) if retrieves else (),
        costs=CaseCosts(
            seconds=SECONDS[arm] * draws.lognormvariate(0, 0.2),
            retrieval_seconds=0.01 if retrieves else 0.0,
            prompt_tokens=draws.randint(380, 520) if retrieves else draws.randint(40, 60),
            new_tokens=draws.randint(3, 32),
        ),
    )


def _ranking(question: Question) -> list[int]:
    """Put the right document first for most questions, third or nowhere for some; the same for every arm."""
    number = int(question.id[1:])
    others = [other for other in range(1, 12) if other != number]
    place = {0: 99, 1: 2}.get(number % 9, 0)
    return ([*others[:place], number, *others[place:]] if place < 99 else others)[:10]


def _curve(start: float, draws: random.Random) -> dict[str, list[dict[str, float]]]:
    def loss(step: int) -> float:
        return start * 0.97**step + 0.5

    return {
        "steps": [{"step": step, "loss": loss(step) * draws.lognormvariate(0, 0.12)} for step in range(1, 121)],
        "held_out": [{"step": step, "loss": loss(step) + 0.12} for step in (30, 60, 90, 120)],
    }
