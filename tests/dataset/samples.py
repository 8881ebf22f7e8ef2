"""Documents written as text, a retriever over words, and a workshop of both: what the tests of this room share."""

import re
from collections import Counter

from workbench.config import DatasetConfig
from workbench.dataset import Passages, Workshop, read_material
from workbench.strategies.gold import GoldPassages
from workbench.types import Block, BlockKind, Chunk, Document, Hit, Question, Ranking

METER = """# Corvel 40 meter: site handbook

The Corvel 40 arrives on a pallet. Read this before the trench is dug.

## Lifting

The meter weighs 75 kilograms without its flanges. The rotor is held by a red nylon pin during transport.

If the line is empty, open the valve slowly.

## Codes

| Code | Meaning | First action |
| --- | --- | --- |
| C-123 | rotor does not turn | flush the body |
| C-179 | pulses too irregular | lengthen the straight run |

## Data

- Rated pressure: 43 bar
- Body material: cast red brass

## Steps

1. Fill the line from the low end.
2. Wait for the green lamp.
3. Enter the commissioning code 7586.

## Can I paint the meter?

Paint the body as you like, but not the window. A painted window hides the figures.

## Safety

A damper is a rubber part of the flap. The gate stays shut, because rats like grease.
"""
BALANCE = """# Dunmere S balance: user guide

The Dunmere S is a quiet instrument. The Dunmere S wants a quiet corner.

## Heavy

Something lies on the pan. Code D-28. Take everything off.

## Range

| Property | Value |
| --- | --- |
| Capacity | 310 grams |
| Readability | 0.1 milligram |

The work was checked by Edric Namoor in Tolvary. Ask Edric Namoor or the desk in Tolvary.
"""


def make_document(id_: str, text: str) -> Document:
    """A document whose blocks are parted by blank lines, their kinds told by how they begin."""
    blocks = []
    for match in re.finditer(r"\S.*?(?=\n\s*\n|\s*\Z)", text, re.DOTALL):
        first = match[0]
        level = len(first) - len(first.lstrip("#"))
        listed = re.match(r"(- |\d+\. )", first)
        kind = BlockKind.HEADING if level else BlockKind.TABLE if first[0] == "|" else BlockKind.PARAGRAPH
        blocks.append(Block(match.start(), match.end(), BlockKind.LIST if listed else kind, level))
    return Document(id_, id_, id_, text, tuple(blocks), "f" * 64)


DOCUMENTS = (make_document("meter.md", METER), make_document("balance.md", BALANCE))


def make_chunks(documents: tuple[Document, ...] = DOCUMENTS) -> list[Chunk]:
    """One chunk a block."""
    return [
        Chunk(
            f"{document.id}:{block.start}", document.id, block.start, block.end, document.text[block.start : block.end]
        )
        for document in documents
        for block in document.blocks
    ]


class WordFinder:
    """Ranks chunks by the words they share with the question."""

    def __init__(self, chunks: list[Chunk]) -> None:
        self.chunks = chunks
        self.asked: list[str] = []

    def __call__(self, question: str) -> Ranking:
        self.asked.append(question)
        words = Counter(re.findall(r"\w+", question.lower()))
        scores = [(sum(words[w] for w in set(re.findall(r"\w+", c.text.lower()))), c) for c in self.chunks]
        return tuple(Hit(c, float(s)) for s, c in sorted(scores, key=lambda one: (-one[0], one[1].id)) if s)


def make_workshop(
    documents: tuple[Document, ...] = DOCUMENTS, *, forbidden: tuple[str, ...] = (), **knobs: object
) -> Workshop:
    """A workshop over `documents`; `knobs` are those of `dataset:`."""
    config = DatasetConfig.model_validate(knobs)
    chunks = make_chunks()
    gold = GoldPassages(chunks)
    return Workshop(
        material=read_material(documents, facts_per_document=config.facts_per_document),
        config=config,
        seed=7,
        not_found="not in the documents",
        passages=Passages(
            find=WordFinder(chunks),
            gold=lambda spans: gold.find(Question(id="q", text="q", relevant=tuple(spans))),
            n=3,
            forbidden=forbidden,
        ),
        count_tokens=lambda text: len(text.split()),
    )
