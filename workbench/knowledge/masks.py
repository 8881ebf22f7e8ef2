"""Who may find what: a scope becomes one boolean mask a segment, handed into the search.

A document passes for a principal when its `readers` are None (everybody) or hold one of the asker's principals, and
when its metadata pass the filter. Decided from the facts that the database vouches for, never from a search structure.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

import numpy as np

from workbench.filters import passes
from workbench.knowledge.ledger import Ledger
from workbench.knowledge.rows import DocumentFacts
from workbench.knowledge.segments import Segment
from workbench.types import EVERYTHING, Bool, Int64, Scope

CACHE_BYTES = 64 * 2**20
Facts = Callable[[], Iterator[tuple[int, DocumentFacts]]]


def is_allowed(facts: DocumentFacts, scope: Scope) -> bool:
    """Say whether a document lies in a scope."""
    if scope.principals is not None and facts.readers is not None and scope.principals.isdisjoint(facts.readers):
        return False
    return scope.filter is None or passes(scope.filter, facts.filterable)


def find_owners(segment: Segment, chunks: Ledger) -> Int64:
    """Return the document number behind each position of a segment, shape (n,); 0 where the row was deleted."""
    places = np.searchsorted(chunks.keys, segment.rows)
    places[places == len(chunks)] = 0
    if not len(chunks):
        return np.zeros(len(segment.rows), dtype=np.int64)
    return np.where(chunks.keys[places] == segment.rows, chunks.owners[places], 0)


class Masks:
    """The masks of one committed state. The newest scopes are kept, within `CACHE_BYTES`."""

    def __init__(self, owners: Sequence[Int64], facts: Facts) -> None:
        """Take the owners of each segment's positions, and what yields the documents' facts by number."""
        self._owners = owners
        self._read_facts = facts
        alive = [None if (owner > 0).all() else _freeze(owner > 0) for owner in owners]
        self.alive: Sequence[Bool | None] = alive  # of each segment; None: no row of it was deleted
        self._bytes = sum(len(owner) for owner in owners)
        self._cached: OrderedDict[str, Sequence[Bool | None]] = OrderedDict()

    def of(self, scope: Scope) -> Sequence[Bool | None]:
        """Return for each segment which positions, shape (n,), may be found; None: all. Equal scopes share them."""
        if scope == EVERYTHING:
            return self.alive
        # Not the scope itself: to a dictionary the filters `flag = 1` and `flag = true` are the same key.
        key = repr((scope.filter, None if scope.principals is None else sorted(scope.principals)))
        if key in self._cached:
            self._cached.move_to_end(key)
        else:
            self._cached[key] = self._build(scope)
            while len(self._cached) > 1 and len(self._cached) * self._bytes > CACHE_BYTES:
                self._cached.popitem(last=False)
        return self._cached[key]

    def count(self, scope: Scope) -> int:
        """Return how many chunks lie in a scope."""
        pairs = zip(self.of(scope), self._owners, strict=True)
        return sum(len(owners) if mask is None else int(mask.sum()) for mask, owners in pairs)

    def count_documents(self, scope: Scope) -> int:
        """Return how many documents lie in a scope."""
        return sum(is_allowed(facts, scope) for _, facts in self._facts)

    def _build(self, scope: Scope) -> list[Bool]:
        allowed = np.zeros(max((number for number, _ in self._facts), default=0) + 1, dtype=bool)
        allowed[[number for number, facts in self._facts if is_allowed(facts, scope)]] = True
        return [_freeze(allowed[owners]) for owners in self._owners]

    @cached_property
    def _facts(self) -> list[tuple[int, DocumentFacts]]:
        return list(self._read_facts())


def _freeze(mask: Bool) -> Bool:
    """Return a mask that nobody can write: word search counts such a mask only once."""
    mask.flags.writeable = False
    return mask
