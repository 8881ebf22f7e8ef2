"""The file of an approximate index and what is asked of it: which rows of a segment may be among the best.

It proposes and guesses; it never decides. Building and choosing one is `candidates.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from workbench.knowledge.raw_vectors import EXACT_ROWS, FAISS
from workbench.types import Bool, Float32, Int64

Kind = Literal["flat", "hnsw", "ivf"]
Codes = Literal["none", "sq8", "pq", "rabitq"]
HNSW_SHARE = 0.05  # where fewer are allowed, a walk meets so few of them that scoring them all is sooner done

# Process-wide in FAISS. Its reader trusts the sizes a file names; the hash was checked, this is the second bolt.
FAISS.set_deserialization_vector_byte_limit(2**38)


@dataclass(frozen=True, slots=True)
class IndexChoice:
    """What a segment's vectors are indexed by. JSON-able; `parameters` are what a search needs to know."""

    kind: Kind
    codes: Codes
    parameters: dict[str, int | float]
    recall: float | None  # recall@10 against exact search on rows of the segment; None: exact
    reason: str  # one sentence for people


def make_parameters(
    kind: Kind, codes: Codes, parameters: dict[str, int | float], *, share: float = 1.0, allowed: Bool | None = None
) -> Any:
    """Return FAISS's search parameters when `share` of the rows is allowed.

    The fewer are allowed, the further away the best of them lie, so the effort grows as the share falls: these powers
    kept recall at or above that of a search with no mask, with ivf at shares of 0.5 to 0.02 of 1,000,000 rows and with
    hnsw at 0.5 and 0.35 of 60,000.
    """
    further: dict[str, Any] = {}
    if allowed is not None:
        further["sel"] = FAISS.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))
    if kind == "hnsw":
        return FAISS.SearchParametersHNSW(efSearch=int(parameters["ef_search"] / share**0.75), **further)
    n_probe = min(int(parameters["nlist"]), int(parameters["nprobe"] / share**0.5))
    if codes == "rabitq":
        return FAISS.IVFRaBitQSearchParameters(nprobe=n_probe, qb=8, **further)  # 8 bits a dimension for the question
    return FAISS.SearchParametersIVF(nprobe=n_probe, **further)


def worth_proposing(choice: IndexChoice, count: int, n: int) -> bool:
    """Whether the index is asked at all when `count` of `n` rows are allowed."""
    return count > EXACT_ROWS and (choice.kind != "hnsw" or count >= HNSW_SHARE * n)


def write_index(path: Path, index: Any) -> None:
    """Write through a Python stream: `faiss.write_index` to a path says nothing when a full disk cuts the last block.

    Raises:
        OSError: the disk is full, or refuses.
    """
    with path.open("wb") as stream:
        FAISS.write_index(index, FAISS.PyCallbackIOWriter(stream.write))


def open_candidates(path: Path, shape: tuple[int, ...]) -> Any:
    """Map the index; its arrays stay on disk. (IO_FLAG_MMAP, the older flag, makes IVF three times slower.)

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is no index of `shape`, (n, D).
    """
    if not path.exists():
        raise FileNotFoundError(f"{path.name} is missing")
    try:
        index = FAISS.read_index(str(path), FAISS.IO_FLAG_MMAP_IFC)
    except RuntimeError as error:
        raise ValueError(f"{path.name} is no FAISS index: {error}") from error
    if (index.ntotal, index.d) != shape:
        raise ValueError(f"{path.name} holds {index.ntotal} vectors of {index.d} dimensions, the segment has {shape}")
    return index


def propose(index: Any, search: Any, query: Float32, *, limit: int, allowed: Bool | None) -> tuple[Int64, Float32]:
    """Return at most `limit` allowed rows, ascending, and the index's guesses of their scores.

    `search` are the parameters made for the same mask.
    """
    guesses, rows = index.search(query[None], limit, params=search)  # both (1, limit); row -1: nothing more
    keep = rows[0] >= 0
    if allowed is not None:
        keep &= allowed[rows[0]]  # FAISS has had indexes that forget the selector; a denied row must not pass twice
    rows, guesses = rows[0][keep], guesses[0][keep]
    order = np.argsort(rows)
    return rows[order], guesses[order]
