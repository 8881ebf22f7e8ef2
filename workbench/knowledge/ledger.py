"""A ledger: which rows a table holds, whose they are and their digests, as arrays; and one SHA-256 over all of it.

The database is scanned for it when a collection is opened, and compared with the SHA-256 that was committed: a lost,
added or swapped row is seen at once. A writer changes its ledger beside its rows, so a commit scans nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.types import Int64

UInt8 = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Ledger:
    """The rows of one table: N of them, in order of key."""

    keys: Int64  # shape (N,), ascending: chunk rows or document numbers
    owners: Int64  # shape (N,): the document number of a chunk; 0 for a document
    digests: UInt8  # shape (N, 32): SHA-256 of each row

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def sha256(self) -> bytes:
        """SHA-256 over keys, owners and digests in order."""
        state = hashlib.sha256()
        for column in (self.keys, self.owners, self.digests):
            state.update(np.ascontiguousarray(column).data)
        return state.digest()

    def change(self, removed: Iterable[int], put: Mapping[int, tuple[int, bytes]]) -> Ledger:
        """Return the ledger without the keys `removed` and with those of `put` as key: (owner, digest)."""
        gone = np.fromiter({*removed, *put}, dtype=np.int64)
        if not len(gone):
            return self
        places = np.searchsorted(self.keys, gone)
        within = places < len(self.keys)
        places = places[within][self.keys[places[within]] == gone[within]]
        kept = np.delete(np.arange(len(self.keys)), places)
        added = read_ledger([(key, owner, mark) for key, (owner, mark) in sorted(put.items())])
        keys = np.concatenate([self.keys[kept], added.keys])
        order = np.argsort(keys, kind="stable")
        owners = np.concatenate([self.owners[kept], added.owners])[order]
        return Ledger(keys[order], owners, np.concatenate([self.digests[kept], added.digests])[order])

    def owned_by(self, owners: Iterable[int]) -> list[int]:
        """Return the keys whose owner is among `owners`, ascending."""
        wanted = np.fromiter(owners, dtype=np.int64)
        found: list[int] = self.keys[np.isin(self.owners, wanted)].tolist()
        return found

    def count_beside(self, key: int) -> int:
        """Return how many rows the owner of `key`, which is there, has."""
        return int(np.count_nonzero(self.owners == self.owners[np.searchsorted(self.keys, key)]))


def read_ledger(rows: Sequence[tuple[int, int, bytes]]) -> Ledger:
    """Return the ledger of `rows` as (key, owner, digest), ascending by key.

    Raises:
        ValueError: a digest is not 32 bytes long.
    """
    keys = np.fromiter((row[0] for row in rows), dtype=np.int64, count=len(rows))
    owners = np.fromiter((row[1] for row in rows), dtype=np.int64, count=len(rows))
    joined = b"".join(row[2] for row in rows)
    return Ledger(keys, owners, np.frombuffer(joined, dtype=np.uint8).reshape(len(rows), 32))


def fingerprint_set(digests: bytes) -> bytes:
    """Return a SHA-256 over `digests`, of 32 bytes each, whatever their order."""
    return hashlib.sha256(np.sort(np.frombuffer(digests, dtype="S32")).data).digest()
