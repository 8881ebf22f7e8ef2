"""Chunk ids with scores: what retrieval passes on until it is known whose text is needed. Chunks come last, once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from workbench.contracts import ChunkStore
from workbench.types import EVERYTHING, Hit, Ranking, Scope

Scored = list[tuple[str, float]]  # (chunk id, score), best first; no id twice; equal scores in order of id


class Part(Protocol):
    """A retriever that can be fused: it also ranks by id alone."""

    def rank(self, question: str, *, k: int, scope: Scope = EVERYTHING) -> Scored:
        """Return at most `k` chunk ids in `scope` with their scores; nothing found is an empty list."""


def take_best(scores: Mapping[str, float], k: int) -> Scored:
    """Return the `k` best of `scores`, equal ones in order of chunk id."""
    return sorted(scores.items(), key=lambda one: (-one[1], one[0]))[:k]


def fetch(store: ChunkStore, scored: Scored) -> Ranking:
    """Return the hits behind `scored`, in its order."""
    chunks = store.chunks([id_ for id_, _ in scored])
    return tuple(Hit(chunk, score) for chunk, (_, score) in zip(chunks, scored, strict=True))
