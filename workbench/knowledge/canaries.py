"""Canaries: byte strings of what was removed, and a search for all of them in every byte of a folder.

A canary is one text, name, vector or word, in each form in which it could have been stored. One that also occurs in
what stays proves nothing: `purge.py` sets it aside before the search.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workbench.types import Float32

SHINGLE = 24  # characters of a text canary
PIECE = 32  # bytes of a vector canary
HEAD = 8  # bytes by which canaries are looked up; nothing shorter is a canary
LIMIT = 4_096  # canaries of one kind, spread evenly over what was removed
BLOCK = 4 * 2**20  # bytes searched at once
TABLE_BITS = 22
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # spreads heads over the table: Knuth's multiplicative hashing
# JSON, as rows hold it, leaves such a run as it is: what it would escape never becomes part of a canary.
PLAIN_RUN = re.compile(rf'[^\x00-\x1f"\\]{{{HEAD},}}')


@dataclass(frozen=True, slots=True)
class Canary:
    """One thing that must be gone, in the forms it could have."""

    kind: str  # "text", "name", "fact", "vector" or "word"
    forms: tuple[bytes, ...]

    @property
    def is_plain(self) -> bool:
        """Whether some form of it cannot be looked up, or it has none: then it proves nothing."""
        return not self.forms or any(map(_is_plain, self.forms))


@dataclass(frozen=True, slots=True)
class Hit:
    """Where a canary was found."""

    path: Path
    place: int  # in bytes from the start of the file
    canary: Canary


def text_canaries(text: str, kind: str = "text") -> list[Canary]:
    """Return shingles of a text, end to end, `LIMIT` at most; where no 8 characters are plain, there are none."""
    runs = (match.span() for match in PLAIN_RUN.finditer(text))
    spans = [(start, min(start + SHINGLE, end)) for first, end in runs for start in range(first, end, SHINGLE)]
    return [_from_text(kind, text[start:end]) for start, end in spans[thin_out(len(spans))] if end - start >= HEAD]


def name_canaries(names: Iterable[str]) -> list[Canary]:
    """Return canaries of ids and paths; a name shorter than 8 bytes could stand anywhere by chance and has none."""
    return [_from_text("name", name) for name in sorted(set(names)) if len(name.encode()) >= HEAD]


def vector_canaries(vectors: Iterable[Float32]) -> list[Canary]:
    """Return canaries of vectors, each of shape (D,), as float32 and float16, from their start and from their middle.

    Pieces, since a database splits long rows between pages.
    """
    canaries = []
    for vector in vectors:
        with np.errstate(over="ignore"):
            wholes = [vector.astype(kind).tobytes() for kind in ("<f4", "<f2")]
        for share in (0, 1):
            starts = [share * len(whole) // 8 * 4 for whole in wholes]  # 0, or the middle
            pieces = [whole[start : start + PIECE] for whole, start in zip(wholes, starts, strict=True)]
            canaries.append(Canary("vector", tuple(piece for piece in pieces if len(piece) >= HEAD)))
    return canaries


def word_canaries(hashes: NDArray[np.uint64]) -> list[Canary]:
    """Return canaries of words, which are stored as hashes only."""
    return [Canary("word", (word.tobytes(),)) for word in hashes.astype("<u8")]


def thin_out(n: int) -> slice:
    """Return the slice that takes `LIMIT` of `n` members at most, evenly spread."""
    return slice(None, None, max(1, -(-n // LIMIT)))


class Search:
    """A search for many byte strings at once: every place's first bytes are looked up in a table, matches compared."""

    def __init__(self, canaries: Sequence[Canary]) -> None:
        """Take what to look for; forms that are too plain to look up (`Canary.is_plain`) are left out."""
        self.canaries = canaries
        self._by_head: dict[bytes, list[tuple[bytes, int]]] = {}
        for number, canary in enumerate(canaries):
            for form in canary.forms:
                if not _is_plain(form):
                    self._by_head.setdefault(form[:HEAD], []).append((form, number))
        self._heads = np.array([int.from_bytes(head, "little") for head in self._by_head], np.uint64)
        self._table = np.zeros(2**TABLE_BITS, np.bool_)
        self._table[_hash(self._heads)] = True
        self._longest = max((len(form) for canary in canaries for form in canary.forms), default=HEAD)

    def find(self, content: bytes) -> dict[int, int]:
        """Return the number of each canary that `content` holds, and where first."""
        found: dict[int, int] = {}
        for shift in range(min(HEAD, max(0, len(content) - HEAD + 1))):
            heads = np.frombuffer(content, "<u8", (len(content) - shift) // HEAD, shift)
            near = np.flatnonzero(self._table[_hash(heads)])
            near = near[np.isin(heads[near], self._heads)]
            for place in (near * HEAD + shift).tolist():
                for form, number in self._by_head[content[place : place + HEAD]]:
                    if content.startswith(form, place):
                        found[number] = min(place, found.get(number, place))
        return found

    def find_in_file(self, path: Path) -> tuple[int, list[Hit]]:
        """Read every byte of a file; return how many there were, and the hits."""
        n_bytes, kept, hits = 0, b"", []
        with path.open("rb") as stream:
            while block := stream.read(BLOCK):
                content = kept + block
                start = n_bytes - len(kept)
                hits += [Hit(path, start + place, self.canaries[one]) for one, place in self.find(content).items()]
                n_bytes += len(block)
                kept = content[-(self._longest - 1) :]
        return n_bytes, hits


def _from_text(kind: str, text: str) -> Canary:
    return Canary(kind, tuple(text.encode(encoding) for encoding in ("utf-8", "utf-16-le", "utf-16-be")))


def _is_plain(form: bytes) -> bool:
    """Say whether a form begins as every other place of a file may, with zeros, say: it would slow the search down."""
    return len(set(form[:HEAD])) <= 2


def _hash(heads: NDArray[np.uint64]) -> NDArray[np.uint64]:
    hashed: NDArray[np.uint64] = (heads * MULTIPLIER) >> np.uint64(64 - TABLE_BITS)
    return hashed
