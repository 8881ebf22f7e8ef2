"""Sentences that say what something is: "X is a Y ...". Asked from the thing to its kind and back."""

from __future__ import annotations

import re
from collections.abc import Iterator

from workbench.config import GeneratorName
from workbench.dataset.extraction import sentences_of
from workbench.dataset.words import FUNCTION_WORDS, PRONOUNS, lower_first
from workbench.dataset.workshop import Workshop
from workbench.rows import DatasetRow

_DEFINES = re.compile(
    r"(?P<term>(?:(?:The|An?) )?[A-Z]?[\w'-]+(?: [\w'-]+){0,4}) (?:is|are|was) "
    r"(?P<kind>(?:an?|the|one of the) [\w'-]+(?: [\w',-]+){0,12})(?P<rest>[.;:].*)"
)
_CALLS = re.compile(
    r"(?P<kind>an? [a-z][\w'-]*(?: [a-z][\w'-]*){0,4}) (?:called|named|known as) "
    r"(?P<term>[A-Z][\w'-]*(?: [A-Z][\w'-]*)*)"
)


def make_definition_rows(shop: Workshop) -> Iterator[DatasetRow]:
    """Yield three questions for each sentence that defines something."""
    name = GeneratorName.DEFINITIONS
    for at in shop.material.outlines:
        for section in at.sections:
            for sentence in sentences_of(at, section):
                match = _DEFINES.fullmatch(sentence.text) or _CALLS.search(sentence.text)
                if match is None or _is_vague(match["term"]):
                    continue
                term, kind = lower_first(match["term"], shop.material.vocabulary.names), match["kind"].rstrip(",")
                place = "" if at.topic in term else f" ({at.topic})"
                spans = [(sentence.start, sentence.end)]
                yield shop.ask(name, "what_is", at.cite(spans), f"What is {term}{place}?", kind)
                yield shop.ask(name, "describe", at.cite(spans), f"How does “{at.title}” describe {term}?", kind)
                yield shop.ask(name, "what_is_so", at.cite(spans), f"What is described as “{kind}”{place}?", term)


def _is_vague(term: str) -> bool:
    """Whether a term stands for something said before: "It", "This rule", "The latter"."""
    words = term.lower().split()
    return words[0] in PRONOUNS | {"there", "what", "here"} or all(word in FUNCTION_WORDS for word in words)
