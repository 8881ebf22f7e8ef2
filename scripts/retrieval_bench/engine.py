"""What a library under test has to do, and the texts all of them get. Standard library only: the peers run it too."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Task:
    """One measurement of one engine in a process of its own; crosses to it as JSON."""

    engine: str  # "ours" | "txtai" | "llamaindex"
    setting: str  # "default"; else for peers a batch size, for ours an embedder's backend
    folder: str  # the BEIR folder
    model: str  # a folder with a sentence-transformers model; ours: also a model's name
    store: str  # an empty folder for what the engine keeps
    split: str = "test"  # of the judgments
    k: int = 10  # hits asked for while the clock runs
    depth: int = 100  # documents ranked for quality; 0: not ranked
    rounds: int = 2  # how often all questions are asked while the clock runs; 0: not timed
    reranker: str = ""  # ours: also rank by this model; "": do not
    export: str = ""  # ours: file to write for `reference.py`; "": do not


class Engine(Protocol):
    """One library. Methods are called in this order, `search` many times; imports belong into `load`."""

    @property
    def ranked(self) -> Sequence[str]:
        """Methods whose quality is measured: "dense", "lexical", "hybrid", "documents", "reranked"."""

    @property
    def timed(self) -> Sequence[str]:
        """Methods that run alone, so that their clock means something."""

    def load(self, task: Task) -> None:
        """Import the library and load the model, up to a first embedding."""

    def ingest(self, folder: Path, store: Path) -> int:
        """Read the files, index them, persist everything below `store`; return how many vectors there are."""

    def open(self, store: Path) -> None:
        """Open again what lies below `store`, as a new process would."""

    def prepare(self, questions: Sequence[str]) -> None:
        """Compute ahead what some of `timed` are given."""

    def search(self, method: str, question: str, k: int) -> list[str]:
        """Return the document ids of at most `k` hits, best first; a document may come twice. The texts are loaded."""

    def versions(self) -> dict[str, str]:
        """Return the versions and settings that decide the numbers."""


def read_texts(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield (id, text) of each document that says something: title, new line, text, which is what ours indexes too."""
    with (folder / "corpus.jsonl").open(encoding="utf-8") as stream:
        for line in stream:
            row = json.loads(line)
            title = " ".join((row.get("title") or "").split())
            parts = [part for part in (title, row["text"]) if part.strip()]
            if parts:
                yield row["_id"], "\n".join(parts)


def read_questions(folder: Path) -> dict[str, str]:
    """Return the text of each query by its id."""
    with (folder / "queries.jsonl").open(encoding="utf-8") as stream:
        return {row["_id"]: row["text"].strip() for row in map(json.loads, stream)}
