"""A section and what it says, asked in both directions. Not what stands below a heading that asks: `faq.py`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from workbench.config import GeneratorName
from workbench.dataset.extraction import sentences_of
from workbench.dataset.sections import Outline, Section
from workbench.dataset.workshop import Workshop
from workbench.rows import DatasetRow

_MAX_FIRST = 40  # words of the sentence that a section is known by


def make_heading_rows(shop: Workshop) -> Iterator[DatasetRow]:
    """Yield, for each section, what it opens with, which section a sentence stands in, and which one comes next."""
    name = GeneratorName.HEADINGS
    for at in shop.material.outlines:
        headed = [section for section in at.sections if section.heading and section.heading != at.title]
        for section, following in zip_longest(headed, headed[1:]):
            if section.asks:
                continue
            yield from _opening(shop, at, section)
            if following is not None and not following.asks:
                after = f"Which section comes after “{section.heading}” in “{at.title}”?"
                spans = at.cite([(section.start, section.end), (following.start, following.end)])
                yield shop.ask(name, "next", spans, after, following.heading)
        if len(headed) >= 2:
            span = [(headed[0].start, headed[-1].end)]
            listed = "; ".join(section.heading for section in headed)
            yield shop.ask(name, "sections", at.cite(span), f"Which sections has “{at.title}”?", listed)


def _opening(shop: Workshop, at: Outline, section: Section) -> Iterator[DatasetRow]:
    """Yield what a section says first, and where its last sentence stands."""
    sentences = [one for one in sentences_of(at, section) if len(one.text.split()) >= 4]
    if not sentences:
        return
    first, last = sentences[0], sentences[-1]
    if len(first.text.split()) <= _MAX_FIRST:
        asked = f"How does the section “{section.heading}” of “{at.title}” begin?"
        yield shop.ask(GeneratorName.HEADINGS, "begins", at.cite([(first.start, first.end)]), asked, first.text)
    asked = f"In “{at.title}”, under which heading does this stand: “{last.text}”"
    yield shop.ask(GeneratorName.HEADINGS, "under", at.cite([(last.start, last.end)]), asked, section.heading)
