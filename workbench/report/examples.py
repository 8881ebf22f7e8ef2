"""Questions where the ranked arms disagree: the most common ways of disagreeing first, one question of each in turn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise, zip_longest

from workbench.report.data import ReportData
from workbench.report.figures import SPLIT_NAMES
from workbench.report.rows import is_control
from workbench.types import CaseRecord, HitRecord, Question

SHOWN = 12
Key = tuple[str, int, int]  # document id, start, end


@dataclass(frozen=True, slots=True)
class GivenAnswer:
    """What one arm answered. `right`: an accepted answer stands in it, or it rightly abstained."""

    arm: str
    control: bool
    text: str
    right: bool
    cited: tuple[int, ...]
    error: str | None


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage as [number]; its text in pieces, each with whether it lies in a relevant span."""

    number: int
    document_id: str
    pieces: tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """The passages that some arms read alike."""

    arms: tuple[str, ...]
    passages: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class Example:
    """One question, what each arm made of it, and how many questions of its split were met the same way."""

    question: Question
    split: str
    n_alike: int
    answers: tuple[GivenAnswer, ...]
    readings: tuple[Reading, ...]


def pick_examples(data: ReportData, *, limit: int = SHOWN) -> list[Example]:
    """Return at most `limit` questions that some ranked arms got right and some wrong; none if they never disagree."""
    records = _by_question(data)
    alike: dict[tuple[str, tuple[bool, ...]], list[str]] = defaultdict(list)
    for question_id in sorted(records):
        by_arm = records[question_id]
        marks = tuple(
            is_right(by_arm[arm], data.questions[question_id])
            for arm in data.summary["settings"]
            if arm in by_arm and not is_control(data.summary, arm)
        )
        if len(set(marks)) == 2:
            alike[next(iter(by_arm.values())).split.value, marks].append(question_id)
    common_first = sorted(alike.values(), key=lambda ids: (-len(ids), ids))
    turns = [question_id for turn in zip_longest(*common_first) for question_id in turn if question_id is not None]
    n_alike = {question_id: len(ids) for ids in common_first for question_id in ids}
    examples = [_example(data, records[question_id], n_alike[question_id]) for question_id in turns[:limit]]
    order = list(SPLIT_NAMES)
    return sorted(examples, key=lambda example: (order.index(example.split), -example.n_alike, example.question.id))


def all_examples(data: ReportData) -> list[Example]:
    """Return every question asked, by split and id; `n_alike` is 1 for each."""
    examples = [_example(data, by_arm, 1) for _, by_arm in sorted(_by_question(data).items())]
    order = list(SPLIT_NAMES)
    return sorted(examples, key=lambda example: order.index(example.split))


def _by_question(data: ReportData) -> dict[str, dict[str, CaseRecord]]:
    """Return question → arm → its record; of several training seeds the first that was recorded."""
    records: dict[str, dict[str, CaseRecord]] = defaultdict(dict)
    for record in data.records:
        records[record.question_id].setdefault(record.arm, record)
    return records


def is_right(record: CaseRecord, question: Question) -> bool:
    """Whether an accepted answer stands in the answer; for an unanswerable question, whether it abstained."""
    names = ("exact_match", "contains") if question.answerable else ("abstention",)
    return record.error is None and any(record.scores.get(name) == 1.0 for name in names)


def _example(data: ReportData, by_arm: Mapping[str, CaseRecord], n_alike: int) -> Example:
    arms = [arm for arm in data.summary["settings"] if arm in by_arm]
    question = data.questions[by_arm[arms[0]].question_id]
    return Example(
        question=question,
        split=by_arm[arms[0]].split.value,
        n_alike=n_alike,
        answers=tuple(_given(data, by_arm[arm], question) for arm in arms),
        readings=_readings(data, [by_arm[arm] for arm in arms], question),
    )


def _given(data: ReportData, record: CaseRecord, question: Question) -> GivenAnswer:
    return GivenAnswer(
        arm=record.arm,
        control=is_control(data.summary, record.arm),
        text=record.answer,
        right=is_right(record, question),
        cited=tuple(sorted({citation.number for citation in record.citations})),
        error=record.error,
    )


def _readings(data: ReportData, records: Sequence[CaseRecord], question: Question) -> tuple[Reading, ...]:
    """Group the arms by the passages they read, so that each list is shown once."""
    readers: dict[tuple[Key, ...], list[str]] = defaultdict(list)
    for record in records:
        read = tuple(_key(hit) for hit in record.hits if hit.in_prompt)
        if read:
            readers[read].append(record.arm)
    return tuple(
        Reading(
            tuple(arms),
            tuple(Passage(number, key[0], _pieces(data, key, question)) for number, key in enumerate(read, start=1)),
        )
        for read, arms in readers.items()
    )


def _key(hit: HitRecord) -> Key:
    return hit.document_id, hit.start, hit.end


def _pieces(data: ReportData, key: Key, question: Question) -> tuple[tuple[str, bool], ...]:
    """Cut a passage where relevant spans begin and end, so that they can be marked."""
    document_id, start, end = key
    text = data.passages.get(key, "")
    spans = [
        (max(span.start, start) - start, min(span.end, end) - start)
        for span in question.relevant
        if span.document_id == document_id and span.start < end and start < span.end
    ]
    cuts = sorted({0, len(text), *chain.from_iterable(spans)})
    return tuple(
        (text[left:right], any(low <= left and right <= high for low, high in spans))
        for left, right in pairwise(cuts)
        if text[left:right]
    )
