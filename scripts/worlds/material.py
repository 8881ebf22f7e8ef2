"""What the real worlds are written from: an invented maker's products, their facts, house formats and desks.

Everything is drawn by a seed. Nothing here is from a data set: a base model cannot know these facts.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

SYLLABLES = (
    "bra",
    "cor",
    "den",
    "fal",
    "gor",
    "hel",
    "jor",
    "kes",
    "lun",
    "mor",
    "nev",
    "ost",
    "pel",
    "quil",
    "ras",
    "tev",
)
ENDS = ("dax", "lin", "mont", "nor", "rix", "sten", "vik", "wen")
TOWNS = ("Aldby", "Brennholt", "Carrow", "Dunsey", "Eskmoor", "Fennick", "Garrowby", "Hexley", "Ivorne", "Jarnwick")
COLOURS = ("amber", "teal", "crimson", "ivory", "cobalt", "olive", "maroon", "silver")
THINGS = ("gauge", "valve", "pump", "meter", "sensor", "switch")
DESKS = {
    "repairs": (
        "leaks since {day}",
        "makes a grinding noise",
        "stopped working on {day}",
        "has a cracked lid",
        "overheats",
    ),
    "billing": (
        "was charged twice on the invoice",
        "has the wrong price on the bill",
        "shows no discount on the account",
    ),
    "sales": ("is wanted for a new plant", "should be quoted for fifty pieces", "interests us; send an offer"),
}
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
ATTRIBUTES = {  # attribute → the sentence that states it; ways to ask, far enough apart to be no copies of each other
    "weight": (
        "The {name} weighs {value}.",
        (
            "How heavy is the {name}?",
            "What is the weight of one {name}?",
            "What does the {name} weigh?",
            "Tell me how much a {name} weighs.",
            "A {name} is put on the scales: what do they show?",
            "State the mass given for the {name}.",
        ),
    ),
    "colour": (
        "Its housing is painted {value}.",
        (
            "What colour is the {name}?",
            "In which paint does the {name} come?",
            "Which colour does the housing of the {name} have?",
            "The {name} is painted how?",
            "Name the shade of a {name}.",
            "I see a {name} on the shelf: which colour is it?",
        ),
    ),
    "town": (
        "It is assembled in {value}.",
        (
            "Where is the {name} assembled?",
            "In which town is the {name} put together?",
            "Which town does a {name} come from?",
            "Name the place where workers build the {name}.",
            "The {name} leaves a workshop in what town?",
            "From where is a new {name} shipped after assembly?",
        ),
    ),
    "pressure": (
        "It withstands a pressure of {value}.",
        (
            "Which pressure does the {name} withstand?",
            "How much pressure can the {name} take?",
            "Up to what pressure may one use a {name}?",
            "What is the pressure limit of the {name}?",
            "At which bar reading would the {name} give way?",
            "Name the highest pressure for a {name}.",
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class Product:
    """One product and its facts, attribute → value."""

    name: str
    facts: dict[str, str]

    @property
    def document_id(self) -> str:
        """The file that describes it."""
        return f"{self.name.split()[0].lower()}.md"

    def text(self) -> str:
        """Return the document: a heading and one sentence a fact."""
        stated = (
            ATTRIBUTES[attribute][0].format(name=self.name, value=value) for attribute, value in self.facts.items()
        )
        return f"# {self.name}\n\n" + " ".join(stated) + "\n"

    def asked(self, attribute: str, way: int, **fields: Any) -> dict[str, Any]:
        """Return the question on `attribute` in its `way`, with its answer and the span that holds it."""
        text, value = self.text(), self.facts[attribute]
        sentence = ATTRIBUTES[attribute][0].format(name=self.name, value=value)
        start = text.index(sentence) + sentence.index(value)
        return {
            "id": f"{self.name.split()[0].lower()}-{attribute}-{way}",
            "text": ATTRIBUTES[attribute][1][way].format(name=self.name),
            "answers": [value],
            "relevant": [{"document_id": self.document_id, "start": start, "end": start + len(value)}],
            "kind": "fact",
            "group": self.document_id,
        } | fields


def draw_products(n: int, seed: int) -> list[Product]:
    """Return `n` products of different names, each with all attributes."""
    draws = random.Random(seed)
    names = [f"{first}{end}".capitalize() for first in SYLLABLES for end in ENDS]
    draws.shuffle(names)
    return [
        Product(
            f"{name} {draws.choice(THINGS)}",
            {
                "weight": f"{draws.randint(2, 99)} {draws.choice(('grams', 'kilograms'))}",
                "colour": draws.choice(COLOURS),
                "town": draws.choice(TOWNS),
                "pressure": f"{draws.randint(2, 90)} bar",
            },
        )
        for name in names[:n]
    ]


def draw_orders(n: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield `n` orders to be put into the house format: what is asked holds all that the answer needs."""
    draws = random.Random(seed)
    for number, product in enumerate(draw_products(n, seed + 1)):
        name, count, town = product.name.split()[0], draws.randint(2, 60), draws.choice(TOWNS)
        yield {
            "id": f"order-{number}",
            "text": f"Write the order line: {count} pieces of {name} for the works in {town}.",
            "answers": [f"{name.upper()} / {count} / {town.upper()}"],
            "kind": "format",
            "group": f"order-{number}",
        }


def draw_messages(n: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield `n` messages, each for one of three desks."""
    draws = random.Random(seed)
    for number, product in enumerate(draw_products(n, seed + 2)):
        desk = draws.choice(sorted(DESKS))
        said = draws.choice(DESKS[desk]).format(day=draws.choice(DAYS))
        yield {
            "id": f"message-{number}",
            "text": f'Which desk answers this: "Our {product.name} from {draws.choice(TOWNS)} {said}"?',
            "answers": [desk],
            "kind": "label",
            "group": f"message-{number}",
        }


def general_questions() -> list[dict[str, Any]]:
    """Return common knowledge as questions; which of them a model knows has to be asked of it."""
    rows = YAML(typ="safe").load((Path(__file__).parent / "general.yaml").read_text(encoding="utf-8"))
    return [
        {
            "id": f"general-{number}",
            "text": text,
            "answers": str(answer).split("|"),
            "kind": "known",
            "group": f"general-{number}",
        }
        for number, (text, answer) in enumerate(rows)
    ]
