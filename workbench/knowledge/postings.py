"""Which word is in which chunk how often: five .npy files, written once, memory-mapped. Holds no text and no ranking.

A segment of n chunks, V words and P postings: `words` (V,) hashes, ascending; `word_starts` (V + 1,), so that word v
owns the postings `word_starts[v]:word_starts[v + 1]`; `word_positions` (P,) and `word_counts` (P,), positions ascending
within a word; `word_lengths` (n,), words a chunk. A merge of segments has the very bytes of one segment written from
their chunks in order: nothing in a file tells how it came to be.

Files are written front to back, never through a map: a full disk is then an OSError and not a SIGBUS.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.types import Bool, Int64

Hashes = NDArray[np.uint64]
Positions = NDArray[np.int32]
Counts = NDArray[np.uint16]
COLUMNS = {"words": "<u8", "word_starts": "<i8", "word_positions": "<i4", "word_counts": "<u2", "word_lengths": "<i4"}
BLOCK = 1_000_000  # words held in memory at once while writing, postings while merging


class Postings(NamedTuple):
    """The chunks that hold one word, ascending, and how often each does: two arrays of one length."""

    positions: Positions
    counts: Counts


class WordSegment:
    """One segment, memory-mapped; it stays readable to this object when its folder is removed. `n`: its chunks."""

    def __init__(self, folder: Path) -> None:
        """Map the files, which the caller has checked against their SHA-256.

        Raises:
            FileNotFoundError: a file is missing.
            ValueError: a file is no .npy, or of another kind or length than its neighbours say.
        """
        arrays = {name: _map_column(folder / f"{name}.npy", dtype) for name, dtype in COLUMNS.items()}
        self.words: Hashes = arrays["words"]
        self.starts: Int64 = arrays["word_starts"]
        self.positions: Positions = arrays["word_positions"]
        self.counts: Counts = arrays["word_counts"]
        self.lengths: Positions = arrays["word_lengths"]
        n_postings = len(self.positions)
        if len(self.starts) != len(self.words) + 1 or not self.starts[-1] == n_postings == len(self.counts):
            raise ValueError(
                f"{folder.name}: {len(self.words)} words, {len(self.starts)} starts, {n_postings} positions and "
                f"{len(self.counts)} counts do not belong together"
            )
        self.n = len(self.lengths)
        self._n_words = int(self.lengths.sum(dtype=np.int64))
        self._known: dict[int, tuple[weakref.ref[Bool], int, int]] = {}

    def find(self, words: Hashes) -> list[Postings]:
        """Return the postings of each of `words`; of one that no chunk holds, empty ones."""
        places = np.searchsorted(self.words, words)
        found = []
        for word, place in zip(words.tolist(), places.tolist(), strict=True):
            held = place < len(self.words) and int(self.words[place]) == word
            start, stop = (int(self.starts[place]), int(self.starts[place + 1])) if held else (0, 0)
            found.append(Postings(self.positions[start:stop], self.counts[start:stop]))
        return found

    def count(self, allowed: Bool | None) -> tuple[int, int]:
        """Return how many chunks are allowed (None: all), and how many words they have together.

        The figures of a read-only mask are kept as long as the mask lives; a writable one is counted again every time.

        Raises:
            ValueError: the mask is not of shape (n,).
        """
        if allowed is None:
            return self.n, self._n_words
        key = id(allowed)
        known = self._known.get(key)
        if known is not None and known[0]() is allowed:
            return known[1:]
        if allowed.shape != (self.n,):
            raise ValueError(f"a mask of shape {allowed.shape} cannot say which of {self.n} chunks are allowed")
        n_chunks, n_words = int(np.count_nonzero(allowed)), int(np.sum(self.lengths, where=allowed, dtype=np.int64))
        if not allowed.flags.writeable:
            self._known[key] = (weakref.ref(allowed, lambda _: self._known.pop(key, None)), n_chunks, n_words)
        return n_chunks, n_words


def write_postings(folder: Path, texts: Iterable[Sequence[int]]) -> None:
    """Write the words of `texts`, given as hashes, text by text in order of position, into `folder`.

    Memory: about 100 bytes for each of BLOCK words; what is beyond waits in files inside `folder`.

    Raises:
        OSError: the disk is full or failing.
        ValueError: one text holds one word more than 65,535 times.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, prefix="spill-") as spill:
        parts: list[tuple[WordSegment, Bool | None]] = []
        for number, (words, lengths) in enumerate(_gather_blocks(texts)):
            part = Path(spill) / str(number)
            part.mkdir()
            _write_columns(part, [_count_words(words, lengths)], [lengths])
            parts.append((WordSegment(part), None))
        merge_words(folder, parts)


def merge_words(folder: Path, parts: Sequence[tuple[WordSegment, Bool | None]]) -> None:
    """Write one segment of the kept positions of each part (None: all), part after part, into `folder`.

    Memory: about 60 bytes for each of BLOCK postings, and more where one word alone has more postings than that.

    Raises:
        OSError: the disk is full or failing.
        ValueError: a mask is not of its segment's shape.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lengths = (segment.lengths if kept is None else segment.lengths[kept] for segment, kept in parts)
    _write_columns(folder, _merge_blocks(parts), lengths)


Block = tuple[Hashes, Positions, Counts]  # postings in order of word, then position; no word lies in two blocks


def _gather_blocks(texts: Iterable[Sequence[int]]) -> Iterator[tuple[Hashes, Positions]]:
    words: list[int] = []
    lengths: list[int] = []
    for text in texts:
        words.extend(text)
        lengths.append(len(text))
        if len(words) >= BLOCK:
            yield np.array(words, np.uint64), np.array(lengths, np.int32)
            words, lengths = [], []
    yield np.array(words, np.uint64), np.array(lengths, np.int32)


def _count_words(words: Hashes, lengths: Positions) -> Block:
    order = np.argsort(words, kind="stable")
    words = words[order]
    positions = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)[order]
    first = _find_changes(words) | _find_changes(positions)
    firsts = np.flatnonzero(first)
    counts = np.diff(firsts, append=len(words))
    if counts.max(initial=0) > np.iinfo(np.uint16).max:
        raise ValueError(f"one word stands {counts.max():,} times in one text, at most 65,535 can be counted")
    return words[firsts], positions[firsts], counts.astype(np.uint16)


def _merge_blocks(parts: Sequence[tuple[WordSegment, Bool | None]]) -> Iterator[Block]:
    renumbered: list[Positions] = []
    n_before = 0
    for segment, kept in parts:
        n_kept, _ = segment.count(kept)
        steps = np.ones(segment.n, np.int32) if kept is None else kept
        renumbered.append(np.cumsum(steps, dtype=np.int32) + np.int32(n_before - 1))
        n_before += n_kept
    # Hashes are spread evenly, so equal ranges of them hold about equally many postings.
    n_blocks = 1 + sum(len(segment.positions) for segment, _ in parts) // BLOCK
    edges = np.array([2**64 * number // n_blocks for number in range(1, n_blocks)], np.uint64)
    cuts = [[0, *np.searchsorted(segment.words, edges).tolist(), len(segment.words)] for segment, _ in parts]
    for number in range(n_blocks):
        pieces = [
            _take_range(segment, kept, places, cut[number], cut[number + 1])
            for (segment, kept), places, cut in zip(parts, renumbered, cuts, strict=True)
        ]
        if pieces:
            words, positions, counts = (np.concatenate(column) for column in zip(*pieces, strict=True))
            order = np.argsort(words, kind="stable")  # pieces are sorted runs with ascending positions: a merge
            yield words[order], positions[order], counts[order]


def _take_range(segment: WordSegment, kept: Bool | None, places: Positions, first: int, last: int) -> Block:
    starts = segment.starts[first : last + 1]
    owned = slice(int(starts[0]), int(starts[-1]))
    words = np.repeat(segment.words[first:last], np.diff(starts))
    positions, counts = segment.positions[owned], segment.counts[owned]
    if kept is not None:
        alive = kept[positions]
        words, positions, counts = words[alive], positions[alive], counts[alive]
    return words, places[positions], counts


def _find_changes(values: NDArray[Any]) -> Bool:
    """Return, shape (N,), where a run of equal values begins."""
    changes = np.ones(len(values), np.bool_)
    np.not_equal(values[1:], values[:-1], out=changes[1:])
    return changes


def _write_columns(folder: Path, blocks: Iterable[Block], lengths: Iterable[Positions]) -> None:
    with ExitStack() as stack:
        words_column, starts_column, positions_column, counts_column, lengths_column = (
            stack.enter_context(_Column(folder / f"{name}.npy", dtype)) for name, dtype in COLUMNS.items()
        )
        n_postings = 0
        starts_column.append(np.zeros(1, np.int64))
        for words, positions, counts in blocks:
            firsts = np.flatnonzero(_find_changes(words))
            words_column.append(words[firsts])
            starts_column.append(n_postings + np.append(firsts[1:], [len(words)] if len(words) else []))
            positions_column.append(positions)
            counts_column.append(counts)
            n_postings += len(words)
        for some in lengths:
            lengths_column.append(some)


class _Column:
    """One .npy file of one dimension, written front to back; its length enters the header at the end."""

    def __init__(self, path: Path, dtype: str) -> None:
        self._stream = path.open("wb")
        self._dtype = np.dtype(dtype)
        self._n = 0

    def __enter__(self) -> _Column:
        self._write_header()
        return self

    def append(self, values: NDArray[Any]) -> None:
        self._stream.write(np.ascontiguousarray(values, self._dtype).data)
        self._n += len(values)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stream:
            if error is None:
                self._stream.seek(0)
                self._write_header()

    def _write_header(self) -> None:
        # numpy pads the header so that a longer length still fits: the one written last has the size of the first.
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": (self._n,)}
        np.lib.format.write_array_header_1_0(self._stream, header)


def _map_column(path: Path, dtype: str) -> NDArray[Any]:
    mapped = np.load(path, mmap_mode="r")
    if mapped.ndim != 1 or mapped.dtype != np.dtype(dtype):
        raise ValueError(f"{path.name} holds {mapped.dtype} in {mapped.ndim} dimensions, not {dtype} in one")
    plain: NDArray[Any] = mapped.view(np.ndarray)  # a memmap object costs a microsecond at every slice
    return plain
