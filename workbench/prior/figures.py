"""What can be counted before any run: of documents, of questions, of the base model's files. No model is loaded."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from workbench.corpus.describing import detect_language
from workbench.evaluation import TEST_SPLITS, normalise_answer
from workbench.expected import Figures
from workbench.types import Document, Question, Span, Split

STYLE_KINDS = ("style", "format")
ALIKE = 0.5  # share of common words (Jaccard) from which two questions are worded alike
SAME = 0.8  # from which they are the same question, if the answer is
HELD = 0.5  # share of an answer's words from which one document can be its ground
_WORD = re.compile(r"\w+")


def read_figures(
    documents: Sequence[Document], questions: Iterable[Question], *, parameters: float | None = None
) -> Figures:
    """Count. Memory: the documents' texts, and the words of every training question."""
    asked = list(questions)
    train = [question for question in asked if question.split is Split.TRAIN]
    test = [question for question in asked if question.split in TEST_SPLITS]
    answerable = [question for question in test if question.answers]
    texts = {document.id: f" {normalise_answer(document.text)} " for document in documents}
    spoken = Counter(detect_language(document.text) or "unknown" for document in documents)
    taught, tried = [_Asked.of(question) for question in train], [_Asked.of(question) for question in test]
    to_answer = [one for one in tried if one.answers]
    grounds = _find_grounds(texts.values(), to_answer)
    lengths = [min(len(answer.split()) for answer in question.answers) for question in answerable]
    return Figures(
        documents=len(documents),
        characters=sum(len(document.text) for document in documents),
        languages=dict(spoken.most_common()),
        train_questions=len(train),
        test_questions=len(test),
        documents_asked=len({question.relevant[0].document_id for question in test if question.relevant}),
        new_share=_share(question.split is Split.NEW for question in test),
        style_share=_share(question.kind in STYLE_KINDS for question in test),
        unanswerable_share=_share(not question.answers for question in test),
        repeated_share=_share(_is_repeated(one, taught) for one in tried) if train else None,
        taught_share=_share(_is_taught(one, taught) for one in to_answer) if train else None,
        grounded_share=_share(_has_ground(one, grounds) for one in to_answer),
        extractive_share=_share(_stands(question, texts) for question in answerable),
        answer_words=median(lengths) if lengths else None,
        train_words=fmean(_row_words(question) for question in train) if train else None,
        parameters=parameters,
    )


def _share(values: Iterable[bool]) -> float | None:
    counted = list(values)
    return sum(counted) / len(counted) if counted else None


def _words(question: Question) -> frozenset[str]:
    return frozenset(_WORD.findall(question.text.lower()))


def _row_words(question: Question) -> int:
    return len(question.text.split()) + min((len(answer.split()) for answer in question.answers), default=0)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question as it is compared with others."""

    words: frozenset[str]
    answers: frozenset[str]
    spans: tuple[Span, ...]

    @classmethod
    def of(cls, question: Question) -> _Asked:
        return cls(_words(question), frozenset(map(normalise_answer, question.answers)), question.relevant)

    def is_worded_like(self, other: _Asked, share: float) -> bool:
        return len(self.words & other.words) >= share * len(self.words | other.words)

    def is_answered_like(self, other: _Asked) -> bool:
        return not self.answers.isdisjoint(other.answers)

    def rests_on_same(self, other: _Asked) -> bool:
        return any(
            one.document_id == span.document_id and one.start < span.end and span.start < one.end
            for one in self.spans
            for span in other.spans
        )


def _is_repeated(asked: _Asked, taught: Sequence[_Asked]) -> bool:
    """Whether training asks the same, in these words or others; the same words alone may ask it of something else."""
    return any(
        (asked.is_answered_like(other) or not (asked.answers or other.answers))
        and (asked.rests_on_same(other) or asked.is_worded_like(other, SAME))
        for other in taught
    )


def _is_taught(asked: _Asked, taught: Sequence[_Asked]) -> bool:
    """Whether training shows the like: a task is recognised by its wording, a label among few by its answer."""
    return any(asked.is_worded_like(other, ALIKE) or asked.is_answered_like(other) for other in taught)


def _find_grounds(texts: Iterable[str], asked: Sequence[_Asked]) -> list[frozenset[str]]:
    """Return each document's words, those alone that an answer without a marked span has."""
    wanted = frozenset(word for one in asked if not one.spans for answer in one.answers for word in answer.split())
    return [held for text in texts if (held := wanted.intersection(text.split()))] if wanted else []


def _has_ground(asked: _Asked, grounds: Sequence[frozenset[str]]) -> bool:
    """Whether a document can be what the answer rests on. Long documents hold most words, so this errs towards yes."""
    if asked.spans:
        return True
    answers = [frozenset(answer.split()) for answer in asked.answers if answer]
    return any(len(words & held) >= HELD * len(words) for words in answers for held in grounds)


def _stands(question: Question, texts: Mapping[str, str]) -> bool:
    """Whether an answer stands in its document, in whole words: "no" does not stand in "north"."""
    places = [texts.get(span.document_id, "") for span in question.relevant] or list(texts.values())
    answers = filter(None, map(normalise_answer, question.answers))
    return any(f" {answer} " in text for answer in answers for text in places)
