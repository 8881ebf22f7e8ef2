"""Nearest neighbours inside one segment: the raw rows on disk, exact scores always, an approximate index where it pays.

`vectors.npy` holds the float32 rows, memory-mapped: aligned and a plain numpy view, which FAISS's own flat file is not
(its rows start at byte 45). `candidates.faiss`, when there is one, only proposes rows. Every score returned is computed
from the raw rows in one fixed order, so it depends on the two vectors alone: not on segment, index, batch or BLAS.
Files reach this module after the caller has checked their SHA-256; nothing here writes to a finished segment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from workbench.config import IndexConfig
from workbench.errors import StaleIndexError
from workbench.knowledge.candidates import build_candidates, explain_exact, plan_survey
from workbench.knowledge.proposals import IndexChoice, make_parameters, open_candidates, propose, worth_proposing
from workbench.knowledge.raw_vectors import open_raw, score_exactly, score_roughly, write_raw
from workbench.types import Bool, Float32, Int64

__all__ = ["IndexChoice", "VectorSegment", "write_vectors"]

ROUNDING = 2.0**-24  # half a unit in the last place of a float32 of 1
CANDIDATES_FILE = "candidates.faiss"
VECTORS_FILE = "vectors.npy"


def write_vectors(
    folder: Path, blocks: Callable[[], Iterator[Float32]], n: int, dimension: int, config: IndexConfig
) -> IndexChoice:
    """Write the vector files of a segment into `folder` and return what was chosen, measured and why.

    Args:
        blocks: yields the `n` rows in order, in blocks of shape (B, `dimension`); called once.

    Raises:
        ValueError: the blocks do not give `n` finite rows of that dimension.
        ConfigError: `config` asks for a combination that FAISS does not have.
        OSError: the disk is full, or refuses.

    Memory: the training sample, the codes and one block; the raw rows are streamed. Below `config.memory_gib`.
    """
    raw = folder / VECTORS_FILE
    why_exact = explain_exact(n, dimension, config)
    if why_exact is not None:
        largest_norm = write_raw(raw, blocks(), n, dimension)
        choice = IndexChoice("flat", "none", {}, None, why_exact)
    else:
        survey = plan_survey(n, dimension, config)
        largest_norm = write_raw(raw, survey.watch(blocks()), n, dimension)
        choice = build_candidates(raw, folder / CANDIDATES_FILE, survey, config)
    return replace(choice, parameters={**choice.parameters, "largest_norm": largest_norm})


class VectorSegment:
    """The vectors of one segment, read-only and safe to search from several threads: positions 0 to `n` - 1."""

    def __init__(self, folder: Path, choice: IndexChoice) -> None:
        """Map the files; nothing is read until it is searched.

        Raises:
            FileNotFoundError: a file is missing.
            ValueError: a file is not what `choice` says.
        """
        self._vectors = open_raw(folder / VECTORS_FILE)
        self._choice = choice
        self._index: Any = None
        if choice.kind != "flat":
            self._index = open_candidates(folder / CANDIDATES_FILE, self._vectors.shape)
            self._everywhere = make_parameters(choice.kind, choice.codes, choice.parameters)  # of a search with no mask
        self.n = len(self._vectors)
        # How far a float32 sum of D products is off at most, added in any order, for |query| = 1 (Higham 2002, 3.1).
        self._slack = 1.01 * self._vectors.shape[1] * ROUNDING * choice.parameters["largest_norm"]

    def vectors(self) -> Float32:
        """Return the rows, shape (n, D), memory-mapped and read-only."""
        return self._vectors

    def search(self, query: Float32, *, k: int, allowed: Bool | None = None) -> tuple[Int64, Float32]:
        """Return positions and inner products with `query`, shape (D,), best first, equal scores in order of position.

        Never a row that `allowed`, shape (n,), denies. Fewer than `k` only if fewer are allowed; more if further rows
        tie with the k-th. Exact but for which rows an approximate index proposes: see `IndexChoice.recall`.

        Raises:
            StaleIndexError: the query's dimension is not the segment's, so they come from different embedders.
            ValueError: `k` is below 1, the mask has another length, or the query is not finite.
        """
        query = self._check(query, k, allowed)
        count = self.n if allowed is None else int(np.count_nonzero(allowed))
        if count == 0:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        found = self._search_candidates(query, min(k, count), allowed, count)
        return self._search_all(query, min(k, count), allowed, count) if found is None else found

    def _check(self, query: Float32, k: int, allowed: Bool | None) -> Float32:
        wanted = self._vectors.shape[1:]
        if query.shape != wanted:
            raise StaleIndexError(
                f"the question's vector has shape {query.shape}, the collection's have {wanted}; "
                "ask with the collection's embedder, or give it yours: workbench reembed FOLDER EMBEDDER"
            )
        if k < 1:
            raise ValueError(f"k is {k}, must be at least 1")
        if allowed is not None and allowed.shape != (self.n,):
            raise ValueError(f"the mask has shape {allowed.shape}, the segment {self.n} rows")
        query = np.ascontiguousarray(query, dtype=np.float32)
        if not np.isfinite(query).all():
            raise ValueError("the question's vector holds values that are not finite")
        return query

    def _search_all(self, query: Float32, k: int, allowed: Bool | None, count: int) -> tuple[Int64, Float32]:
        """Score every allowed row. Half the rows scored one by one cost as much as all of them in one product."""
        if allowed is not None and count <= self.n // 2:
            rows = np.flatnonzero(allowed)
            return self._settle(query, k, rows, score_roughly(self._vectors, rows, query))
        scores: Float32 = self._vectors @ query  # (n,)
        if allowed is not None:
            scores[~allowed] = -np.inf
        return self._settle(query, k, None, scores)

    def _search_candidates(
        self, query: Float32, k: int, allowed: Bool | None, count: int
    ) -> tuple[Int64, Float32] | None:
        """Score what the index proposes; None where scoring all allowed rows is cheaper or the only sure way."""
        limit = int(k * self._choice.parameters.get("overfetch", 1))
        if self._index is None or not worth_proposing(self._choice, count, self.n):
            return None
        search = self._everywhere
        if allowed is not None:
            kind, codes, parameters = self._choice.kind, self._choice.codes, self._choice.parameters
            search = make_parameters(kind, codes, parameters, share=count / self.n, allowed=allowed)
        while limit <= count // 4:
            rows, guesses = propose(self._index, search, query, limit=limit, allowed=allowed)
            if len(rows) < k:  # the lists it looked into hold too few that are allowed
                return None
            found, scores = self._settle(query, k, rows, score_roughly(self._vectors, rows, query))
            ties = found[scores == scores[k - 1]]
            if self._choice.kind == "hnsw" and len(ties) > 1:  # a walk can miss some of many equal rows, however long
                return None
            tied = guesses[np.searchsorted(rows, ties)]
            if len(rows) < limit or tied.min() > guesses.min() + self._margin(query):
                return found, scores
            limit *= 4  # rows that tie with the k-th may have been cut off: identical texts have identical codes
        return None

    def _settle(self, query: Float32, k: int, rows: Int64 | None, rough: Float32) -> tuple[Int64, Float32]:
        """Return the `k` best of `rows` (ascending; None: all) and their ties, decided on exact scores.

        `rough` are their float32 scores, so all that may belong to the best lie within twice the rounding of the k-th.
        """
        kth = np.partition(rough, len(rough) - k)[len(rough) - k]
        near = np.flatnonzero(rough >= kth - 2 * self._margin(query))
        rows = near if rows is None else rows[near]
        scores = score_exactly(self._vectors, rows, query)
        order = np.argsort(-scores, kind="stable")
        order = order[: int(np.count_nonzero(scores >= scores[order[k - 1]]))]
        return rows[order], scores[order]

    def _margin(self, query: Float32) -> float:
        return float(self._slack * np.linalg.norm(query))
