"""Headings and bold lines that ask, with the answer below: its first sentence, and all of it if short."""

from __future__ import annotations

from collections.abc import Iterator

from workbench.config import GeneratorName
from workbench.dataset.sections import split_sentences
from workbench.dataset.workshop import Workshop
from workbench.rows import DatasetRow

_MAX_WORDS = 60  # of an answer given whole
_MIN_FIRST = 3  # words of a first sentence that answers; "Yes." alone takes the next one along


def make_faq_rows(shop: Workshop) -> Iterator[DatasetRow]:
    """Yield rows for each question of a document that the document answers."""
    name = GeneratorName.FAQ
    for at in shop.material.outlines:
        for section in at.sections:
            if not section.asks or not section.paragraphs:
                continue
            answer = section.paragraphs[0]
            sentences = list(split_sentences(at.document.text, answer.start, answer.end))
            n_first = 1 if len(sentences[0].text.split()) >= _MIN_FIRST else min(2, len(sentences))
            first = " ".join(one.text for one in sentences[:n_first])
            spans = [(answer.start, sentences[n_first - 1].end)]
            asked, on = section.heading, f" ({at.topic})" if at.topic not in section.heading else ""
            yield shop.ask(name, "asked", at.cite(spans), f"{asked.rstrip('?')}{on}?", first)
            yield shop.ask(name, "titled", at.cite(spans), f"“{at.title}” answers the question “{asked}” How?", first)
            yield shop.ask(
                name, "which", at.cite(spans), f"Which question of “{at.title}” is answered so: “{first}”", asked
            )
            if n_first < len(sentences) and len(answer.text.split()) <= _MAX_WORDS:
                whole = [(answer.start, answer.end)]
                yield shop.ask(name, "whole", at.cite(whole), f"Answer in full: {asked}{on}", answer.text)
