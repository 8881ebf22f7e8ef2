"""Faults as they happen in life, each planted into a clean run: name → (what plants it, the guard that must see it)."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tests.guards.runs import NOT_FOUND, clean_run
from workbench.evaluation import score_answer
from workbench.guards import Evidence
from workbench.types import CaseRecord, Question, StopReason
from workbench.verdict import ArmRun

Plant = Callable[[], Evidence]


def _base() -> Evidence:
    return clean_run(5)


def _with_questions(evidence: Evidence, change: Callable[[Question], Question]) -> Evidence:
    questions = tuple(change(question) for question in evidence.questions)
    study = replace(evidence.study, questions={question.id: question for question in questions}, _scores={})
    return replace(evidence, study=study, questions=questions)


def _with_records(evidence: Evidence, change: Callable[[CaseRecord, int], CaseRecord | None], *arms: str) -> Evidence:
    """Change (or drop) the records of some arms, all if none is named; the number is the record's place."""
    changed: Mapping[str, ArmRun] = {
        name: replace(
            arm,
            records=[
                new
                for place, record in enumerate(arm.records)
                if (new := change(record, place) if not arms or name in arms else record) is not None
            ],
        )
        for name, arm in evidence.study.arms.items()
    }
    return replace(evidence, study=replace(evidence.study, arms=changed, _scores={}))


def _costs(record: CaseRecord, **changes: Any) -> CaseRecord:
    assert record.costs is not None
    return record.model_copy(update={"costs": record.costs.model_copy(update=changes)})


def _answered(evidence: Evidence, record: CaseRecord, answer: str) -> CaseRecord:
    scores = score_answer(evidence.study.questions[record.question_id], answer, NOT_FOUND)
    return record.model_copy(update={"answer": answer, "scores": scores})


def exact_leak() -> Evidence:
    texts = [question.text for question in _base().questions[:5]]
    return _with_questions(
        _base(),
        lambda q: q.model_copy(update={"text": texts[int(q.id[1:]) - 120]}) if 120 <= int(q.id[1:]) < 125 else q,
    )


def near_leak() -> Evidence:
    text = _base().questions[0].text.removesuffix("?") + " please?"
    return _with_questions(_base(), lambda q: q.model_copy(update={"text": text}) if q.id == "q0130" else q)


def trained_document() -> Evidence:
    return _with_questions(
        _base(), lambda q: q.model_copy(update={"relevant": _base().questions[2].relevant}) if q.id == "q0140" else q
    )


def shuffled_gold() -> Evidence:
    questions = _base().questions
    return _with_questions(
        _base(), lambda q: q.model_copy(update={"answers": questions[(int(q.id[1:]) + 7) % len(questions)].answers})
    )


def gold_in_other_place() -> Evidence:
    evidence = _base()
    return replace(evidence, passages=dict.fromkeys(evidence.passages, "This page is left blank."))


def duplicate_items() -> Evidence:
    text = _base().questions[4].text
    return _with_questions(_base(), lambda q: q.model_copy(update={"text": text}) if q.id == "q0008" else q)


def answer_in_prompt() -> Evidence:
    return _with_questions(_base(), lambda q: q.model_copy(update={"text": f"{q.text} ({q.answers[0]})"}))


def few_questions() -> Evidence:
    return clean_run(3, n=12)


def missing_answers() -> Evidence:
    return _with_records(_base(), lambda record, place: record if place < 80 else None, "lora")


def other_system_text() -> Evidence:
    return _with_records(
        _base(),
        lambda record, _: _costs(record, prompt_tokens=(record.costs or 0) and record.costs.prompt_tokens + 9),
        "lora",
    )


def other_passages() -> Evidence:
    def later(record: CaseRecord, place: int) -> CaseRecord:
        hits = tuple(hit.model_copy(update={"in_prompt": rank in (1, 2)}) for rank, hit in enumerate(record.hits))
        return record.model_copy(update={"hits": hits})

    return _with_records(_base(), later, "rag_reader")


def cut_passages() -> Evidence:
    def cut(record: CaseRecord, place: int) -> CaseRecord:
        if place % 3:
            return record
        hits = tuple(hit.model_copy(update={"in_prompt": rank < 1}) for rank, hit in enumerate(record.hits))
        return record.model_copy(update={"hits": hits})

    return _with_records(_base(), cut, "rag", "rag_reader")


def swapped_index() -> Evidence:
    def other(record: CaseRecord, _: int) -> CaseRecord:
        hits = tuple(hit.model_copy(update={"document_id": f"other-{hit.document_id}"}) for hit in record.hits)
        return record.model_copy(update={"hits": hits})

    return _with_records(_base(), other)


def stale_index() -> Evidence:
    """Questions meet the hits of others: documents were renamed after the index was made."""

    def moved(record: CaseRecord, _: int) -> CaseRecord:
        hits = tuple(
            hit.model_copy(update={"document_id": f"doc-{(int(hit.document_id[4:]) + 31) % 120}"})
            for hit in record.hits
        )
        return record.model_copy(update={"hits": hits})

    return _with_records(_base(), moved)


def oracle_with_wrong_spans() -> Evidence:
    evidence = _base()
    return _with_records(evidence, lambda record, _: _answered(evidence, record, "grey"), "rag_oracle")


def sleeping_adapter() -> Evidence:
    answers = {record.question_id: record for record in _base().study.arms["base"].records}
    return _with_records(
        _base(), lambda record, _: _answered(_base(), record, answers[record.question_id].answer), "lora"
    )


def one_answer() -> Evidence:
    return _with_records(_base(), lambda record, _: _answered(_base(), record, "teal amber"), "base")


def cut_answers() -> Evidence:
    return _with_records(
        _base(), lambda record, _: record.model_copy(update={"stop_reason": StopReason.LENGTH}), "rag_reader"
    )


def failing_arm() -> Evidence:
    return _with_records(
        _base(), lambda record, place: record if place % 5 else record.model_copy(update={"error": "no memory"}), "rag"
    )


def refusing_arm() -> Evidence:
    return _with_records(_base(), lambda record, _: _answered(_base(), record, f"That is {NOT_FOUND}."), "rag_reader")


def long_answers() -> Evidence:
    evidence = clean_run(5, ranked_by="contains")
    words = " ".join(f"word{number}" for number in range(60))
    return _with_records(
        evidence, lambda record, _: _answered(evidence, record, f"{record.answer} {words}"), "rag_reader"
    )


def order_bias() -> Evidence:
    evidence = _base()
    golds = {question.id: question.answers[0] for question in evidence.questions}
    return _with_records(
        evidence,
        lambda record, place: _answered(evidence, record, golds[record.question_id] if place < 60 else "grey"),
        "rag_reader",
    )


def no_time() -> Evidence:
    return _with_records(_base(), lambda record, place: record if place else _costs(record, seconds=0.0), "base")


def busy_elsewhere() -> Evidence:
    return _with_records(_base(), lambda record, _: _costs(record, cores_elsewhere=0.9), "rag")


def suspended() -> Evidence:
    return _with_records(_base(), lambda record, place: record if place else _costs(record, seconds=3600.0), "lora")


def unmerged() -> Evidence:
    def slow(record: CaseRecord, _: int) -> CaseRecord:
        assert record.costs is not None
        return _costs(record, seconds=1.6 * (0.1 + 0.02 * 5), new_tokens=5)

    def even(record: CaseRecord, _: int) -> CaseRecord:
        return _costs(record, seconds=0.1 + 0.02 * 5, new_tokens=5)

    return _with_records(_with_records(_base(), slow, "lora"), even, "base")


FAULTS: Mapping[str, tuple[Plant, str, str]] = {
    plant.__name__: (plant, guard, severity)
    for plant, guard, severity in (
        (exact_leak, "leaked_question", "refuse"),
        (near_leak, "leaked_question", "refuse"),
        (trained_document, "straddling_document", "refuse"),
        (shuffled_gold, "shuffled_gold", "refuse"),
        (gold_in_other_place, "shuffled_gold", "refuse"),
        (duplicate_items, "duplicate_items", "warn"),
        (answer_in_prompt, "answer_in_question", "warn"),
        (few_questions, "small_run", "warn"),
        (missing_answers, "different_questions", "refuse"),
        (other_system_text, "asymmetric_prompts", "refuse"),
        (other_passages, "asymmetric_passages", "refuse"),
        (cut_passages, "passages_cut", "warn"),
        (swapped_index, "swapped_index", "refuse"),
        (stale_index, "swapped_index", "refuse"),
        (oracle_with_wrong_spans, "oracle_below_rag", "warn"),
        (sleeping_adapter, "adapter_inactive", "warn"),
        (one_answer, "constant_answer", "warn"),
        (cut_answers, "truncated_answers", "warn"),
        (failing_arm, "failed_answers", "warn"),
        (refusing_arm, "refuses_all", "warn"),
        (long_answers, "inflated_by_length", "warn"),
        (order_bias, "order_bias", "warn"),
        (no_time, "impossible_times", "warn"),
        (suspended, "paused", "warn"),
        (busy_elsewhere, "noisy_machine", "warn"),
        (unmerged, "unmerged_timing", "warn"),
    )
}
