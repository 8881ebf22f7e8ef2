"""The brute-force oracle: what a collection of known documents must hold and answer, computed without any of its code.

Shared with it are only the fakes' embedder and chunker, and which words a text has.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np

from tests.knowledge.fakes import IDENTITY, cut_paragraphs, embed_text
from workbench.errors import WorkbenchError
from workbench.knowledge import Collection, FileMark
from workbench.knowledge.analysis import find_words
from workbench.types import Chunk, Document, EmbedderIdentity, Float32

QUESTIONS = ("brass lamp", "tin", "one lens of glass lamp")
TOLERANCE = 1e-5
Scores = dict[str, float]


@dataclass(frozen=True)
class World:
    """One legal state: the documents and files there are, and the embedder that is active."""

    documents: Mapping[str, Document]
    files: Mapping[str, FileMark] = field(default_factory=dict)
    identity: EmbedderIdentity = IDENTITY
    embed: Callable[[str], Float32] = embed_text

    @cached_property
    def chunks(self) -> list[Chunk]:
        """All chunks in order of id."""
        return sorted(cut_paragraphs(list(self.documents.values())), key=lambda chunk: chunk.id)

    @cached_property
    def vectors(self) -> Float32:
        """Their vectors, shape (N, D)."""
        rows = [self.embed(chunk.indexed_text) for chunk in self.chunks]
        return np.array(rows, dtype=np.float32).reshape(-1, self.identity.dimension)

    @cached_property
    def neighbours(self) -> dict[str, list[Chunk]]:
        """Each chunk with the one before it and the one after it, where its document has them."""
        around = {}
        for document in self.documents.values():
            own = sorted(cut_paragraphs([document]), key=lambda chunk: chunk.start)
            around.update({chunk.id: own[max(0, place - 1) : place + 2] for place, chunk in enumerate(own)})
        return around

    @cached_property
    def answers(self) -> dict[str, tuple[Scores, Scores]]:
        """Dense and word scores of every chunk that has one, by question."""
        found = {}
        for question in QUESTIONS:
            dense = [math.fsum(row) for row in self.vectors.astype(np.float64) * self.embed(question)]
            by_id = dict(zip((chunk.id for chunk in self.chunks), dense, strict=True))
            found[question] = by_id, score_words(self.chunks, question)
        return found


def score_words(chunks: Sequence[Chunk], question: str) -> Scores:
    """BM25 (k1 1.2, b 0.75) over `chunks` and nothing else; chunks without a word of the question are left out."""
    counts = {chunk.id: Counter(find_words(chunk.indexed_text)) for chunk in chunks}
    mean = sum(count.total() for count in counts.values()) / max(len(counts), 1)
    scores = dict.fromkeys(counts, 0.0)
    for word in find_words(question):
        n_with = sum(word in count for count in counts.values())
        idf = math.log(1 + (len(counts) - n_with + 0.5) / (n_with + 0.5))
        for id_, count in counts.items():
            scores[id_] += idf * count[word] / (count[word] + 1.2 * (0.25 + 0.75 * count.total() / mean))
    return {id_: score for id_, score in scores.items() if score > 0}


Checks = dict[str, Callable[[], bool]]


def list_checks(collection: Collection, world: World) -> Checks:
    """Return what has to be true of a collection that is `world`, by name; each may be refused with a typed error."""
    ids = [chunk.id for chunk in world.chunks]
    k = len(ids) + 5
    checks: Checks = {
        "embedder": lambda: collection.identity == world.identity,
        "documents": lambda: [facts.id for facts in collection.documents()] == sorted(world.documents),
        "texts": lambda: all(collection.document(id_) == one for id_, one in world.documents.items()),
        "files": lambda: collection.file_marks() == world.files,
        "chunks": lambda: collection.all_chunks() == world.chunks and collection.n_chunks == len(ids),
        "neighbours": lambda: all(
            collection.neighbours(id_, before=1, after=1) == wanted for id_, wanted in world.neighbours.items()
        ),
        "vectors": lambda: np.array_equal(collection.vectors_of(ids), world.vectors),
    }
    for question, (dense, words) in world.answers.items():
        vector = world.embed(question)
        checks[f"dense search for {question!r}"] = partial(
            lambda vector, wanted: agree(collection.search_vectors(vector, k=k), wanted), vector, dense
        )
        checks[f"word search for {question!r}"] = partial(
            lambda asked, wanted: agree(collection.search_words(asked, k=k), wanted), question, words
        )
    return checks


def find_faults(collection: Collection, world: World) -> list[str]:
    """Return how a collection differs from `world`: in what it holds, and in what it answers."""
    return [name for name, check in list_checks(collection, world).items() if not check()]


def agree(found: Sequence[tuple[str, float]], wanted: Scores) -> bool:
    """Say whether a search found all it should, nothing else, with the right scores, in the right order."""
    return (
        len(found) == len(wanted)
        and all(id_ in wanted and abs(score - wanted[id_]) <= TOLERANCE for id_, score in found)
        and list(found) == sorted(found, key=lambda one: (-one[1], one[0]))
    )


def match_world(collection: Collection, worlds: Sequence[World]) -> int | str:
    """Return the number of the world that a collection is, or what differs from each."""
    differences = []
    for number, world in enumerate(worlds):
        try:
            faults = find_faults(collection, world)
        except (WorkbenchError, KeyError) as error:
            faults = [f"{type(error).__name__}: {error}"]
        if not faults:
            return number
        differences.append(f"[{number}] {', '.join(faults[:3])}")
    return f"no legal state: {'; '.join(differences)}"
