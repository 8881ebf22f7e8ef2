"""Is a collection what was written to it? Every row, every file of every segment, and a sample of searches.

Changes nothing, and works on a collection that cannot be opened. Beside a writer it judges the state that was newest
when it began. What can be mended is mended by `repair.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workbench.errors import DamagedCollectionError
from workbench.knowledge.analysis import hash_words
from workbench.knowledge.collection import DATABASE, SEGMENTS
from workbench.knowledge.editions import Pinned, pin_segments
from workbench.knowledge.inspection import Finding, Inspection, Part, Progress, drop_advice, inspect_rows
from workbench.knowledge.oracle import check_searches
from workbench.knowledge.records import Records
from workbench.knowledge.refusals import refuse_missing
from workbench.knowledge.schema import State
from workbench.knowledge.segments import Kept, Segment, UnusableSegmentError
from workbench.knowledge.view import View, build_view

BLOCK = 4_000_000  # postings looked at together


def verify_collection(folder: Path, *, n_searches: int = 20, on_progress: Progress | None = None) -> list[Finding]:
    """Return all that is wrong with the collection in `folder`; nothing is an empty list.

    Args:
        folder: where it lies.
        n_searches: seeded searches by vectors, and as many by words, that are compared with brute force.
        on_progress: called with rows read and rows there are.

    Raises:
        MissingCollectionError: there is none.
        CollectionVersionError: another version of this program made it; it is not damaged.
        BusyError, PermissionError, OSError: the files cannot be read now; that says nothing about them.
    """
    if not (folder / DATABASE).exists():
        raise refuse_missing(folder / DATABASE)
    try:
        store = Records(folder / DATABASE)
    except DamagedCollectionError as error:
        return [Finding(Part.FILE, DATABASE, f"cannot be opened: {drop_advice(error)}")]
    with closing(store):
        return inspect_collection(store, folder / SEGMENTS, n_searches, on_progress).findings


def inspect_collection(store: Records, folder: Path, n_searches: int, on_progress: Progress | None) -> Inspection:
    """Inspect the rows of the newest state, and the segments below `folder`; as `verify_collection`."""
    pinned = pin_segments(store, folder)
    found = inspect_rows(store, on_progress)
    if store.lapse:
        found.note(Part.COMMIT, f"of {store.path.name}", f"is not the last: it {store.lapse}")
    for one in pinned if found.whole else ():
        edition = found.editions[one.edition.number]
        before = len(found.findings)
        for name, why in one.faults.items():
            found.note(Part.SEGMENT, name, f"is unusable: {why}")
        # Otherwise what segments are compared with is not sound itself.
        if not one.faults and edition.rows_sound and found.documents_sound:
            _inspect_segments(store, found, one, n_searches)
        edition.segments_sound = len(found.findings) == before
    return found


def _inspect_segments(store: Records, found: Inspection, pinned: Pinned, n_searches: int) -> None:
    """Note what is wrong with the open segments of an edition, and with searches over them."""
    number = pinned.edition.number
    ledgers = store.scan_documents(), store.scan_chunks(number)
    try:
        view = build_view(store, State(found.active or number, pinned.edition, b""), *ledgers, pinned.segments)
    except UnusableSegmentError as error:
        found.note(Part.SEGMENT, f"of edition {number}", f"is unusable: {error}")
        return
    before = len(found.findings)
    for kept in view.kept:
        for fault in (*_compare_vectors(store, view, kept), *_compare_words(store, view, kept)):
            found.note(Part.SEGMENT, kept.segment.record.name, fault)
    if len(found.findings) == before:
        for fault in check_searches(store, view, n_searches):
            found.note(Part.SEARCH, f"in edition {number}", fault)


def _compare_vectors(store: Records, view: View, kept: Kept) -> Iterator[str]:
    segment, edition = kept.segment, view.state.edition
    alive = _positions(kept)
    vectors, start = segment.vectors.vectors(), 0
    for block in store.vector_blocks(edition.number, segment.record.first, segment.record.last, vectors.shape[1]):
        if not np.array_equal(vectors[alive[start : start + len(block)]], block):
            yield "holds other vectors than the database"
            return
        start += len(block)


def _compare_words(store: Records, view: View, kept: Kept) -> Iterator[str]:
    """Compare, chunk by chunk, the number of words and the sum of their hashes with those of the text."""
    segment = kept.segment
    lengths, sums = np.zeros(segment.record.n, np.int64), np.zeros(segment.record.n, np.uint64)
    chunks = store.chunks_of_rows(view.state.edition.number, segment.record.first, segment.record.last)
    alive = _positions(kept)
    for position, chunk in zip(alive.tolist(), chunks, strict=True):
        hashes = hash_words(chunk.indexed_text)
        lengths[position], sums[position] = len(hashes), sum(hashes) % 2**64
    stored = _sum_words(segment)
    if not (
        np.array_equal(lengths[alive], segment.words.lengths[alive]) and np.array_equal(sums[alive], stored[alive])
    ):
        yield "holds other words than the texts"


def _sum_words(segment: Segment) -> NDArray[np.uint64]:
    """Return, shape (n,), the sum of the hashes of each chunk's words modulo 2^64, as often as it holds them."""
    words = segment.words
    sums = np.zeros(segment.record.n, np.uint64)
    for start in range(0, len(words.positions), BLOCK):
        block = slice(start, start + BLOCK)
        places = np.arange(start, min(start + BLOCK, len(words.positions)))
        owners = np.searchsorted(words.starts, places, side="right") - 1
        np.add.at(sums, words.positions[block], words.words[owners] * words.counts[block].astype(np.uint64))
    return sums


def _positions(kept: Kept) -> NDArray[np.int64]:
    return np.arange(kept.segment.record.n) if kept.alive is None else np.flatnonzero(kept.alive)
