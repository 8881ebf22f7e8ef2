"""Many users' answers, streamed from a server elsewhere that speaks OpenAI's API. No weights are loaded here.

One thread with an event loop holds every connection; an answer that is given up closes its own, so that the server
stops writing it.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from workbench.config import OpenAIEngineConfig
from workbench.errors import DeadlineError, GivenUpError, QueueFullError
from workbench.generation.loop_thread import LoopThread
from workbench.generation.remote import RemoteServer, name_there
from workbench.types import EngineLoad, Event, Failure, Generation, Piece, Prompt, Sampling

LOG = logging.getLogger(__name__)
FIRST_GUESS = 1.0  # seconds an answer takes, until one was seen
OLD_WEIGHT = 0.9  # of the mean seconds so far, beside the newest answer's


@dataclass(slots=True)
class RemoteTicket:
    """Implements `contracts.Ticket`."""

    _loop: asyncio.AbstractEventLoop
    _task: asyncio.Task[Generation] | None = None  # None: the loop has not come to it yet

    def cancel(self) -> None:
        """Give the answer up: its connection is closed, its last event is a Failure of GivenUpError."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._cancel)  # behind the start of the task, so there is one

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()


class OpenAIEngine:
    """Implements `contracts.Engine`; `concurrent` answers run, `queue` wait."""

    def __init__(
        self,
        config: OpenAIEngineConfig,
        *,
        count_tokens: Callable[[str], int],
        queue: int,
        stop_at_newline: bool = False,
    ) -> None:
        """Start the thread; connect to nothing yet.

        Args:
            count_tokens: by the tokenizer of models.generator, for a server that does not count.
            queue: answers that may wait.
        Raises:
            ConfigError: the environment variable of the server's key is not set.
        """
        self._config, self._queue = config, queue
        self._server = RemoteServer(config, count_tokens=count_tokens, newline=stop_at_newline)
        self._gate = asyncio.Semaphore(config.concurrent)
        self._lock = threading.Lock()
        self._running = self._accepted = 0  # accepted: running or waiting
        self._prompt_tokens = self._new_tokens = 0
        self._seconds = FIRST_GUESS
        self._closing = False
        self._thread = LoopThread("openai-engine")

    def submit(
        self,
        prompt: Prompt,
        *,
        adapter: str | None,
        sampling: Sampling,
        deadline: float,
        on_event: Callable[[Event], None],
    ) -> RemoteTicket:
        """Begin an answer, or put it in the queue; see `contracts.Engine`.

        Raises:
            QueueFullError: as many wait as may; nothing was begun.
            AdapterMismatchError: generation.engine.adapters has no such adapter.
            GivenUpError: the engine is closing.
        """
        name_there(self._config, adapter)
        with self._lock:
            if self._closing:
                raise GivenUpError("the server is stopping and takes no new question")
            if self._accepted >= self._config.concurrent + self._queue:
                waiting = self._accepted - self._config.concurrent
                raise QueueFullError(
                    f"{waiting} answers wait already, and at most {self._queue} may; come again",
                    retry_after=max(1.0, self._seconds * (waiting + 1) / self._config.concurrent),
                )
            self._accepted += 1
        ticket = RemoteTicket(self._thread.loop)

        def begin() -> None:
            work = self._answer(prompt, adapter, sampling, deadline, on_event)
            ticket._task = self._thread.loop.create_task(work)
            # Not a `finally` in the task: one that is cancelled before its first step never runs it.
            ticket._task.add_done_callback(lambda task: self._end(task, on_event))

        self._thread.loop.call_soon_threadsafe(begin)
        return ticket

    def exclusive(self) -> AbstractContextManager[None]:
        """Return a block in which nothing is different: an adapter is a name here, and no weights are touched."""
        return nullcontext()

    @property
    def load(self) -> EngineLoad:
        """What the engine is doing now; tokens as the server counts them, of answers that were finished."""
        with self._lock:
            return EngineLoad(
                running=self._running,
                waiting=self._accepted - self._running,
                slots=self._config.concurrent,
                prompt_tokens=self._prompt_tokens,
                new_tokens=self._new_tokens,
            )

    def close(self, *, drain_seconds: float) -> None:
        """Take nothing new, let what runs or waits end for `drain_seconds`, give up the rest, end the thread."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
        self._thread.run(self._drain(drain_seconds))
        self._thread.run(self._server.__aexit__())
        self._thread.close()

    async def _answer(
        self,
        prompt: Prompt,
        adapter: str | None,
        sampling: Sampling,
        deadline: float,
        on_event: Callable[[Event], None],
    ) -> Generation:
        def show(text: str) -> None:
            _tell(on_event, Piece(text))

        try:
            # The loop's clock is time.monotonic(), as the deadline's is.
            async with asyncio.timeout_at(deadline if math.isfinite(deadline) else None), self._gate:
                self._count_running(1)
                try:
                    started = time.perf_counter()
                    generation = await self._server.answer(prompt, adapter, sampling, show)
                    return replace(generation, seconds=time.perf_counter() - started)
                finally:
                    self._count_running(-1)
        except TimeoutError as error:
            raise DeadlineError(f"{self._config.url} was not done with the answer in the time it was given") from error

    def _count_running(self, n: int) -> None:
        with self._lock:
            self._running += n

    def _end(self, task: asyncio.Task[Generation], on_event: Callable[[Event], None]) -> None:
        """Count an answer that ended, however it did, and send its last event."""
        failure = GivenUpError("the answer was given up") if task.cancelled() else task.exception()
        with self._lock:
            self._accepted -= 1
            if failure is None:
                generation = task.result()
                self._prompt_tokens += generation.prompt_tokens
                self._new_tokens += generation.new_tokens
                self._seconds = OLD_WEIGHT * self._seconds + (1 - OLD_WEIGHT) * generation.seconds
        if failure is None:
            _tell(on_event, task.result())
        elif isinstance(failure, Exception):
            _tell(on_event, Failure(failure))
        else:  # SystemExit and its like end the thread; whoever waits must still hear
            _tell(on_event, Failure(GivenUpError(f"the engine stopped: {failure!r}")))

    async def _drain(self, seconds: float) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if not others:
            return
        _, late = await asyncio.wait(others, timeout=seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)  # the callbacks of the last tasks


def _tell(on_event: Callable[[Event], None], event: Event) -> None:
    try:
        on_event(event)
    except Exception:
        LOG.exception("whoever waited for an answer failed at %s", type(event).__name__)
