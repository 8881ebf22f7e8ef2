"""Lists: their items, how many, which comes next, whether a thing is among them. Facts of items: `extraction.py`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from workbench.config import GeneratorName
from workbench.dataset.sections import Outline, Section, Stretch
from workbench.dataset.workshop import Workshop
from workbench.rows import DatasetRow

_MAX_WORDS = 60  # of an answer that names all items
_NUMBERED = re.compile(r"[ \t]*\d+[.)]")


def make_list_rows(shop: Workshop) -> Iterator[DatasetRow]:
    """Yield rows for each list of two items or more."""
    for at in shop.material.outlines:
        for section in at.sections:
            for items in section.lists:
                if len(items) >= 2:
                    yield from _rows(shop, at, section, items)


def _rows(shop: Workshop, at: Outline, section: Section, items: tuple[Stretch, ...]) -> Iterator[DatasetRow]:
    name, heading = GeneratorName.LISTS, section.heading or at.title
    place = f"under “{heading}” ({at.topic})"
    span = [(items[0].start, items[-1].end)]
    yield shop.ask(name, "count", at.cite(span), f"How many items are listed {place}?", str(len(items)))
    listed = "; ".join(item.text.rstrip(".") for item in items)
    if len(listed.split()) <= _MAX_WORDS:
        yield shop.ask(name, "items", at.cite(span), f"What is listed {place}?", listed)
    line = at.document.text.rfind("\n", 0, items[0].start) + 1
    steps = _NUMBERED.match(at.document.text, line) is not None
    for number, (item, following) in enumerate(zip(items, [*items[1:], None], strict=True), start=1):
        spans = [(item.start, item.end)]
        text = item.text.rstrip(".")
        asked = f"What is step {number} {place}?" if steps else f"What is the {_ordinal(number)} point {place}?"
        yield shop.ask(name, "nth", at.cite(spans), asked, text)
        belongs = f"Under which heading of “{at.title}” is this listed: {text}?"
        yield shop.ask(name, "member", at.cite(spans), belongs, heading)
        if steps and following is not None:
            spans = [*spans, (following.start, following.end)]
            yield shop.ask(
                name, "next", at.cite(spans), f"What comes after “{text}” {place}?", following.text.rstrip(".")
            )


def _ordinal(number: int) -> str:
    words = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
    return words[number - 1] if number <= len(words) else f"{number}th"
