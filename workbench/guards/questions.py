"""Guards on the questions: leaks into training, copies, answers that give themselves away or stand elsewhere."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from workbench.decision import Alarm
from workbench.evaluation import contains, near_copies, normalise_answer
from workbench.guards.evidence import Evidence
from workbench.types import Question, Split

FEW = 20  # questions; below it nothing is said of shares, and the run is called small
GIVEN_AWAY = 0.1  # share of questions that may hold their own answer: some kinds ask to choose
SHOWN = 3  # ids in a message


def leaked_question(evidence: Evidence) -> Iterator[Alarm]:
    """A test question is a training question, word for word or in at least 0.8 of its words."""
    trained = [question for question in evidence.questions if question.split in (Split.TRAIN, Split.DEV)]
    copies = near_copies(trained, evidence.asked.values())
    if copies:
        ids = dict.fromkeys(copy.test_id for copy in copies)
        yield Alarm(
            guard="leaked_question",
            severity="refuse",
            message=f"{len(ids)} test questions are training questions or near copies of one: {_some(list(ids))}",
        )


def straddling_document(evidence: Evidence) -> Iterator[Alarm]:
    """A document or group stands behind a NEW test question and behind a training question."""
    trained = {name for question in evidence.questions if question.split is Split.TRAIN for name in _sources(question)}
    new = [question for question in evidence.asked.values() if question.split is Split.NEW]
    both = [question.id for question in new if _sources(question) & trained]
    if both:
        yield Alarm(
            guard="straddling_document",
            severity="refuse",
            message=f"{len(both)} questions on new documents stand on documents that training used: {_some(both)}",
        )


def duplicate_items(evidence: Evidence) -> Iterator[Alarm]:
    """The same question is asked twice: it counts twice, and intervals are too narrow."""
    texts = Counter(normalise_answer(question.text) for question in evidence.asked.values())
    n_extra = sum(count - 1 for count in texts.values())
    if n_extra:
        yield Alarm(
            guard="duplicate_items",
            severity="warn",
            message=f"{n_extra} of {len(evidence.asked)} test questions repeat another one word for word",
        )


def answer_in_question(evidence: Evidence) -> Iterator[Alarm]:
    """The accepted answer stands in the question."""
    answerable = [question for question in evidence.asked.values() if question.answerable]
    given = [question.id for question in answerable if contains(question.text, question.answers)]
    if len(answerable) >= FEW and len(given) > GIVEN_AWAY * len(answerable):
        yield Alarm(
            guard="answer_in_question",
            severity="warn",
            message=f"{len(given)} of {len(answerable)} questions hold their own answer: {_some(given)}",
        )


def shuffled_gold(evidence: Evidence) -> Iterator[Alarm]:
    """Relevant passages hold their questions' accepted answers no more often than other questions' answers.

    Compared with one hundred permutations of the answers; a clean run's passages hold most of their own.
    """
    texts = defaultdict(list)
    for (document_id, start, end), text in evidence.passages.items():
        texts[document_id].append((start, end, text))
    placed: list[tuple[str, Question]] = []
    for question in evidence.asked.values():
        shown = [
            text
            for span in question.relevant
            for start, end, text in texts[span.document_id]
            if start < span.end and span.start < end
        ]
        if shown and question.answerable:
            placed.append((" ".join(shown), question))
    if len(placed) < FEW:
        return
    held = sum(contains(text, question.answers) for text, question in placed)
    draws, others = np.random.default_rng(0), []
    for _ in range(100):
        order = draws.permutation(len(placed))
        others.append(sum(contains(placed[i][0], placed[j][1].answers) for i, j in enumerate(order)))
    if held <= np.quantile(others, 0.99) and held < len(placed) / 2:
        yield Alarm(
            guard="shuffled_gold",
            severity="refuse",
            message=f"relevant passages hold the accepted answer for {held:.0f} of {len(placed)} questions, as many as "
            f"with answers shuffled ({np.mean(others):.0f}): answers or spans belong to other questions",
        )


def small_run(evidence: Evidence) -> Iterator[Alarm]:
    """Fewer than twenty questions."""
    n = len(evidence.asked)
    if n < FEW:
        yield Alarm(guard="small_run", severity="warn", message=f"only {n} questions were asked, {FEW} are the least")


def _sources(question: Question) -> set[str]:
    return {span.document_id for span in question.relevant} | {question.group} - {""}


def _some(ids: Sequence[str]) -> str:
    return ", ".join(ids[:SHOWN]) + (" ..." if len(ids) > SHOWN else "")


GUARDS = (leaked_question, straddling_document, shuffled_gold, duplicate_items, answer_in_question, small_run)
