"""Segments: immutable folders with the vector and word indexes of some chunk rows, and which of them are merged when.

A segment is a cache of what SQLite holds. Its state row names its files with their SHA-256; a file that is missing,
added or altered makes the segment unusable, and it is built again from the rows. Rows that were deleted since it was
written are masked (see `masks.py`); no file is changed in place.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np

from workbench.config import IndexConfig
from workbench.knowledge.records import BLOCK_ROWS, Records
from workbench.knowledge.schema import SegmentRecord
from workbench.knowledge.vectors import IndexChoice, VectorSegment, write_vectors
from workbench.knowledge.words import WordSegment, merge_words, write_words
from workbench.runs import fingerprint_file, new_folder
from workbench.types import Bool, Float32, Int64

ROWS = "rows.npy"
FLAT = IndexConfig(kind="flat")  # how small and young segments are indexed
SMALL_ROWS = 2_048  # segments below this are merged into whatever comes after them
LARGE_ROWS = 65_536  # segments above this are merged only when an update ends
REBUILD_SHARE = 0.25  # of the base: rows outside it and deleted ones, from which on all is written anew
PARALLEL_BYTES = 64 * 2**20  # files above this are hashed by two threads


class UnusableSegmentError(ValueError):
    """A segment is missing or damaged. It never reaches the user: the collection builds it again."""


@dataclass(frozen=True, slots=True)
class Segment:
    """An open segment; its files stay readable to this object even when the folder is removed."""

    record: SegmentRecord
    rows: Int64  # shape (n,), ascending: the chunk row at each position
    vectors: VectorSegment
    words: WordSegment


class Kept(NamedTuple):
    """A segment and which of its positions go into a merge; None: all."""

    segment: Segment
    alive: Bool | None


class Weight(NamedTuple):
    """What decides about merging a segment."""

    n: int  # positions
    n_alive: int
    is_base: bool  # indexed as the collection asks for now


def open_segment(folder: Path, record: SegmentRecord) -> Segment:
    """Check every file of a segment below `folder` and open it.

    Raises:
        UnusableSegmentError: it is not there, or not what was written.
    """
    place = folder / record.name
    try:
        if _hash_files(place) != dict(record.files):
            raise UnusableSegmentError(f"{record.name}: files are not those that were written")
        return _open_files(place, record)
    except FileNotFoundError as error:
        raise UnusableSegmentError(f"{record.name}: missing") from error
    except (OSError, ValueError) as error:
        raise UnusableSegmentError(f"{record.name}: {error}") from error


def build_segment(folder: Path, store: Records, edition: int, span: tuple[int, int], config: IndexConfig) -> Segment:
    """Write a segment of the rows that the database holds from the first to the last of `span`; open it.

    Raises:
        OSError: the disk is full or failing; nothing is left behind.
        DamagedCollectionError: a row, or the vector of one, is altered or lost.
    """
    dimension = store.edition(edition).identity.dimension

    def write(place: Path) -> tuple[Int64, IndexChoice]:
        query = "SELECT row FROM chunks WHERE edition = ? AND row BETWEEN ? AND ? ORDER BY row"
        rows = np.fromiter((row for (row,) in store.rows(query, (edition, *span))), dtype=np.int64)

        def blocks() -> Iterator[Float32]:
            return store.vector_blocks(edition, *span, dimension)

        choice = write_vectors(place, blocks, len(rows), dimension, config)
        write_words(place, (chunk.indexed_text for chunk in store.chunks_of_rows(edition, *span)))
        return rows, choice

    return _write(folder, config, write)


def merge_segments(folder: Path, parts: Sequence[Kept], dimension: int, config: IndexConfig) -> Segment:
    """Write one segment below `folder` of what is kept of `parts`, which are in order of row, and open it.

    Raises:
        OSError: the disk is full or failing; nothing is left behind.
    """

    def write(place: Path) -> tuple[Int64, IndexChoice]:
        rows = np.concatenate([_keep(part.segment.rows, part.alive) for part in parts])
        choice = write_vectors(place, lambda: _vector_blocks(parts), len(rows), dimension, config)
        merge_words(place, [(part.segment.words, part.alive) for part in parts])
        return rows, choice

    return _write(folder, config, write)


def remove_other_segments(folder: Path, names: Collection[str]) -> None:
    """Delete all segments but `names`, and what killed writers left behind; the caller holds the writer lock."""
    if not folder.exists():
        return
    for path in folder.iterdir():
        if path.name not in names:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def plan_merge(weights: Sequence[Weight], *, settle: bool) -> tuple[int, bool]:
    """Return how many segments, counted from the newest, become one, and whether that one is the new base.

    Young segments are merged as in a counter, so that their number stays logarithmic. When an update ends (`settle`),
    all are rewritten if the base has another index than asked for, or if what lies outside it or was deleted is more
    than `REBUILD_SHARE` of it.

    Args:
        weights: of all segments, oldest first.
        settle: whether the update ends here.
    """
    base = weights[0] if weights and weights[0].is_base else Weight(0, 0, False)
    if settle:
        outside = sum(weight.n for weight in weights) - base.n_alive
        if outside > REBUILD_SHARE * base.n:
            return len(weights), True
    n_young = len(weights) - base.is_base
    n_merged, n_rows = 0, 0
    for weight in reversed(weights[len(weights) - n_young :]):
        if n_merged and weight.n_alive > max(SMALL_ROWS, 2 * n_rows):
            break
        if n_merged and weight.n_alive > LARGE_ROWS and not settle:
            break
        n_merged, n_rows = n_merged + 1, n_rows + weight.n_alive
    return (n_merged, False) if n_merged > 1 else (0, False)


def _write(folder: Path, config: IndexConfig, write: Callable[[Path], tuple[Int64, IndexChoice]]) -> Segment:
    name = secrets.token_hex(8)  # never a name that another segment had: readers may still be opening that one
    with new_folder(folder / name) as temporary:
        rows, choice = write(temporary)
        content = BytesIO()
        np.save(content, rows)
        (temporary / ROWS).write_bytes(content.getbuffer())  # numpy itself is silent when the disk takes only a part
        files = _hash_files(temporary)
    wanted, chosen = config.model_dump(mode="json"), asdict(choice)
    first, last = (int(rows[0]), int(rows[-1])) if len(rows) else (0, 0)
    return _open_files(folder / name, SegmentRecord(name, first, last, len(rows), wanted, chosen, files))


def _open_files(place: Path, record: SegmentRecord) -> Segment:
    rows = np.load(place / ROWS, mmap_mode="r")
    segment = Segment(record, rows, VectorSegment(place, IndexChoice(**record.choice)), WordSegment(place))
    if {len(rows), segment.vectors.n, segment.words.n} != {record.n}:
        found = (len(rows), segment.vectors.n, segment.words.n)
        raise UnusableSegmentError(f"{record.name}: holds {found} rows, vectors and texts, recorded are {record.n}")
    return segment


def _hash_files(place: Path) -> Mapping[str, str]:
    paths = sorted(place.iterdir())
    if sum(path.stat().st_size for path in paths) < PARALLEL_BYTES:
        return {path.name: fingerprint_file(path) for path in paths}
    with ThreadPoolExecutor(2) as pool:
        return dict(zip((path.name for path in paths), pool.map(fingerprint_file, paths), strict=True))


def _keep(values: Int64, alive: Bool | None) -> Int64:
    return np.asarray(values) if alive is None else values[alive]


def _vector_blocks(parts: Iterable[Kept]) -> Iterator[Float32]:
    """Yield the kept vectors of all parts in order, in blocks of shape (B, D)."""
    for segment, alive in parts:
        vectors = segment.vectors.vectors()
        for start in range(0, segment.record.n, BLOCK_ROWS):
            block = vectors[start : start + BLOCK_ROWS]
            if alive is not None:
                block = block[alive[start : start + BLOCK_ROWS]]
            if len(block):
                yield block
