"""Files parsed in child processes that can be killed: one typed outcome a file, whatever is in it.

The caller gets outcomes in the order given while the children parse ahead, so it can chunk and embed meanwhile. A
child serves many files; one that crashes, hangs or outgrows its limits costs its file alone and is replaced. No
file's outcome depends on what was parsed before it, nor on who else kills a child: that file is read once more.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from workbench.config import Limits
from workbench.corpus.parser_process import ParserEndedError, ParserProcess
from workbench.corpus.reading import SourceFile
from workbench.types import Document, ReadFailure

READERS = "workbench.corpus:READERS"
# Failures that another limit, another day or another machine may not give: a sync reads such files again.
RETRIED_KINDS = frozenset({"timeout", "memory", "crashed", "too_large", "missing"})

_BATCH_FILES, _BATCH_BYTES = 16, 2**20  # handed to a child at once, so that small files cost no round trip each
_AHEAD_FILES, _AHEAD_BYTES = 256, 2**26  # read ahead of the caller

Outcome = Document | ReadFailure


def read_files(
    files: Iterable[SourceFile],
    *,
    limits: Limits = Limits(),  # noqa: B008  (frozen)
    n_workers: int | None = None,
    readers: str = READERS,
) -> Generator[Outcome, None, None]:
    """Yield one outcome a file, in the order given. Close the iterator to end the children before its end.

    Args:
        files: consumed lazily, about 256 files or 64 MiB ahead.
        n_workers: children at once, each with its own `limits.memory_bytes`; None: one a core, four at most.
        readers: the table from suffix to reader, as "module:NAME"; the children import it.
    Raises:
        RuntimeError: a child cannot start: this installation can parse nothing.
    """
    pool = _Pool(limits, readers)
    executor = ThreadPoolExecutor(n_workers or min(4, os.cpu_count() or 1), "parsing")
    ahead: deque[tuple[list[SourceFile], Future[list[Outcome]]]] = deque()
    try:
        for batch in _batches(files):
            ahead.append((batch, executor.submit(pool.read, batch)))
            waiting = [file.size for some, _ in ahead for file in some]
            if len(waiting) > _AHEAD_FILES or sum(waiting) > _AHEAD_BYTES:
                yield from ahead.popleft()[1].result()
        while ahead:
            yield from ahead.popleft()[1].result()
    finally:
        pool.stop()
        executor.shutdown(cancel_futures=True)
        pool.dispose()


class WarmParser:
    """One parsing child that stays, for many small files of one kind: starting a child takes half a second.

    For text formats, whose readers are plain Python: a child that a hostile PDF has taken over must not get the next
    person's file, so what native libraries parse is read by `read_files`, each in a child of its own. Threads may
    share it; they wait for each other.
    """

    def __init__(self, limits: Limits, readers: str = READERS) -> None:
        """Start nothing yet."""
        self._pool = _Pool(limits, readers)
        self._executor = ThreadPoolExecutor(1, "parsing-text")  # it must outlive the child, see _Pool

    def read(self, file: SourceFile) -> Outcome:
        """Return what becomes of one file.

        Raises:
            RuntimeError: the child cannot start, or this parser was closed.
        """
        return self._executor.submit(self._pool.read, [file]).result()[0]

    def close(self) -> None:
        """End the child."""
        self._pool.stop()
        self._executor.shutdown(cancel_futures=True)
        self._pool.dispose()


def _batches(files: Iterable[SourceFile]) -> Iterator[list[SourceFile]]:
    batch: list[SourceFile] = []
    for file in files:
        batch.append(file)
        if len(batch) >= _BATCH_FILES or sum(one.size for one in batch) >= _BATCH_BYTES:
            yield batch
            batch = []
    if batch:
        yield batch


class _Pool:
    """One child a thread; the thread that starts a child must outlive it, since Linux ends the child with it."""

    def __init__(self, limits: Limits, readers: str) -> None:
        self._limits, self._readers = limits, readers
        self._own = threading.local()
        self._lock = threading.Lock()
        self._children: set[ParserProcess] = set()
        self._stopped = False

    def read(self, batch: list[SourceFile]) -> list[Outcome]:
        """Return one outcome a file; fewer once the pool is stopped."""
        outcomes: list[Outcome] = []
        excused: SourceFile | None = None  # lost its child to somebody else's signal
        while len(outcomes) < len(batch) and (child := self._take_child()) is not None:
            rest = batch[len(outcomes) :]
            try:
                child.ask(rest)
                for file in rest:
                    reply = child.receive(file)
                    outcomes.append(reply.outcome)
                    if reply.spent:
                        self._replace(child)
                        break
            except ParserEndedError as end:
                self._replace(child)
                file = batch[len(outcomes)]
                if end.from_outside and file is not excused:
                    excused = file
                else:
                    outcomes.append(ReadFailure(file.id, end.kind, f"{file.id} {end.why}"))
        return outcomes

    def stop(self) -> None:
        """Kill all children; threads that wait for one come back at once."""
        with self._lock:
            self._stopped = True
            for child in self._children:
                child.kill()

    def dispose(self) -> None:
        """Reap all children. Only when no thread reads from them any more."""
        for child in self._children:
            child.dispose()

    def _take_child(self) -> ParserProcess | None:
        """Return this thread's child, started if need be; None once the pool is stopped."""
        child: ParserProcess | None = getattr(self._own, "child", None)
        if child is None:
            with self._lock:
                if self._stopped:
                    return None
                child = self._own.child = ParserProcess(self._limits)
                self._children.add(child)
            if not child.start(self._readers) and not self._stopped:
                code = child.dispose()
                raise RuntimeError(f"a parsing child cannot start (exit code {code}); its own message stands above")
        return None if self._stopped else child

    def _replace(self, child: ParserProcess) -> None:
        self._own.child = None
        with self._lock:
            self._children.discard(child)
        child.dispose()
