"""A fact in a document, changed: its words replaced wherever they stand, spans and questions carried along."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

from workbench.runs import fingerprint
from workbench.types import Block, Document, Question, Span


@dataclass(frozen=True, slots=True)
class Swap:
    """A fact's words before and after."""

    old: str
    new: str

    def pattern(self) -> re.Pattern[str]:
        """Match the old words where they stand by themselves."""
        return re.compile(rf"(?<!\w){re.escape(self.old)}(?!\w)")

    def apply(self, text: str) -> str:
        """Return the text with the new words."""
        return self.pattern().sub(lambda _: self.new, text)


class Shift:
    """Where characters of a text stand after a swap."""

    def __init__(self, text: str, swap: Swap) -> None:
        places = [match.span() for match in swap.pattern().finditer(text)]
        self._starts = [start for start, _ in places]
        self._ends = [end for _, end in places]
        self._grown, self._new = len(swap.new) - len(swap.old), len(swap.new)

    def start(self, position: int) -> int:
        """Return where a span that starts at `position` starts; within replaced words: where these start."""
        n = bisect_right(self._starts, position)
        inside = n and position < self._ends[n - 1]
        return (self._starts[n - 1] if inside else position) + (n - bool(inside)) * self._grown

    def end(self, position: int) -> int:
        """Return where a span that ends before `position` ends; within replaced words: where these end."""
        n = bisect_right(self._starts, position - 1)
        inside = n and position < self._ends[n - 1]
        return (self._ends[n - 1] if inside else position) + n * self._grown


def edit_document(document: Document, swap: Swap) -> Document:
    """Return the document with the new words, its blocks moved along."""
    shift, title = Shift(document.text, swap), swap.apply(document.title)
    blocks = tuple(
        Block(shift.start(block.start), shift.end(block.end), block.kind, block.level, block.page)
        for block in document.blocks
    )
    text = swap.apply(document.text)
    mark = fingerprint(title, text, [(b.start, b.end, b.kind, b.level, b.page) for b in blocks])
    return replace(document, title=title, text=text, blocks=blocks, fingerprint=mark)


def edit_question(question: Question, document: Document, swap: Swap) -> Question:
    """Return the question as it is asked of the changed document: words, answers, spans. `document` is the old one."""
    shift = Shift(document.text, swap)
    spans = tuple(
        Span(document_id=span.document_id, start=shift.start(span.start), end=shift.end(span.end))
        if span.document_id == document.id
        else span
        for span in question.relevant
    )
    answers = tuple(swap.apply(answer) for answer in question.answers)
    return question.model_copy(update={"text": swap.apply(question.text), "answers": answers, "relevant": spans})


def stated_answer(question: Question, document: Document) -> str | None:
    """Return the first accepted answer that stands, word for word, where the question's answer is; None: none does."""
    for span in question.relevant:
        if span.document_id == document.id:
            stretch = document.text[span.start : span.end]
            for answer in question.answers:
                if Swap(answer, "").pattern().search(stretch):
                    return answer
    return None


def find_substitute(old: str, candidates: Sequence[str], document: Document) -> str | None:
    """Return the first candidate of the old answer's form that the document does not hold; None: there is none.

    Of one form: both hold digits or neither does, and their numbers of words differ by one at most.
    """
    for new in candidates:
        digits = any(c.isdigit() for c in new) == any(c.isdigit() for c in old)
        if digits and abs(len(new.split()) - len(old.split())) <= 1 and new.casefold() not in document.text.casefold():
            return new
    return None
