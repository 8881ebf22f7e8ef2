"""Open libraries lent to threads: a few of each name at a time, the rest of those lately used kept open, not more.

A collection is not for two threads at once, and opening one means hashing its files: so each is lent to one thread
after the other. What comes back lets go of its snapshot, and sees the newest committed state when it is lent again.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from workbench.config import RetrievalConfig
from workbench.errors import BusyError
from workbench.filters import All
from workbench.library import Library
from workbench.types import EVERYTHING, Found, Ranking, Scope

WAIT_SECONDS = 30.0  # for one of a name's few, or for all of them to come back
QUIET_SECONDS = 2.0  # that those who ask may be held back to empty a log


class OpenLibraries:
    """Threads share it. Memory: that of `idle` libraries and of those lent, `at_once` of a name at most."""

    def __init__(self, open_library: Callable[[str], Library], *, idle: int, at_once: int) -> None:
        """Take how a library is opened by name, how many stay open while nobody has them, how many of a name are lent.

        Args:
            open_library: raises what the borrower shall get where there is none of that name.
        """
        self._open = open_library
        self._n_idle, self._at_once = idle, at_once
        self._changed = threading.Condition()
        self._idle: list[tuple[str, Library]] = []  # lately used last
        self._lent: Counter[str] = Counter()
        self._kept: set[str] = set()  # names lent to nobody, since one has them alone

    @contextmanager
    def lend(self, name: str) -> Iterator[Library]:
        """Lend the block a library of that name, at its newest state; no other thread has it meanwhile.

        Raises:
            BusyError: all that may be lent are out for longer than anybody should wait.
        """
        with self._changed:
            self._wait(lambda: self._lent[name] < self._at_once and name not in self._kept, name)
            self._lent[name] += 1
            library = self._take_idle(name)
        try:
            if library is None:
                library = self._open(name)
                library.collection.leaves_log = True
            try:
                library.collection.refresh()
            except BaseException:
                library.close()  # what could not be refreshed may only be opened anew
                library = None
                raise
            yield library
        finally:
            self._give_back(name, library)

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Wait until nobody has a library of that name, close all of them, and lend none until the block has ended.

        Raises:
            BusyError: one is out for longer than anybody should wait; nothing was closed.
        """
        with self._held_back(name, WAIT_SECONDS):
            with self._changed:
                while (library := self._take_idle(name)) is not None:
                    library.close()
            yield

    def empty_log(self, name: str) -> None:
        """Empty the log of what was written, in a moment when nobody reads: while one reads it cannot be, and grows.

        Where there is no such moment soon, that is logged; the next write tries again.
        """
        emptied = False
        with suppress(BusyError), self._held_back(name, QUIET_SECONDS):
            with self._changed:
                library = self._take_idle(name)
            if library is not None:
                emptied = library.collection.empty_log()
                with self._changed:
                    self._idle.append((name, library))
        if not emptied:
            logging.getLogger(__name__).warning("%s: removed text may stay in the log until the next write", name)

    @contextmanager
    def _held_back(self, name: str, seconds: float) -> Iterator[None]:
        """Lend nobody a library of that name, from when all are back until the block has ended."""
        with self._changed:
            self._wait(lambda: name not in self._kept, name, seconds)
            self._kept.add(name)
        try:
            with self._changed:
                self._wait(lambda: not self._lent[name], name, seconds)
            yield
        finally:
            with self._changed:
                self._kept.discard(name)
                self._changed.notify_all()

    def close(self) -> None:
        """Close all that are idle; one that is lent is closed when it comes back."""
        with self._changed:
            idle, self._idle, self._n_idle = self._idle, [], 0
        for _, library in idle:
            library.close()

    @property
    def n_idle(self) -> int:
        """How many are open and lent to nobody."""
        with self._changed:
            return len(self._idle)

    def _wait(self, ready: Callable[[], bool], name: str, seconds: float = WAIT_SECONDS) -> None:
        if not self._changed.wait_for(ready, seconds):
            raise BusyError(
                f"collection {name!r} is in use by {self._lent[name]} requests for too long; ask again later"
            )

    def _take_idle(self, name: str) -> Library | None:
        for place in reversed(range(len(self._idle))):
            if self._idle[place][0] == name:
                return self._idle.pop(place)[1]
        return None

    def _give_back(self, name: str, library: Library | None) -> None:
        surplus: list[Library] = []
        if library is not None:
            try:
                library.collection.rest()
            except Exception:  # of a database that failed: what the borrower got is told, not this
                surplus, library = [library], None
        with self._changed:
            self._lent[name] -= 1
            if not self._lent[name]:
                del self._lent[name]
            if library is not None:
                self._idle.append((name, library))
            while len(self._idle) > self._n_idle:
                surplus.append(self._idle.pop(0)[1])
            self._changed.notify_all()
        for one in surplus:
            with suppress(Exception):
                one.close()


class LentFinder:
    """Implements `contracts.Finder`: a library is borrowed for each search."""

    def __init__(self, libraries: OpenLibraries, name: str, retrieval: RetrievalConfig | None, scope: Scope) -> None:
        self._libraries, self._name, self._retrieval, self._scope = libraries, name, retrieval, scope

    def find(self, question: str, *, k: int, scope: Scope = EVERYTHING) -> Found:
        """Return at most `k` passages of documents that lie in both scopes, and whether they are enough."""
        inside = within(self._scope, scope)
        with self._libraries.lend(self._name) as library:
            return library.build_finder(self._retrieval or library.config.retrieval).find(question, k=k, scope=inside)

    def search(self, question: str, *, k: int, scope: Scope = EVERYTHING) -> Ranking:
        """Return `find`'s ranking."""
        return self.find(question, k=k, scope=scope).ranking


def within(outer: Scope, inner: Scope) -> Scope:
    """Return the scope of what lies in both: both filters pass, and principals are those that both name."""
    filters = tuple(one.filter for one in (outer, inner) if one.filter is not None)
    named = [one.principals for one in (outer, inner) if one.principals is not None]
    return Scope(
        None if not filters else filters[0] if len(filters) == 1 else All(filters),
        None if not named else frozenset.intersection(*named),
    )
