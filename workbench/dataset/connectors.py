"""Sentences joined by because, so that, therefore, however: asked for reason, purpose, result, contrast.

Connector mining: AdaptLLM, Cheng et al., https://arxiv.org/abs/2309.09530.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from workbench.config import GeneratorName
from workbench.dataset.extraction import sentences_of
from workbench.dataset.facts import source_of
from workbench.dataset.words import lower_first
from workbench.dataset.workshop import Workshop
from workbench.rows import DatasetRow

# name, how the sentence is joined, what is asked of its first part, what of its second
_JOINTS = (
    (
        "because",
        re.compile(r"(?P<one>[^;:]{15,}?),? (?:because|since) (?P<two>[^;:]{8,})\."),
        "Why is it that {p}?",
        "What follows from this: {p}?",
    ),
    (
        "so_that",
        re.compile(r"(?P<one>[^;:]{15,}?),? so that (?P<two>[^;:]{8,})\."),
        "What for: {p}?",
        "What is done so that {p}?",
    ),
    (
        "if",
        re.compile(r"If (?P<two>[^,;:]{8,}), (?P<one>[^;:]{12,})\."),
        "When does this hold: {p}?",
        "What holds if {p}?",
    ),
    (
        "but",
        re.compile(r"(?P<one>[^;:]{15,}?), (?:but|yet|though|although|however,?) (?P<two>[^;:]{8,})\."),
        "What is set against this: {p}?",
        "Against what is this set: {p}?",
    ),
)
_NEXT = (
    ("therefore", re.compile(r"(?:Therefore|So|Hence|Thus),? (?P<two>.{10,})\."), "What follows from this: {p}?"),
    ("that_is_why", re.compile(r"(?:That|This) is why (?P<two>.{10,})\."), "What follows from this: {p}?"),
    ("however", re.compile(r"(?:However|Yet|But|Still),? (?P<two>.{10,})\."), "What is set against this: {p}?"),
    ("otherwise", re.compile(r"(?:Otherwise|If not),? (?P<two>.{10,})\."), "And if not: {p}?"),
)


def make_connector_rows(shop: Workshop) -> Iterator[DatasetRow]:
    """Yield two questions for a sentence with two parts, one for a pair of sentences."""
    name, names = GeneratorName.CONNECTORS, shop.material.vocabulary.names
    for at in shop.material.outlines:
        for section in at.sections:
            sentences = list(sentences_of(at, section))
            place = source_of(at, section).place
            for sentence in sentences:
                for template, joint, first, second in _JOINTS:
                    if match := joint.fullmatch(sentence.text):
                        one, two = lower_first(match["one"], names), lower_first(match["two"], names)
                        spans = [(sentence.start, sentence.end)]
                        yield shop.ask(name, template, at.cite(spans), f"{place}: {first.format(p=one)}", two)
                        yield shop.ask(
                            name, f"{template}_back", at.cite(spans), f"{place}: {second.format(p=two)}", one
                        )
                        break
            for before, sentence in pairwise(sentences):
                for template, joint, asked in _NEXT:
                    if match := joint.fullmatch(sentence.text):
                        said = lower_first(before.text.rstrip("."), names)
                        spans = [(before.start, before.end), (sentence.start, sentence.end)]
                        two = lower_first(match["two"], names)
                        yield shop.ask(name, template, at.cite(spans), f"{place}: {asked.format(p=said)}", two)
                        break
