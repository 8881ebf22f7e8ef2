"""Exact nearest neighbours: one flat FAISS index over the unit vectors of all chunks, in order of chunk id.

A cache of what SQLite holds: built whole, written once, never changed. Only bytes whose SHA-256 the database
vouches for reach FAISS, whose reader trusts the sizes a file names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import faiss
import numpy as np

from workbench.errors import StaleIndexError
from workbench.knowledge.ties import Scored, take_best
from workbench.runs import write_atomically
from workbench.types import Float32


def write_vectors(path: Path, vectors: Float32) -> str:
    """Write a flat inner-product index of `vectors`, shape (N, D), and return the SHA-256 (hex) of the file.

    Memory: the vectors twice more, since FAISS serialises into memory.
    """
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    content = faiss.serialize_index(index).tobytes()
    write_atomically(path, content)
    return hashlib.sha256(content).hexdigest()


class VectorIndex:
    """An index read from its file, all in memory: N rows, one for each of `ids`, which are sorted."""

    def __init__(self, path: Path, sha256: str, ids: Sequence[str]) -> None:
        """Read and check the file.

        Raises:
            FileNotFoundError: there is none.
            ValueError: its SHA-256 or its row count is another than recorded.
        """
        content = path.read_bytes()
        found = hashlib.sha256(content).hexdigest()
        if found != sha256:
            raise ValueError(f"SHA-256 is {found[:12]}, recorded is {sha256[:12]}")
        self._index = faiss.deserialize_index(np.frombuffer(content, dtype=np.uint8))
        if self._index.ntotal != len(ids):
            raise ValueError(f"{self._index.ntotal} rows for {len(ids)} chunks")
        self._ids = ids

    def search(self, vector: Float32, *, k: int) -> Scored:
        """Return the `k` best chunk ids by inner product with `vector`, shape (D,); equal scores in order of id.

        Raises:
            StaleIndexError: the vector's dimension is not the index's, so they come from different embedders.
        """
        if vector.shape != (self._index.d,):
            raise StaleIndexError(
                f"the question's vector has shape {vector.shape}, the collection's have {(self._index.d,)}; "
                "ask with the embedder the collection was built with: workbench index CONFIG builds it anew"
            )
        query = np.ascontiguousarray(vector[None], dtype=np.float32)  # (1, D)

        def fetch(limit: int) -> Scored:
            scores, rows = self._index.search(query, limit)  # both (1, limit)
            return [(self._ids[row], float(score)) for row, score in zip(rows[0], scores[0], strict=True) if row >= 0]

        return take_best(fetch, k, len(self._ids))
