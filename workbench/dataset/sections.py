"""A document as sections of sentences: what stands under which heading, and what the whole is about.

Reads `Document.blocks`; in plain text, where readers see no headings, underlined and bold lines are taken as such.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from workbench.dataset.words import one_line
from workbench.types import Block, BlockKind, Document, Span

_UNDERLINED = re.compile(r"([^\n]+)\n[ \t]*(?:=|-|~){3,}[ \t]*")
_BOLD = re.compile(r"(?:\*\*|__)([^*_\n]+)(?:\*\*|__)")
_MARKS = re.compile(r"^#{1,6}\s+|\s+#+$|^\s*(?:\d+[.)]|[-*•])\s+")
_ITEM = re.compile(r"^[ \t]*(?:\d+[.)]|[-*•])[ \t]+", re.MULTILINE)
# A sentence ends before a blank and a capital, a quote or a number; not after an initial or a common abbreviation.
_SENTENCE_END = re.compile(
    r"(?<=[.!?])(?<!\b[A-Z]\.)(?<!\b(?:Mr|Ms|Dr|No|St|vs)\.)(?<!e\.g\.)(?<!i\.e\.)\s+(?=[\"“'A-Z0-9])"
)
_PROPER = re.compile(r"[A-Z][\w-]*(?: (?:[A-Z][\w-]*|\d[\w.]*))*")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What the whole corpus tells about its words."""

    ordinary: frozenset[str]  # stand somewhere with a small first letter, so that a capital says nothing of them
    names: frozenset[str]  # stand with a capital inside of a sentence, and never without
    boilerplate: frozenset[str]  # lines that several documents share, such as footers


@dataclass(frozen=True, slots=True)
class Stretch:
    """Characters of a document that belong together, on one line: `one_line(document.text[start:end]) == text`."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Section:
    """What stands under one heading. `heading` is empty above the first one, `asks` if it is a question."""

    heading: str
    level: int
    start: int
    end: int
    paragraphs: tuple[Stretch, ...] = ()
    lists: tuple[tuple[Stretch, ...], ...] = ()  # the items of each list, marks left out
    tables: tuple[tuple[int, int], ...] = ()  # character spans of table blocks

    @property
    def asks(self) -> bool:
        """Whether the heading is a question."""
        return self.heading.endswith("?")


@dataclass(frozen=True, slots=True)
class Outline:
    """A document's sections in order. `topic` is the name of what it is about, `title` all of its title."""

    document: Document
    title: str
    topic: str
    sections: tuple[Section, ...]

    def cite(self, spans: Sequence[tuple[int, int]]) -> tuple[Span, ...]:
        """Return characters [start, end) as spans of this document."""
        return tuple(Span(document_id=self.document.id, start=start, end=end) for start, end in spans)


def outline(document: Document, vocabulary: Vocabulary) -> Outline:
    """Return the sections of a document; blocks that are boilerplate stand in none."""
    sections = [Section("", 0, 0, 0)]
    title = ""
    for heading, level, block in _headed(document):
        if heading is not None:
            title = title or (heading if len(sections) == 1 and not sections[0].paragraphs else "")
            sections.append(Section(heading, level, block.start, block.end))
        elif one_line(document.text[block.start : block.end]) not in vocabulary.boilerplate:
            sections[-1] = _add(sections[-1], block, document)
    title = title or one_line(document.title)
    kept = [section for section in sections if section.end > section.start]
    return Outline(document, title, _topic(title, document.text, vocabulary), tuple(kept))


def read_vocabulary(documents: Sequence[Document]) -> Vocabulary:
    """Return what `documents` tell about words: which are ordinary, which are names, which lines are boilerplate."""
    texts = [document.text for document in documents]
    ordinary = frozenset(word for text in texts for word in re.findall(r"(?<![-\w])[a-z]+\b", text))
    runs = (run for text in texts for run in re.findall(r"(?<=[a-z,]\s)[A-Z][\w-]+(?:\s[A-Z][\w-]+)*", text))
    inside = frozenset(word for run in runs for word in run.split())
    seen_in: Counter[str] = Counter()
    for document in documents:
        blocks = (block for block in document.blocks if block.kind is BlockKind.PARAGRAPH)
        seen_in.update({one_line(document.text[block.start : block.end]) for block in blocks})
    return Vocabulary(
        ordinary,
        frozenset(word for word in inside if word.lower() not in ordinary),
        frozenset(line for line, count in seen_in.items() if count >= 3),
    )


def split_sentences(text: str, start: int, end: int) -> Iterator[Stretch]:
    """Yield the sentences of `text[start:end]`, blanks around them left out."""
    begin = start
    for match in _SENTENCE_END.finditer(text, start, end):
        if match.end() < end:
            yield from _stretch(text, begin, match.start())
            begin = match.end()
    yield from _stretch(text, begin, end)


def proper_names(text: str, vocabulary: Vocabulary) -> Iterator[re.Match[str]]:
    """Yield runs of capitalised words of which one at least is a name."""
    for match in _PROPER.finditer(text):
        if any(word in vocabulary.names and not word.isupper() for word in re.findall(r"[A-Z][\w-]+", match[0])):
            yield match


def _headed(document: Document) -> Iterator[tuple[str | None, int, Block]]:
    """Yield (heading or None, level, block) for all blocks in order."""
    for block in document.blocks:
        raw = document.text[block.start : block.end]
        bold = _BOLD.fullmatch(raw.strip())
        if block.kind is BlockKind.HEADING:
            yield _MARKS.sub("", one_line(raw)), block.level, block
        elif block.kind is BlockKind.PARAGRAPH and (match := _UNDERLINED.fullmatch(raw.strip())):
            yield one_line(match[1]), 1 if "===" in raw else 2, block
        elif block.kind is BlockKind.PARAGRAPH and bold:
            yield one_line(bold[1]), 6, block
        else:
            yield None, 0, block


def _add(section: Section, block: Block, document: Document) -> Section:
    text, start, end = document.text, block.start, block.end
    opened = replace(section, end=end, start=section.start if section.end else start)
    raw = text[start:end]
    aligned = len(re.findall(r"\S(?: {2,}|\t)\S", raw)) >= 2 and "\n" in raw
    if block.kind is BlockKind.TABLE or (block.kind is BlockKind.PARAGRAPH and aligned):
        return replace(opened, tables=(*section.tables, (start, end)))
    if block.kind is BlockKind.LIST or (block.kind is BlockKind.PARAGRAPH and len(_ITEM.findall(raw)) >= 2):
        marks = [*_ITEM.finditer(text, start, end)]
        bounds = [*(mark.start() for mark in marks[1:]), end]
        items = [item for mark, bound in zip(marks, bounds, strict=True) for item in _stretch(text, mark.end(), bound)]
        return replace(opened, lists=(*section.lists, tuple(items))) if items else opened
    if block.kind is BlockKind.PARAGRAPH:
        return replace(opened, paragraphs=(*section.paragraphs, *_stretch(text, start, end)))
    return opened  # code: no sentences in it


def _stretch(text: str, start: int, end: int) -> Iterator[Stretch]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        yield Stretch(start, end, one_line(text[start:end]))


def _topic(title: str, text: str, vocabulary: Vocabulary) -> str:
    """Return the first name in the title; else the name that stands most often in the text; else the title's head."""
    in_title = [_without_start(match[0], vocabulary) for match in proper_names(title, vocabulary)]
    if in_title:
        return in_title[0]
    names = Counter(_without_start(match[0], vocabulary) for match in proper_names(text, vocabulary))
    best, count = max(names.items(), key=lambda item: (item[1], -len(item[0]), item[0]), default=("", 0))
    return best if count >= 3 else title.split(":", maxsplit=1)[0].strip()


def _without_start(name: str, vocabulary: Vocabulary) -> str:
    """Return a run of capitalised words without ordinary ones that stand first only because a sentence begins."""
    words = name.split()
    while len(words) > 1 and words[0] not in vocabulary.names:
        words = words[1:]
    return " ".join(words)
