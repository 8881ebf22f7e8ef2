"""What a search looks at and what it finds."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.filters import Filter
from workbench.types.documents import Chunk


@dataclass(frozen=True, slots=True)
class EmbedderIdentity:
    """All that decides whether two vectors may be compared. A collection is stamped with it."""

    name: str
    fingerprint: str  # SHA-256 over the model's files, in hex
    dimension: int
    max_tokens: int  # special tokens included
    pooling: str
    normalised: bool
    question_prompt: str = ""
    document_prompt: str = ""
    backend: str = "torch-float32"  # what computed the vectors, and in which precision


@dataclass(frozen=True, slots=True)
class Scope:
    """Which documents a search may see at all: handed into the search, never applied to its results."""

    filter: Filter | None = None  # on metadata; None: all documents
    principals: frozenset[str] | None = None  # who asks; None: the owner of the collection, who sees everything


EVERYTHING = Scope()


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk found, with the score of the retriever that ranked it last (higher is better)."""

    chunk: Chunk
    score: float


Ranking = tuple[Hit, ...]  # best first; no chunk twice; equal scores in order of chunk id


@dataclass(frozen=True, slots=True)
class Found:
    """What retrieval has for a question, and whether it is enough to answer from."""

    ranking: Ranking  # the nearest evidence, also where it is not enough
    best_score: float | None  # of the best hit after the last step that scores; None: nothing found
    answerable: bool  # False: a threshold is set, and `best_score` is below it or there is none
