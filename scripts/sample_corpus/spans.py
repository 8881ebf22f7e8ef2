"""Find a fact again in the text that the project's reader makes of the written file.

Readers wrap, unwrap and add table bars, so a line is looked up by its letters and digits alone; the fact itself must
then stand there word for word.
"""

from __future__ import annotations

import re

from sample_corpus.facts import Anchor, SourceError
from workbench.types import Document, Span


def locate(anchor: Anchor, document: Document) -> Span:
    """Return the characters of the fact. Raises SourceError if its line is not there once, or reads differently."""
    places = [place for place, letter in enumerate(document.text) if letter.isalnum()]
    letters = _letters(document.text)
    line, fact = _letters(anchor.line), anchor.line[anchor.start : anchor.end]
    first = letters.find(line)
    if first < 0 or letters.find(line, first + 1) >= 0:
        count = letters.count(line)
        raise SourceError(f"{document.id}: the line of {fact!r} stands there {count} times, not once: {anchor.line!r}")
    offset = first + len(_letters(anchor.line[: anchor.start]))
    start, end = places[offset], places[offset + len(_letters(fact)) - 1] + 1
    # A fact such as ".pl3" or "BAR?" begins or ends with a sign that the lookup by letters leaves out.
    start -= len(fact) - len(fact.lstrip(".?!"))
    end += len(fact) - len(fact.rstrip(".?!"))
    found = squeeze_spaces(document.text[start:end])
    if found != fact:
        raise SourceError(f"{document.id}: wrote {fact!r} but the reader gives {found!r} in {anchor.line!r}")
    return Span(document_id=document.id, start=start, end=end)


def squeeze_spaces(text: str) -> str:
    """Return `text` with every run of white space as one space."""
    return re.sub(r"\s+", " ", text)


def _letters(text: str) -> str:
    return "".join(letter for letter in text if letter.isalnum())
