"""The world: hand-written sources with slots, and the seed's draw for every slot.

A source is Markdown with facts in the text, `[[torque: {21..38} newton metres]]`, then a line `===` and its questions.
Inside a fact `{21..38}` draws a number (`/5` sets the step, decimals and thousands commas follow the bounds) and
`{nylon|cork}` one of a list. So a model cannot know a fact, and another seed makes another world from the same prose.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

FACT = re.compile(r"\[\[(\w+): (.+?)\]\]")
DRAW = re.compile(r"\{([^{}]+)\}")
REFERENCE = re.compile(r"<<([\w/-]+:)?(\w+)>>")
NUMBERS = re.compile(r"([\d.,]+?)\.\.([\d.,]+)(?:/(\d+))?")
TRIES = 60

FactId = tuple[str, str]  # source id, key
Facts = Mapping[FactId, str]


class SourceError(ValueError):
    """A source, or what became of it in a written file, is not what the questions rely on."""


@dataclass(frozen=True, slots=True)
class Source:
    """One document before its facts are drawn. `path` is where it will be written below the corpus folder."""

    path: str
    title: str
    is_new: bool  # its questions form the `new` split and none of them is a training row
    lines: tuple[str, ...]
    question_lines: tuple[str, ...]

    @property
    def id(self) -> str:
        """The path without its suffix, as references name it."""
        return self.path.rsplit(".", 1)[0]


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where a fact was written: `line[start:end]` of one unwrapped line of its document, list marks left out."""

    line: str
    start: int
    end: int


def read_sources(folder: Path) -> list[Source]:
    """Return all sources in order of path. Raises SourceError where one has no title or no questions."""
    sources = []
    for file in sorted(folder.rglob("*.md")):
        path = file.relative_to(folder).as_posix().removesuffix(".md")
        lines = file.read_text(encoding="utf-8").splitlines()
        if not lines[0].startswith("# ") or "===" not in lines:
            raise SourceError(f"{path}: a source opens with '# title' and has a line '===' before its questions")
        is_new = lines[1] == "side: new"
        cut = lines.index("===")
        body = tuple(lines[2 if is_new else 1 : cut])
        sources.append(Source(path, lines[0].removeprefix("# "), is_new, body, tuple(lines[cut + 1 :])))
    return sources


def draw_facts(sources: Sequence[Source], seed: int) -> dict[FactId, str]:
    """Return the text of every fact. A value that another fact has already is drawn again, while its list lasts."""
    facts: dict[FactId, str] = {}
    used: set[str] = set()
    for source in sources:
        rng = random.Random(f"{seed}/{source.id}")
        for key, template in FACT.findall("\n".join(source.lines)):
            if (source.id, key) in facts:
                raise SourceError(f"{source.path}: fact {key!r} is written twice")
            text = _fill(template, rng)
            for _ in range(TRIES):
                if text not in used:
                    break
                text = _fill(template, rng)
            used.add(text)
            facts[source.id, key] = text
    return facts


def fill_references(text: str, source_id: str, facts: Facts) -> str:
    """Replace `<<key>>` by a fact of this source, `<<folder/name:key>>` by one of another."""
    return REFERENCE.sub(lambda match: facts[parse_fact_id(match[0][2:-2], source_id)], text)


def parse_fact_id(text: str, source_id: str) -> FactId:
    """Read `key` or `folder/name:key`."""
    other, _, key = text.rpartition(":")
    return (other or source_id, key)


def render_lines(source: Source, facts: Facts) -> tuple[list[str], dict[str, Anchor]]:
    """Return the document's Markdown lines with facts filled in, and where each fact stands."""
    lines: list[str] = []
    anchors: dict[str, Anchor] = {}
    for template in source.lines:
        mark = re.match(r"- |\d+\. |", template)
        prefix = mark[0] if mark else ""
        line, end = "", len(prefix)
        starts: dict[str, tuple[int, int]] = {}
        for match in FACT.finditer(template):
            line += template[end : match.start()]
            text = facts[source.id, match[1]]
            starts[match[1]] = (len(line), len(line) + len(text))
            line, end = line + text, match.end()
        line += template[end:]
        lines.append(prefix + line)
        anchors |= {key: Anchor(line, *span) for key, span in starts.items()}
    return lines, anchors


def _fill(template: str, rng: random.Random) -> str:
    return DRAW.sub(lambda match: _draw(match[1], rng), template)


def _draw(choices: str, rng: random.Random) -> str:
    numbers = NUMBERS.fullmatch(choices)
    if numbers is None:
        return rng.choice(choices.split("|"))
    low, high = (Decimal(bound.replace(",", "")) for bound in numbers.group(1, 2))
    step = Decimal(numbers[3] or 1).scaleb(int(low.as_tuple().exponent))
    value = low + step * rng.randint(0, int((high - low) / step))
    return f"{value:,}" if "," in choices else f"{value}"
