"""What can be counted before any run: of documents, of questions, of the base model's files. No model is loaded."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median

from workbench.corpus.describing import detect_language
from workbench.evaluation import TEST_SPLITS, normalise_answer
from workbench.expected import Figures
from workbench.types import Document, Question, Split

STYLE_KINDS = ("style", "format")
REWORDED = 0.5  # share of common words (Jaccard) from which two questions ask the same in other words
_WORD = re.compile(r"\w+")


def read_figures(
    documents: Sequence[Document], questions: Iterable[Question], *, parameters: float | None = None
) -> Figures:
    """Count. Memory: the words of every training question."""
    asked = list(questions)
    train = [question for question in asked if question.split is Split.TRAIN]
    test = [question for question in asked if question.split in TEST_SPLITS]
    answerable = [question for question in test if question.answers]
    texts = {document.id: normalise_answer(document.text) for document in documents}
    spoken = Counter(detect_language(document.text) or "unknown" for document in documents)
    taught = [_words(question) for question in train]
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
        repeated_share=_share(_is_repeated(_words(question), taught) for question in test) if train else None,
        extractive_share=_share(_stands(question, texts) for question in answerable),
        answer_words=median(lengths) if lengths else None,
        parameters=parameters,
    )


def _share(values: Iterable[bool]) -> float | None:
    counted = list(values)
    return sum(counted) / len(counted) if counted else None


def _words(question: Question) -> frozenset[str]:
    return frozenset(_WORD.findall(question.text.lower()))


def _is_repeated(words: frozenset[str], taught: Sequence[frozenset[str]]) -> bool:
    return any(len(words & other) >= REWORDED * len(words | other) for other in taught)


def _stands(question: Question, texts: dict[str, str]) -> bool:
    places = [texts.get(span.document_id, "") for span in question.relevant] or list(texts.values())
    return any(normalise_answer(answer) in text for answer in question.answers for text in places)
