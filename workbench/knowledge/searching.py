"""Searching a view: every segment is asked with its mask, the answers are one list, and ties go in order of chunk id.

Scores are exact and do not depend on how rows lie in segments, so neither does the list.
"""

from __future__ import annotations

import numpy as np

from workbench.errors import StaleIndexError
from workbench.knowledge.records import Records
from workbench.knowledge.view import View
from workbench.knowledge.words import search_words
from workbench.types import Float32, Int64, Scope

Scored = list[tuple[str, float]]  # (chunk id, score), best first


def find_vectors(store: Records, view: View, vector: Float32, *, k: int, scope: Scope) -> Scored:
    """Return the `k` nearest chunk ids in `scope` to `vector`, shape (D,), by inner product.

    Raises:
        StaleIndexError: the vector's dimension is not the collection's, so they come from different embedders.
        ValueError: `k` is below 1.
    """
    check_k(k)
    identity = view.state.edition.identity
    if vector.shape != (identity.dimension,):
        folder = store.path.parent
        raise StaleIndexError(
            f"the question's vector has shape {vector.shape}, the collection's have {(identity.dimension,)}; ask with "
            f"its embedder, {identity.name!r}, or give it the question's: workbench reembed {folder} EMBEDDER"
        )
    rows, scores = [], []
    for segment, allowed in zip(view.segments, view.masks.of(scope), strict=True):
        positions, found = segment.vectors.search(vector, k=k, allowed=allowed)
        rows.append(segment.rows[positions])
        scores.append(found)
    if not rows:
        return []
    return _take_best(store, np.concatenate(rows), np.concatenate(scores), k)


def find_words(store: Records, view: View, question: str, *, k: int, scope: Scope) -> Scored:
    """Return the `k` best chunk ids in `scope` by BM25, its statistics those of the scope; may be empty.

    Raises:
        ValueError: `k` is below 1.
    """
    check_k(k)
    parts = [(segment.words, mask) for segment, mask in zip(view.segments, view.masks.of(scope), strict=True)]
    found = search_words(parts, question, k=k)
    rows = np.array([view.segments[part].rows[position] for part, position, _ in found], dtype=np.int64)
    return _take_best(store, rows, np.array([score for _, _, score in found], dtype=np.float32), k)


def check_k(k: int) -> None:
    """Refuse a `k` below 1 with a ValueError."""
    if k < 1:
        raise ValueError(f"k is {k}, must be at least 1")


def _take_best(store: Records, rows: Int64, scores: Float32, k: int) -> Scored:
    """Return the `k` best as ids; rows that tie with the k-th are all among `rows`."""
    if len(rows) > k:
        kept = scores >= np.partition(scores, len(scores) - k)[len(scores) - k]
        rows, scores = rows[kept], scores[kept]
    pairs = zip(store.ids_of_rows(rows.tolist()), scores.tolist(), strict=True)
    return sorted(pairs, key=lambda one: (-one[1], one[0]))[:k]
