"""Every question through every arm, in batches fixed before the first question; one JSON line an answer, resumable.

Fixed batches, because in bf16 a batch's composition can flip a token: a continued run must see the same neighbours.
The arms of one batch follow each other, so that arms over the same passages share their prefixes in the generator.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from workbench.contracts import Generator, Strategy
from workbench.errors import PromptBudgetError
from workbench.evaluation.run_race import RunRace
from workbench.hardware import PeakMemory
from workbench.metering import Meter
from workbench.prompting import read_citations
from workbench.runs import append_lines, read_lines
from workbench.types import CaseCosts, CaseRecord, Generation, HitRecord, Prompt, Question, Split, StopReason


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to answer: how the prompt is made, and which adapter (None: the base) continues it.

    An arm whose adapter was trained with several seeds stands once for each, under one name and strategy.
    """

    name: str
    strategy: Strategy
    adapter: str | None
    training_seed: int | None = None


@dataclass(frozen=True, slots=True)
class _Asked:
    question: Question
    prompt: Prompt | None  # None: it could not be built, see error
    seconds: float  # to build it, retrieval included
    error: str | None = None


def answer_questions(
    questions: Sequence[Question],
    arms: Sequence[Arm],
    generator: Generator,
    records_path: Path,
    *,
    batch_size: int,
    max_new_tokens: int,
    not_found: str,
    race: RunRace | None = None,
    scores_gold: bool = True,
    elsewhere: bool = False,
) -> list[CaseRecord]:
    """Answer what `records_path` does not hold yet, append it there, and return all records, arm by arm in order.

    Scores hold only `gold_logprob` (nats a token of the first accepted answer); the other metrics need no model.
    A prompt that retrieval refused is answered with `not_found`, and nothing is generated. In a race the batches are
    the same, but asked in its order, and arms that it stops have no further records. It is fed the records alone, so a
    continued run goes on with the same race.

    Args:
        scores_gold: False: the generator cannot say how likely a text is, so `gold_logprob` stays None, not scored.
        elsewhere: the generator runs on another machine, so what this one spends (memory, joules) is not recorded.
    """
    done = {_key(record): record for record in read_lines(records_path, CaseRecord)}
    by_name = {arm.name: arm for arm in reversed(arms)}  # seeds of one arm share its prompts
    asked = {name: {q.id: _ask(by_name[name], q) for q in questions} for name in tqdm(by_name, desc="prompts")}
    with tqdm(total=len(questions) * len(arms), initial=len(done), desc="answer") as bar:
        batches = fix_batches(questions, asked, batch_size=batch_size)
        for batch in batches if race is None else race.order(batches):
            answering = [arm for arm in arms if race is None or race.answers(arm.name)]
            for arm in answering:
                missing = [question for question in batch if (arm.name, arm.training_seed, question.id) not in done]
                if missing:
                    # The whole batch again, even if one line is missing: composition decides bits.
                    cases = [asked[arm.name][question.id] for question in batch]
                    with PeakMemory() as peak:
                        records = _answer_batch(
                            arm,
                            cases,
                            generator,
                            max_new_tokens=max_new_tokens,
                            not_found=not_found,
                            scores_gold=scores_gold,
                        )
                    own: dict[str, float | None] = {"peak_bytes": peak.rss_bytes, "peak_gpu_bytes": peak.gpu_bytes}
                    if elsewhere:
                        own = {"peak_bytes": 0, "peak_gpu_bytes": 0, "joules": None, "cores_elsewhere": None}
                    records = [_with_costs(record, **own) for record in records]
                    fresh = [record for record in records if _key(record) not in done]
                    append_lines(records_path, fresh)
                    done |= {_key(record): record for record in fresh}
                    bar.set_postfix_str(arm.name)
                    bar.update(len(fresh))
            if race is not None:
                keys = [(arm.name, arm.training_seed, question.id) for arm in answering for question in batch]
                race.feed(batch, [done[key] for key in keys])
    keys = [(arm.name, arm.training_seed, question.id) for arm in arms for question in questions]
    return [done[key] for key in keys if race is None or key in done]


def _key(record: CaseRecord) -> tuple[str, int | None, str]:
    return record.arm, record.training_seed, record.question_id


def fix_batches(
    questions: Sequence[Question], asked: Mapping[str, Mapping[str, _Asked]], *, batch_size: int
) -> list[list[Question]]:
    """Return the batches every arm uses: questions by their longest prompt, longest first, then by id."""

    def key(question: Question) -> tuple[int, str]:
        prompts = [cases[question.id].prompt for cases in asked.values()]
        return (-max((prompt.token_count for prompt in prompts if prompt), default=0), question.id)

    ordered = sorted(questions, key=key)
    return [ordered[start : start + batch_size] for start in range(0, len(ordered), batch_size)]


def _ask(arm: Arm, question: Question) -> _Asked:
    started = time.perf_counter()
    try:
        prompt = arm.strategy.prompt(question)
    except PromptBudgetError as error:
        return _Asked(question, None, time.perf_counter() - started, str(error))
    return _Asked(question, prompt, time.perf_counter() - started)


def refuse(not_found: str) -> Generation:
    """Return the answer to a prompt that retrieval refused: no token was read or written."""
    return Generation(not_found, prompt_tokens=0, new_tokens=0, seconds=0.0, stop_reason=StopReason.REFUSED)


def _answer_batch(
    arm: Arm,
    cases: Sequence[_Asked],
    generator: Generator,
    *,
    max_new_tokens: int,
    not_found: str,
    scores_gold: bool,
) -> list[CaseRecord]:
    prompts = {case.question.id: case.prompt for case in cases if case.prompt is not None}
    accepted = {id_: prompt for id_, prompt in prompts.items() if not prompt.refused}
    with Meter() as meter:
        written = generator.generate(list(accepted.values()), adapter=arm.adapter, max_new_tokens=max_new_tokens)
    generations = dict.fromkeys(prompts, refuse(not_found)) | dict(zip(accepted, written, strict=True))
    answerable = [
        case.question for case in cases if scores_gold and case.question.answerable and case.question.id in prompts
    ]
    scores = generator.score(
        [prompts[question.id] for question in answerable],
        [question.answers[0] for question in answerable],
        adapter=arm.adapter,
    )
    log_probabilities = {question.id: score for question, score in zip(answerable, scores, strict=True)}
    records = [
        _record(arm, case, generations.get(case.question.id), log_probabilities.get(case.question.id)) for case in cases
    ]
    share = None if meter.joules is None else meter.joules / max(len(accepted), 1)
    metered = {"joules": share, "cores_elsewhere": meter.cores_elsewhere}
    return [_with_costs(record, **metered) if record.question_id in accepted else record for record in records]


def _with_costs(record: CaseRecord, **costs: float | None) -> CaseRecord:
    if record.costs is None:
        return record
    return record.model_copy(update={"costs": record.costs.model_copy(update=costs)})


def _record(arm: Arm, case: _Asked, generation: Generation | None, gold_logprob: float | None) -> CaseRecord:
    question, prompt = case.question, case.prompt
    split = question.split or Split.NEW
    if prompt is None or generation is None:
        return CaseRecord(
            question_id=question.id,
            arm=arm.name,
            split=split,
            kind=question.kind,
            answer="",
            error=case.error,
            training_seed=arm.training_seed,
        )
    in_prompt = {hit.chunk.id for hit in prompt.hits}
    return CaseRecord(
        question_id=question.id,
        arm=arm.name,
        split=split,
        kind=question.kind,
        answer=generation.text,
        stop_reason=generation.stop_reason,
        training_seed=arm.training_seed,
        entropy=generation.entropy,
        scores={"gold_logprob": gold_logprob},
        hits=tuple(
            HitRecord(
                document_id=hit.chunk.document_id,
                start=hit.chunk.start,
                end=hit.chunk.end,
                score=hit.score,
                in_prompt=hit.chunk.id in in_prompt,
            )
            for hit in prompt.found or (*prompt.hits, *prompt.cut)
        ),
        citations=read_citations(generation.text, prompt.hits),
        costs=CaseCosts(
            seconds=generation.seconds + case.seconds,
            retrieval_seconds=case.seconds if prompt.found else 0.0,
            prompt_tokens=generation.prompt_tokens,
            new_tokens=generation.new_tokens,
        ),
    )
