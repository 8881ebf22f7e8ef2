"""Questions that no document answers: an attribute that others have and this topic's documents never mention.

Asked with the nearest passages shown and, every third time, closed book; the answer is `prompt.not_found`. Whether a
document might say it in other words is not known, so every content word of the attribute must be missing from all
documents that name the topic.
"""

from __future__ import annotations

from collections.abc import Iterator

from workbench.config import GeneratorName
from workbench.dataset.facts import Fact, FactKind, Source
from workbench.dataset.questions import USUAL
from workbench.dataset.words import content_words
from workbench.dataset.workshop import Workshop
from workbench.rows import DatasetRow, Task

# What people want to know of most things; asked only where the documents have none of its words.
_COMMON = (
    ("weight", "What is the weight of {s}?"),
    ("colour", "What colour is {s}?"),
    ("designer", "Who designed {s}?"),
    ("voltage", "At which voltage does {s} run?"),
    ("origin", "In which country is {s} made?"),
    ("founded", "When was {s} founded?"),
    ("website", "What is the website of {s}?"),
    ("competitor", "Who is the main competitor of {s}?"),
    ("discount", "What discount is given on {s}?"),
    ("height", "What is the height of {s}?"),
    ("approval", "Who gave approval for {s}?"),
    ("battery", "Which battery does {s} use?"),
)
_CLOSED_BOOK_EVERY = 3


def make_unanswerable_rows(shop: Workshop) -> Iterator[DatasetRow]:
    """Yield `dataset.unanswerable` times as many rows as there are facts, or as many as can be asked safely."""
    wanted = round(shop.config.unanswerable * len(shop.material.facts))
    questions = list(_questions(shop))
    shop.rng("unanswerable").shuffle(questions)
    for number, (source, attribute, question) in enumerate(questions[:wanted]):
        name, template = GeneratorName.UNANSWERABLE, attribute.replace(" ", "_")[:40]
        reads = number % _CLOSED_BOOK_EVERY != 0
        passages = shop.passages.without_gold(question, (), "") if reads else ()
        yield shop.row(
            name,
            template,
            task=Task.READER if reads else Task.CLOSED_BOOK,
            question=question,
            passages=passages,
            completion=shop.not_found,
            group=source.document_id,
        )


def _questions(shop: Workshop) -> Iterator[tuple[Source, str, str]]:
    """Yield (whose document the row belongs to, attribute, question), in order of the documents."""
    sources: dict[str, Source] = {}
    for fact in shop.material.facts:
        if fact.source.topic in fact.source.title and fact.source.article:  # a name that documents use as one
            sources.setdefault(fact.source.topic, fact.source)
    attributes = _attributes(shop.material.facts)
    for topic, source in sources.items():
        known = _words_about(shop, topic)
        for attribute, question in (*_COMMON, *attributes.items()):
            if not _stems(attribute) & known:
                yield source, attribute, question.format(s=source.about)


def _attributes(facts: tuple[Fact, ...]) -> dict[str, str]:
    """Return the attributes that tables and lists name, each with a question for it."""
    named = {fact.attribute for fact in facts if fact.kind in (FactKind.CELL, FactKind.PAIR)}
    plain = (name for name in sorted(named) if name.replace(" ", "").isalpha() and len(name) > 3)
    return {name: USUAL[name][0] if name in USUAL else f"What is the {name} of {{s}}?" for name in plain}


def _words_about(shop: Workshop, topic: str) -> frozenset[str]:
    """Return the stems of all words of the documents that name the topic or its family ("Corvel" of "Corvel 40")."""
    family = topic.split(maxsplit=1)[0]
    texts = [one.document.text for one in shop.material.outlines if family in one.document.text]
    return frozenset().union(*map(_stems, texts))


def _stems(text: str) -> set[str]:
    """Return the first four letters of each content word: "weighs" and "weight" are one."""
    return {word.lower()[:4] for word in content_words(text)}
