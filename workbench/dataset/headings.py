"""A section and what it says, asked in both directions. Not what stands below a heading that asks: `faq.py`."""

from __future__ import annotations

from collections.abc import Iterator

from workbench.config import GeneratorName
from workbench.dataset.extraction import sentences_of
from workbench.dataset.workshop import Workshop
from workbench.rows import DatasetRow

_MAX_FIRST = 40  # words of the sentence that a section is known by


def make_heading_rows(shop: Workshop) -> Iterator[DatasetRow]:
    """Yield, for each section, what it opens with, which section a sentence stands in, and which one comes next."""
    name = GeneratorName.HEADINGS
    for at in shop.material.outlines:
        headed = [section for section in at.sections if section.heading and section.heading != at.title]
        for section, following in zip(headed, [*headed[1:], None], strict=True):
            sentences = [one for one in sentences_of(at, section) if len(one.text.split()) >= 4]
            if not sentences or section.asks:
                continue
            heading, first = section.heading, sentences[0]
            spans = [(section.start, section.end)]
            if len(first.text.split()) <= _MAX_FIRST:
                said = [(first.start, first.end)]
                opened = f"How does the section “{heading}” of “{at.title}” begin?"
                yield shop.ask(name, "begins", at.cite(said), opened, first.text)
            last = sentences[-1]
            asked = f"In “{at.title}”, under which heading does this stand: “{last.text}”"
            yield shop.ask(name, "under", at.cite([(last.start, last.end)]), asked, heading)
            if following is not None and not following.asks:
                after = f"Which section comes after “{heading}” in “{at.title}”?"
                yield shop.ask(
                    name, "next", at.cite([*spans, (following.start, following.end)]), after, following.heading
                )
        if len(headed) >= 2:
            span = [(headed[0].start, headed[-1].end)]
            listed = "; ".join(section.heading for section in headed)
            yield shop.ask(name, "sections", at.cite(span), f"Which sections has “{at.title}”?", listed)
