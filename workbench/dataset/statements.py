"""A fact stated as plain text: five wordings with their parts in differing order. Reworded, never reasoned about."""

from __future__ import annotations

import random
import re

from workbench.config import GeneratorName
from workbench.dataset.facts import Fact, Form
from workbench.dataset.words import content_words, lower_first, upper_first
from workbench.rows import Task

_FRONTED = re.compile(
    r"(?P<lead>(?:If|When|Once|After|Before|Unless|In|At|On|For|With) [^,;:]{3,90}), (?P<main>[^;:]+)\."
)
_TRAILED = re.compile(
    r"(?P<main>[A-Z][^,;:]+?),? (?P<lead>(?:if|when|once|before|after|because|since|unless) [^,;:]+)\."
)
_SOURCES = ("According to “{t}”, {s}", "“{t}” says: {s}", "As “{t}” has it: {s}", "What “{t}” tells: {s}")


def statement_forms(fact: Fact, rng: random.Random) -> tuple[Form, ...]:
    """Return five texts that state the value."""
    source, said = fact.source, fact.statement
    stated = _relation(fact) if fact.attribute else _sentence(fact)
    texts = (
        ("placed", f"{fact.place}: {said}"),
        ("turned", upper_first(stated[0])),
        ("sourced", rng.choice(_SOURCES).format(t=source.title, s=said)),
        ("value_first", upper_first(stated[1])),
        ("noted", stated[2]),
    )
    return tuple(Form(GeneratorName.STATEMENTS, template, Task.TEXT, "", text) for template, text in texts)


def _relation(fact: Fact) -> tuple[str, str, str]:
    s, a, v, about = fact.subject, fact.attribute, fact.value, fact.source.about
    on = "" if fact.source.topic in s else f", as {about} has it"
    return (
        f"{s} has {v} as its {a}{on}.",
        f"{v} is the {a} of {s}{on}.",
        f"{fact.place} – {s} – {a}: {v}",
    )


def _sentence(fact: Fact) -> tuple[str, str, str]:
    turned = _turn(fact.statement) or f"{fact.source.title}. {fact.source.heading or 'Note'}: {fact.statement}"
    asked = fact.asked
    value_first = (
        f"{fact.value}: that is {asked.indirect} ({fact.place})." if asked else f"{fact.value}: {fact.statement}"
    )
    keywords = " ".join(dict.fromkeys(content_words(f"{fact.before} {fact.after}")))
    return f"{turned} ({fact.place})", value_first, f"{fact.place} – {keywords} – {fact.value}"


def _turn(sentence: str) -> str | None:
    """Return the sentence with its condition at the other end; None: it has none."""
    if match := _FRONTED.fullmatch(sentence):
        return f"{upper_first(match['main'])}, {lower_first(match['lead'])}."
    if match := _TRAILED.fullmatch(sentence):
        return f"{upper_first(match['lead'])}, {lower_first(match['main'])}."
    return None
