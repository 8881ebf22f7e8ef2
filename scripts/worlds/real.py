"""The worlds run with a real small model: corpora of a few dozen documents, trained and asked on this machine.

Each is written into a folder of its own and run as any user's experiment; what is judged is the run's own
recommendation, under the world's wishes. Worlds with equal material share one run.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worlds.material import Product, draw_messages, draw_orders, draw_products, general_questions
from worlds.nouns import UNDECIDED

Rows = list[dict[str, Any]]
Known = Callable[[Rows], Rows]  # general questions → those that the base model answers rightly
CLOSED = {"strategy": "closed_book"}
RAG = {"strategy": "rag"}
LORA = {"strategy": "closed_book", "adapter": "closed_book"}
READER = {"strategy": "rag", "adapter": "reader"}
READER_ADAPTER = {"examples": "reader", "without_gold": 0.0, "recipe": {"epochs": 3, "keep": "last"}}


@dataclass(frozen=True, slots=True)
class Material:
    """What one run is made of: documents by name, question rows with their splits, parts of the config."""

    documents: dict[str, str]
    questions: Rows
    arms: dict[str, dict[str, Any]]
    ranked_by: str = "contains"
    closed_book_epochs: int = 6


@dataclass(frozen=True, slots=True)
class RealWorld:
    """A world of real material. `wishes` are overrides of `decision.…` and `evaluation.margin`."""

    name: str
    why: str
    best: frozenset[str]
    material: str  # key of MATERIALS
    wishes: tuple[str, ...] = ()


def known_facts(known: Known, seed: int) -> Material:
    """Questions that the base answers rightly, over documents about something else."""
    products = draw_products(24, seed)
    return Material(
        documents={one.document_id: one.text() for one in products},
        questions=[row | {"split": "new"} for row in known(general_questions())]
        + [one.asked(name, 0, split="train") for one in products for name in one.facts],
        arms={"base": CLOSED, "rag": RAG, "lora": LORA},
    )


def new_facts(known: Known, seed: int) -> Material:
    """Invented facts, tested on documents that training never saw."""
    products = draw_products(60, seed + 10)
    return Material(
        documents={one.document_id: one.text() for one in products},
        questions=_facts(products[:30], "train", ways=(0,)) + _facts(products[30:], "new", ways=(1,)),
        arms={"base": CLOSED, "rag": RAG, "lora": LORA},
    )


def house_format(known: Known, seed: int) -> Material:
    """Order lines in a house format; the documents are about products, not about the format."""
    return _task(list(draw_orders(110, seed)), seed, n_train=60)


def few_labels(known: Known, seed: int) -> Material:
    """Messages to be sent to one of three desks."""
    return _task(list(draw_messages(110, seed)), seed, n_train=60)


def distractors(known: Known, seed: int) -> Material:
    """Products described in the same words, many to a prompt: only a trained reader tells them apart."""
    products = draw_products(60, seed + 20)
    return Material(
        documents={one.document_id: one.text() for one in products},
        questions=_facts(products[:30], "train", ways=(0, 2)) + _facts(products[30:], "new", ways=(1,)),
        arms={"base": CLOSED, "rag": RAG, "rag_lora": RAG | {"adapter": "closed_book"}, "rag_reader": READER},
        ranked_by="f1",
    )


def half_of_each(known: Known, seed: int) -> Material:
    """Half order lines, half facts from documents: no arm does both."""
    products = draw_products(50, seed + 30)
    orders = list(draw_orders(110, seed + 1))
    return Material(
        documents={one.document_id: one.text() for one in products},
        questions=_facts(products[:25], "train", ways=(0,))
        + _facts(products[25:40], "new", ways=(1,))
        + [row | {"split": "train" if place < 50 else "new"} for place, row in enumerate(orders)],
        arms={"base": CLOSED, "lora": LORA, "rag_reader": READER, "routed": {"strategy": "routed"}},
        ranked_by="f1",
    )


def same_questions(known: Known, seed: int) -> Material:
    """A handful of facts, asked again and again in other words: weights can hold them, passages state them."""
    products = draw_products(8, seed + 40)
    return Material(
        documents={one.document_id: one.text() for one in products},
        questions=_facts(products, "train", ways=(0, 1, 2, 3)) + _facts(products, "seen", ways=(4, 5)),
        arms={"base": CLOSED, "lora": LORA, "rag_reader": READER},
        ranked_by="f1",
        closed_book_epochs=20,  # six hold three facts in five, and then the world is another one
    )


def tie(known: Known, seed: int) -> Material:
    """Two ways to read passages that differ in nothing but how many are shown; few questions, each right or wrong."""
    made = new_facts(known, seed + 50)
    asked = random.Random(seed).sample([row for row in made.questions if row["split"] == "new"], 30)
    return Material(
        documents=made.documents,
        questions=asked,
        arms={"base": CLOSED, "rag": RAG | {"passages": 2}, "rag_three": RAG | {"passages": 3}},
        ranked_by="contains",
    )


MATERIALS: dict[str, Callable[[Known, int], Material]] = {
    maker.__name__: maker
    for maker in (known_facts, new_facts, house_format, few_labels, distractors, half_of_each, same_questions, tie)
}
REAL_WORLDS = (
    RealWorld(
        "known_facts",
        "the base knows; documents and training are about something else",
        frozenset({"base"}),
        "known_facts",
    ),
    RealWorld("new_facts", "facts of documents nobody trained on", frozenset({"rag"}), "new_facts"),
    RealWorld("house_format", "a format, learnt from examples", frozenset({"lora"}), "house_format"),
    RealWorld("few_labels", "three labels, learnt from examples", frozenset({"lora"}), "few_labels"),
    RealWorld("distractors", "near-identical passages", frozenset({"rag_reader"}), "distractors"),
    RealWorld(
        "sensitive_documents",
        "the same, but nothing may be trained",
        frozenset({"rag"}),
        "distractors",
        ("decision.weights_may_hold_corpus=false", "evaluation.ranked_by=contains"),
    ),
    RealWorld(
        "needed_now",
        "the same, but the first answer must come before a training ends",
        frozenset({"rag"}),
        "distractors",
        ("decision.max_build_hours=0.005", "evaluation.ranked_by=contains"),
    ),
    RealWorld("half_of_each", "half format, half facts", frozenset({"routed"}), "half_of_each"),
    RealWorld(
        "fast_changing",
        "few facts that change all the time",
        frozenset({"rag_reader"}),
        "same_questions",
        ("decision.updates_per_month=3000", "evaluation.margin=0.1"),
    ),
    RealWorld(
        "volume",
        "few facts that never change, ten million questions a month",
        frozenset({"lora"}),
        "same_questions",
        ("decision.questions_per_month=10000000", "evaluation.margin=0.1"),
    ),
    RealWorld(
        "sources_needed",
        "the same, but answers must show their passages",
        frozenset({"rag_reader"}),
        "same_questions",
        ("decision.questions_per_month=10000000", "evaluation.margin=0.1", "decision.sources_needed=true"),
    ),
    RealWorld("tie", "two or three passages, thirty questions", frozenset({UNDECIDED}), "tie"),
)


def write_experiment(material: Material, folder: Path, *, name: str, generator: str, embedder: str, seed: int) -> Path:
    """Write documents, questions and config into `folder`; return the config's path."""
    (folder / "corpus").mkdir(parents=True, exist_ok=True)
    for document_id, text in material.documents.items():
        (folder / "corpus" / document_id).write_text(text, encoding="utf-8")
    lines = "".join(json.dumps(row) + "\n" for row in material.questions)
    (folder / "questions.jsonl").write_text(lines, encoding="utf-8")
    closed_book = {"examples": "closed_book", "recipe": {"epochs": material.closed_book_epochs, "keep": "last"}}
    adapters = {"closed_book": closed_book, "reader": READER_ADAPTER}
    used = {arm["adapter"] for arm in material.arms.values() if "adapter" in arm}
    config = {
        "name": name,
        "seed": seed,
        "corpus": {"path": str(folder / "corpus")},
        "questions": {"path": str(folder / "questions.jsonl")},
        "models": {"generator": generator, "embedder": embedder},
        "retrieval": {"method": {"kind": "fusion"}, "depth": 6, "passages": 3},
        "generation": {"max_new_tokens": 20, "stop_at_newline": True},
        "training": {"evaluations": 1, "adapters": {key: adapters[key] for key in sorted(used)}},
        "gates": {"enabled": False},
        "evaluation": {"ranked_by": material.ranked_by, "margin": 0.05},
        "arms": material.arms,
    }
    path = folder / "config.yaml"
    path.write_text(json.dumps(config, indent=1), encoding="utf-8")  # JSON is YAML
    return path


def _facts(products: Sequence[Product], split: str, *, ways: Sequence[int]) -> Rows:
    return [one.asked(name, way, split=split) for one in products for name in one.facts for way in ways]


def _task(rows: Rows, seed: int, *, n_train: int) -> Material:
    """A task that its own examples teach, beside documents that do not hold it."""
    products = draw_products(24, seed + 60)
    return Material(
        documents={one.document_id: one.text() for one in products},
        questions=[row | {"split": "train" if place < n_train else "new"} for place, row in enumerate(rows)],
        arms={"base": CLOSED, "rag": RAG, "lora": LORA},
        ranked_by="exact_match",
    )
