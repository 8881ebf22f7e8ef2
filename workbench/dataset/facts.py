"""`Fact`: what a document says of something, with the place where it says so; `Form`: one wording of a fact.

Not a knowledge graph: a fact is one value in one statement. Where the statement is a sentence, `before` and `after` are
its words around the value; where it is a cell of a table or a pair "key: value", they are the sentence it amounts to.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from workbench.config import GeneratorName
from workbench.dataset.asking import Asked
from workbench.dataset.sections import Outline, Section
from workbench.dataset.values import ValueKind
from workbench.rows import Task
from workbench.runs import fingerprint
from workbench.types import Span


class FactKind(IntEnum):
    """Where a fact was found, the most firmly stated first."""

    CELL = 0  # a cell of a table, by its row and column
    PAIR = 1  # "Rated pressure: 43 bar"
    HEADED = 2  # the one code, date or name that stands under a heading
    STATEMENT = 3  # a value inside of a sentence


@dataclass(frozen=True, slots=True)
class Source:
    """What all facts of one section share: the document, what it is about, the heading."""

    document_id: str
    title: str
    topic: str
    article: str  # "the " where the document says "the Corvel 40", else empty
    heading: str  # empty: none, or one that is a question

    @property
    def about(self) -> str:
        """The topic as it stands in a sentence."""
        return f"{self.article}{self.topic}"

    @property
    def place(self) -> str:
        """Topic and heading, to stand before a statement that names neither."""
        return f"{self.topic}, {self.heading}" if self.heading and self.heading != self.title else self.topic


@dataclass(frozen=True, slots=True)
class Fact:
    """One value: `" ".join(document.text[start:end].split()) == value`. Relations have `subject` and `attribute`."""

    kind: FactKind
    value_kind: ValueKind
    source: Source
    value: str
    start: int
    end: int
    statement_start: int
    statement_end: int
    before: str
    after: str
    subject: str = ""
    attribute: str = ""
    asked: Asked | None = None  # statements: how the grammar of the sentence lets it be asked

    @property
    def place(self) -> str:
        """What has to be known beside the statement: nothing for a relation whose subject says it."""
        return self.source.topic if self.subject else self.source.place

    @property
    def id(self) -> str:
        """Stays the same while the document says the same in the same place."""
        return fingerprint(self.source.document_id, self.start, self.end, self.subject, self.attribute)[:12]

    @property
    def statement(self) -> str:
        """The whole sentence on one line."""
        return f"{self.before}{self.value}{self.after}"

    @property
    def spans(self) -> tuple[Span, ...]:
        """Where the value stands, then where the whole statement does."""
        id_ = self.source.document_id
        return (
            Span(document_id=id_, start=self.start, end=self.end),
            Span(document_id=id_, start=self.statement_start, end=self.statement_end),
        )


@dataclass(frozen=True, slots=True)
class Form:
    """One wording of a fact. `template` names it; a text has no question."""

    generator: GeneratorName
    template: str
    task: Task
    question: str
    completion: str


def source_of(outline: Outline, section: Section) -> Source:
    """Return what the facts of one section share."""
    the = f"the {outline.topic}"
    article = "the " if the in outline.document.text or f"The {outline.topic}" in outline.document.text else ""
    heading = "" if section.asks else section.heading
    return Source(outline.document.id, outline.title, outline.topic, article, heading)


def choose_facts(facts: Iterable[Fact], limit: int | None) -> tuple[Fact, ...]:
    """Return at most `limit` facts, those stated most firmly first, in the order they stand in; no span twice."""
    firm = sorted(facts, key=_firmness)
    seen: set[tuple[int, int, str, str]] = set()
    kept: list[Fact] = []
    for fact in firm:
        key = (fact.start, fact.end, fact.subject, fact.attribute)
        if key not in seen:
            seen.add(key)
            kept.append(fact)
    chosen = kept if limit is None else kept[:limit]
    return tuple(sorted(chosen, key=lambda fact: (fact.start, fact.end, fact.kind)))


def coverage(facts: Sequence[Fact], answers: Iterable[Span]) -> int:
    """Return how many of `answers`, spans of documents, lie within the value of some fact."""
    by_document: dict[str, list[tuple[int, int]]] = {}
    for fact in facts:
        by_document.setdefault(fact.source.document_id, []).append((fact.start, fact.end))
    return sum(
        any(start <= answer.start and answer.end <= end for start, end in by_document.get(answer.document_id, ()))
        for answer in answers
    )


def _firmness(fact: Fact) -> tuple[bool, int, bool, int, int]:
    grammatical = fact.kind is not FactKind.STATEMENT or (fact.asked is not None and fact.asked.direct is not None)
    stated = fact.kind is FactKind.STATEMENT
    weak = stated and fact.value_kind is ValueKind.PHRASE
    return weak, int(fact.value_kind) if stated else -1, not grammatical, fact.kind, fact.start
