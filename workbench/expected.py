"""What corpus, questions and wishes lean to before any run, as it is printed or written as JSON.

Nouns only: prior/ counts and weighs, report/ lays them out. Shares lie in [0, 1].
"""

from __future__ import annotations

from typing import Literal

from workbench.types import Frozen

Arm = Literal["base", "rag", "lora", "rag_reader", "routed"]


class Figures(Frozen):
    """Counts and shares; None: there is nothing to take the share of."""

    documents: int
    characters: int
    languages: dict[str, int]  # ISO 639 code → documents
    train_questions: int
    test_questions: int
    documents_asked: int  # documents that test questions are about
    new_share: float | None  # of the test questions: on documents no training may see
    style_share: float | None  # of kind style or format
    unanswerable_share: float | None
    repeated_share: float | None  # test questions that a training question asks too: same answer, same words or span
    taught_share: float | None  # test questions worded like a training question, or with a training question's answer
    grounded_share: float | None  # answerable test questions with a marked span, or most of an answer in a document
    extractive_share: float | None  # answerable test questions with an answer that stands in its document
    answer_words: float | None  # median, of the shortest accepted answer
    train_words: float | None  # mean, of a training question and its answer
    parameters: float | None  # of the base model, from the size of its files; None: it is not here


class Criterion(Frozen):
    """One criterion: the figure seen and the arms it speaks for (`weight` each), or those it excludes."""

    name: str
    figure: str
    arms: tuple[Arm, ...]
    weight: float  # 0: excludes
    reason: str


class Prior(Frozen):
    """What the criteria lean to. Not measured: `workbench run` measures."""

    arm: Arm | None  # a kind of arm; None: undecided
    named: tuple[str, ...]  # the config's arms of that kind; of several, no criterion tells which
    sentence: str
    weights: dict[str, float]  # kind of arm → sum; excluded ones and those the config does not compare are left out
    excluded: tuple[str, ...]
    criteria: tuple[Criterion, ...]
    not_told: tuple[str, ...]  # what no figure here can say
