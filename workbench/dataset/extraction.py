"""Documents → facts: cells of tables, "key: value" lines, the one code under a heading, values inside of sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator

from workbench.dataset.asking import ask_for
from workbench.dataset.facts import Fact, FactKind, Source, source_of
from workbench.dataset.grids import cell_facts, read_grid, relation_fact
from workbench.dataset.sections import Outline, Section, Stretch, Vocabulary, split_sentences
from workbench.dataset.values import Value, ValueKind, find_values
from workbench.dataset.words import lower_first

_PAIR = re.compile(r"(?P<key>[A-Z][\w ,'/()-]{1,48}?): (?P<value>[^:;]{1,90})")
_PAIR_END = re.compile(r"(?:[.;]| \(|, (?=since|because|which|unless|as |so ))")
_HEADED = {ValueKind.CODE: "code"}
_MIN_WORDS = 4  # of a sentence that can stand alone


def extract_facts(outline: Outline, vocabulary: Vocabulary) -> Iterator[Fact]:
    """Yield every fact of a document; some say the same twice, in a sentence and under its heading."""
    for section in outline.sections:
        source = source_of(outline, section)
        for start, end in section.tables:
            grid = read_grid(outline.document.text, start, end)
            if grid is not None:
                yield from cell_facts(source, grid)
        yield from _stated(outline, section, source, vocabulary)


def sentences_of(outline: Outline, section: Section) -> Iterator[Stretch]:
    """Yield the sentences of a section's paragraphs, then those of its list items."""
    items = [item for list_ in section.lists for item in list_]
    for stretch in (*section.paragraphs, *items):
        yield from split_sentences(outline.document.text, stretch.start, stretch.end)


def _stated(outline: Outline, section: Section, source: Source, vocabulary: Vocabulary) -> Iterator[Fact]:
    headed: dict[ValueKind, list[Fact]] = {}
    for sentence in sentences_of(outline, section):
        pair = _pair(sentence, outline, source, vocabulary)
        if pair is not None:
            yield pair
        for value in find_values(sentence.text, vocabulary):
            if sentence.text[value.start : value.end] in source.topic or _is_inside(value, sentence, pair, outline):
                continue
            fact = _statement(sentence, value, source, outline, vocabulary)
            if fact is None:
                continue
            headed.setdefault(value.kind, []).append(fact)
            if len(sentence.text.split()) >= _MIN_WORDS:
                yield fact
    yield from _headed(headed, section, source)


def _pair(sentence: Stretch, outline: Outline, source: Source, vocabulary: Vocabulary) -> Fact | None:
    """Return the fact of a line "Key: value"; None: it is none."""
    match = _PAIR.match(sentence.text)
    if match is None or len(match["key"].split()) > 5:
        return None
    value = _PAIR_END.split(match["value"])[0].rstrip(".")
    stretch = _locate(outline.document.text, sentence, match.start("value"), match.start("value") + len(value))
    if stretch is None or len(value.split()) > 10:
        return None
    key = lower_first(match["key"], vocabulary.names)
    about = source.heading or source.about
    return relation_fact(FactKind.PAIR, source, about, key, stretch, statement=(sentence.start, sentence.end))


def _statement(
    sentence: Stretch, value: Value, source: Source, outline: Outline, vocabulary: Vocabulary
) -> Fact | None:
    stretch = _locate(outline.document.text, sentence, value.start, value.end)
    if stretch is None:
        return None
    return Fact(
        kind=FactKind.STATEMENT,
        value_kind=value.kind,
        source=source,
        value=stretch.text,
        start=stretch.start,
        end=stretch.end,
        statement_start=sentence.start,
        statement_end=sentence.end,
        before=sentence.text[: value.start],
        after=sentence.text[value.end :],
        asked=ask_for(sentence.text, value, vocabulary.names),
    )


def _headed(found: dict[ValueKind, list[Fact]], section: Section, source: Source) -> Iterator[Fact]:
    """Yield what stands under a heading alone of its kind: there is one code below "Heavy", so it is its code."""
    if not section.heading or section.asks or section.level <= 1:
        return
    for kind, noun in _HEADED.items():
        facts = found.get(kind, [])
        if len({fact.value for fact in facts}) == 1:
            one = facts[0]
            value = Stretch(one.start, one.end, one.value)
            place = (one.statement_start, one.statement_end)
            yield relation_fact(FactKind.HEADED, source, f"“{section.heading}”", noun, value, statement=place)


def _is_inside(value: Value, sentence: Stretch, pair: Fact | None, outline: Outline) -> bool:
    """Whether a value is no more than the whole of a pair's value, which has been told already."""
    if pair is None:
        return False
    stretch = _locate(outline.document.text, sentence, value.start, value.end)
    return stretch is not None and (stretch.start, stretch.end) == (pair.start, pair.end)


def _locate(text: str, sentence: Stretch, start: int, end: int) -> Stretch | None:
    """Return where characters [start, end) of the sentence on one line stand in the document."""
    places = [n for n in range(sentence.start, sentence.end) if not text[n].isspace()]
    shown = [n for n, letter in enumerate(sentence.text) if not letter.isspace()]
    if len(places) != len(shown):
        return None
    inside = [place for place, n in zip(places, shown, strict=True) if start <= n < end]
    return Stretch(inside[0], inside[-1] + 1, sentence.text[start:end].strip()) if inside else None
