"""The raw rows of a segment: writing them in a stream, drawing samples on the way, mapping them, scoring them.

Not an index: nothing here is approximate but `score_roughly`, whose float32 rounding has a known bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from workbench.types import Float32, Int64

FAISS: Any = faiss  # the package; its type stubs lack half of it
EXACT_ROWS = 20_000  # so few rows are scored one by one, in 4 ms of one core, as soon as an index narrows them down
BLOCK_ROWS = 16_384  # rows read back at a time while an index is built
SCORE_ROWS = 4_096  # rows scored exactly at a time
SEED = 20_240_229


@dataclass(frozen=True, slots=True)
class Survey:
    """Rows drawn while the vectors pass by: some to tune on, others to train on, filled by `watch`."""

    query_rows: Int64  # (Q,), ascending
    queries: Float32  # (Q, D)
    training_rows: Int64  # (T,), ascending, none of them a query
    training: Float32  # (T, D)

    def watch(self, blocks: Iterable[Float32]) -> Iterator[Float32]:
        """Yield `blocks` unchanged, keeping the drawn rows."""
        start = 0
        for block in blocks:
            for rows, kept in ((self.query_rows, self.queries), (self.training_rows, self.training)):
                first, last = np.searchsorted(rows, (start, start + len(block)))
                kept[first:last] = block[rows[first:last] - start]
            start += len(block)
            yield block


def survey_vectors(n: int, dimension: int, *, n_queries: int, n_training: int) -> Survey:
    """Return an empty survey: which of `n` rows to keep, drawn with a fixed seed; `n_training` at most."""
    drawn = np.random.default_rng(SEED).permutation(n)[: n_queries + n_training]
    query_rows, training_rows = np.sort(drawn[:n_queries]), np.sort(drawn[n_queries:])
    queries = np.empty((len(query_rows), dimension), np.float32)
    return Survey(query_rows, queries, training_rows, np.empty((len(training_rows), dimension), np.float32))


def write_raw(path: Path, blocks: Iterable[Float32], n: int, dimension: int) -> float:
    """Write `n` rows as a .npy file and return the largest norm among them.

    Written through a stream, not a memory map: a full disk is then an OSError, not a bus error.

    Raises:
        ValueError: the blocks do not give `n` finite rows of that dimension.
    """
    written, largest = 0, 0.0
    with path.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": (n, dimension)})
        for block in blocks:
            if block.ndim != 2 or block.shape[1] != dimension:
                raise ValueError(f"a block of vectors has shape {block.shape}, wanted are {dimension} columns")
            norms = np.sqrt(np.einsum("nd,nd->n", block, block, dtype=np.float64))  # (B,)
            if not np.isfinite(norms).all():
                raise ValueError(f"a vector among rows {written} to {written + len(block)} is not finite")
            largest = max(largest, float(norms.max(initial=0.0)))
            stream.write(np.ascontiguousarray(block, dtype="<f4").data)
            written += len(block)
    if written != n:
        raise ValueError(f"{written} vectors came, {n} were announced")
    return largest


def open_raw(path: Path) -> Float32:
    """Map a file written by `write_raw`: shape (n, D), read-only.

    Raises:
        ValueError: it is not a float32 matrix.
    """
    mapped = np.load(path, mmap_mode="r")
    if mapped.dtype != np.float32 or mapped.ndim != 2:
        raise ValueError(f"{path.name} holds {mapped.dtype} of shape {mapped.shape}, not a float32 matrix")
    return np.asarray(mapped)  # the view without np.memmap's cost at every slice


def read_blocks(path: Path) -> Iterator[Float32]:
    """Yield the rows of a file written by `write_raw`, copied: a mapping would count as this process's memory."""
    n, dimension = open_raw(path).shape
    with path.open("rb") as stream:
        stream.seek(-4 * n * dimension, 2)
        for start in range(0, n, BLOCK_ROWS):
            shape = (min(BLOCK_ROWS, n - start), dimension)
            yield np.fromfile(stream, dtype=np.float32, count=shape[0] * shape[1]).reshape(shape)


def score_exactly(vectors: Float32, rows: Int64, query: Float32) -> Float32:
    """Return the inner products of `vectors[rows]` with `query`, shape (len(rows),).

    Products of two float32 are exact in float64; numpy's pairwise sum adds them in an order that depends on D alone.
    The float32 nearest to that sum is the same in every batch, on every machine.
    """
    wide = query.astype(np.float64)
    scores = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), SCORE_ROWS):
        part = slice(start, start + SCORE_ROWS)
        scores[part] = np.add.reduce(vectors[rows[part]].astype(np.float64) * wide, axis=1)
    return scores


def score_roughly(vectors: Float32, rows: Int64, queries: Float32) -> Float32:
    """Return float32 inner products, shaped as `rows`: (M,) for a query (D,), (Q, M) for queries (Q, D).

    FAISS reads the rows where they lie: no copy. A row of -1 scores -inf. Rows must exist: they are not checked.
    """
    rows = np.ascontiguousarray(rows)
    scores = np.empty(rows.shape, np.float32)
    n_queries = len(queries) if queries.ndim == 2 else 1
    n_threads = FAISS.omp_get_max_threads()
    if n_queries == 1:  # it would wake all threads for one query's work, and wait for them: 6 ms on a loaded machine
        FAISS.omp_set_num_threads(1)
    pointers = (FAISS.swig_ptr(part) for part in (scores, queries, vectors, rows))
    FAISS.fvec_inner_products_by_idx(*pointers, vectors.shape[1], n_queries, rows.shape[-1])
    FAISS.omp_set_num_threads(n_threads)  # a setting of the calling thread alone
    return scores
