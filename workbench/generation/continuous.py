"""Continuous batching: requests of many users join and leave one running batch, token by token.

One thread owns the model. It serves the queue first come, first served: a free slot takes the next request, whose
prompt is read in stretches beside the answers that run (batching.py), so nobody waits for a long prompt to be read.

Not a scheduler of several models, and no paging: the memory of an answer is one row (models/slots.py).
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import torch

from workbench.errors import (
    AdapterMismatchError,
    ConfigError,
    DeadlineError,
    GivenUpError,
    PromptBudgetError,
    QueueFullError,
)
from workbench.generation.batching import Batcher
from workbench.generation.limits import longest_context
from workbench.generation.local import LocalGenerator
from workbench.generation.requests import Request
from workbench.generation.sampling import Sampler, check_sampling
from workbench.generation.streaming import TextStream
from workbench.hardware import trim_freed_memory
from workbench.models.slot_attention import check_attention
from workbench.models.slots import read_geometry
from workbench.types import EngineLoad, Event, Failure, Generation, Prompt, Sampling

log = logging.getLogger(__name__)
CHUNK_TOKENS = 128  # of prompts in one pass: bounds how long answers that run wait, at little loss for those that read
GUEST_SECONDS = 0.05  # how often deadlines are looked at while somebody else has the model
TIDY_SECONDS = 1.0  # without a request, until freed memory is given back
NICENESS = 10  # of the engine's thread: a server that is full must say so at once
FINISHES = 32  # answers that the throughput is measured over


class ContinuousEngine:
    """Implements `contracts.Engine` over a LocalGenerator, which is the engine's alone until `close`."""

    def __init__(
        self,
        generator: LocalGenerator,
        *,
        slots: int,
        queue: int,
        context_tokens: int,
        chunk_tokens: int = CHUNK_TOKENS,
    ) -> None:
        """Start the engine's thread.

        Args:
            slots: answers under way at once. Memory: at most `slots * context_tokens * token_bytes` for keys and
                values, and as much of it as the requests under way can come to.
            queue: requests that may wait for a slot.
            context_tokens: most tokens of prompt and answer together.
        Raises:
            ConfigError: the model cannot read that many tokens.
            GenerationError: the model attends in a way that cannot be batched here.
        """
        if context_tokens > (longest := longest_context(generator.model)):
            raise ConfigError(
                f"serving.context_tokens is {context_tokens}, but the generator reads {longest} at most; take: "
                f"--set serving.context_tokens={longest}"
            )
        self._generator = generator
        self._slots, self._queue, self._context_tokens = slots, queue, context_tokens
        with generator.active(None):
            geometry = read_geometry(generator.model, generator.tokenizer.end_of_turn_ids[-1])
            check_attention(generator.model, geometry)
        self._batch = Batcher(generator, geometry, slots=slots, chunk_tokens=chunk_tokens, over=self._finish)
        self._changed = threading.Condition()  # guards all below
        self._waiting: deque[Request] = deque()
        self._n_open = 0
        self._guests = 0
        self._is_tidy = True  # nothing was answered since freed memory was given back
        self._is_away = False  # the engine's thread keeps off the model
        self._drain_until: float | None = None  # None: not closing
        self._busy_seconds = 0.0
        self._finishes: deque[float] = deque(maxlen=FINISHES)  # readings of _busy_seconds
        self._guest_turn = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="workbench-engine", daemon=True)
        self._thread.start()

    def submit(
        self,
        prompt: Prompt,
        *,
        adapter: str | None,
        sampling: Sampling,
        deadline: float,
        on_event: Callable[[Event], None],
    ) -> Request:
        """Begin an answer, or put it in the queue; see `contracts.Engine`.

        Raises:
            QueueFullError: as many wait as may.
            AdapterMismatchError: no adapter of this name is loaded.
            PromptBudgetError: prompt and answer together may be longer than `context_tokens`.
            GivenUpError: the engine is stopping.
            ValueError: the sampling is out of its range, or the prompt has no question.
        """
        check_sampling(sampling)
        self._refuse(prompt, sampling)
        passport = None if adapter is None else self._generator.adapters.get(adapter)
        if adapter is not None and passport is None:
            loaded = ", ".join(self._generator.adapters) or "none"
            raise AdapterMismatchError(f"adapter {adapter!r} is not loaded; loaded: {loaded}")
        request = Request(
            prompt=prompt,
            adapter=adapter,
            passport=passport,
            owner=self._generator.prefix_owner(adapter),
            sampling=sampling,
            deadline=deadline,
            on_event=on_event,
            wake=self._wake,
            sampler=Sampler(sampling),
            stream=TextStream(self._generator.tokenizer.decode, stop=sampling.stop),
        )
        with self._changed:
            if self._drain_until is not None:
                raise GivenUpError("the engine is stopping; ask again once it is back")
            if self._n_open >= self._slots + self._queue:
                raise QueueFullError(
                    f"{self._slots} answers run and {self._n_open - self._slots} wait, of {self._queue} that may; "
                    "come again later",
                    retry_after=self._seconds_to_half_a_queue(),
                )
            self._n_open += 1
            self._waiting.append(request)
            self._changed.notify_all()
        return request

    @property
    def load(self) -> EngineLoad:
        """What the engine is doing now."""
        with self._changed:
            running = min(self._n_open, self._slots)
            return EngineLoad(
                running=running,
                waiting=self._n_open - running,
                slots=self._slots,
                prompt_tokens=self._batch.prompt_tokens,
                new_tokens=self._batch.new_tokens,
            )

    @contextmanager
    def exclusive(self) -> Iterator[LocalGenerator]:
        """Lend the generator to another thread for the block: nothing is decoded meanwhile, deadlines go on.

        For loading an adapter, or scoring. Answers of an adapter that the block replaces are given up.
        """
        assert threading.current_thread() is not self._thread, "the engine would wait for itself"
        with self._guest_turn:
            with self._changed:
                self._guests += 1
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._is_away)
            try:
                yield self._generator
            finally:
                with self._changed:
                    self._guests -= 1
                    self._changed.notify_all()

    def close(self, *, drain_seconds: float) -> None:
        """Take nothing new, let what was accepted end for `drain_seconds`, give up the rest, end the thread."""
        with self._changed:
            until = time.monotonic() + drain_seconds
            self._drain_until = until if self._drain_until is None else min(until, self._drain_until)
            self._changed.notify_all()
        self._thread.join()

    def _refuse(self, prompt: Prompt, sampling: Sampling) -> None:
        if not prompt.suffix_ids:
            raise ValueError("the prompt has no question: its suffix is empty")
        if prompt.token_count + sampling.max_new_tokens > self._context_tokens:
            raise PromptBudgetError(
                f"the prompt has {prompt.token_count} tokens and the answer may have {sampling.max_new_tokens}, "
                f"together more than the {self._context_tokens} of serving.context_tokens; ask for less"
            )

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _seconds_to_half_a_queue(self) -> float:
        """Return when half of those waiting will have begun, by the pace of the last answers; at least a second."""
        if len(self._finishes) < 2:
            return 1.0
        pace = (self._finishes[-1] - self._finishes[0]) / (len(self._finishes) - 1)
        return max(1.0, pace * (self._queue + 1) / 2)

    def _run(self) -> None:
        """The engine's thread."""
        _give_way()
        with torch.inference_mode():
            try:
                while self._await_work():
                    self._turn()
            finally:
                self._end()

    def _turn(self) -> None:
        started = time.monotonic()
        try:
            self._give_up_late()
            self._admit()
            self._batch.step()
        except Exception as error:  # nothing known raises here; should it, whoever runs is told and the engine goes on
            log.exception("a turn failed")
            for request in self._batch:
                self._give_up(request, error)
        self._busy_seconds += time.monotonic() - started

    def _await_work(self) -> bool:
        """Sleep until there is a pass to make; False: the engine is to end."""
        while True:
            with self._changed:
                if not self._guests:
                    late = self._drain_until is not None and time.monotonic() >= self._drain_until
                    if late or (self._drain_until is not None and self._n_open == 0):
                        return False
                    if self._n_open:
                        self._is_tidy = False
                        return True
                    if self._changed.wait(None if self._is_tidy else TIDY_SECONDS):
                        continue
                    # Batches of many sizes leave a heap in pieces: a server that was busy would seem to have grown.
                    self._is_tidy = True
                    trim_freed_memory()
                    continue
            self._stand_aside()

    def _stand_aside(self) -> None:
        """Let the guests have the model, and look at it anew after the last has gone."""
        self._batch.stance.leave()
        while True:
            with self._changed:
                self._is_away = self._guests > 0
                self._changed.notify_all()
                if not self._is_away:
                    break
                self._changed.wait(GUEST_SECONDS if self._n_open else None)
            self._give_up_late()
        for request in self._open_requests():
            if request.adapter is not None and self._generator.adapters.get(request.adapter) is not request.passport:
                self._give_up(request, GivenUpError(f"adapter {request.adapter!r} was replaced meanwhile; ask again"))
        self._batch.look_again()

    def _open_requests(self) -> list[Request]:
        with self._changed:
            return [*self._waiting, *self._batch]

    def _give_up_late(self) -> None:
        """Give up what was cancelled or is past its deadline."""
        now = time.monotonic()
        for request in self._open_requests():
            if request.is_given_up:
                self._give_up(request, GivenUpError("the answer was given up by whoever asked"))
            elif now >= request.deadline:
                done = f"{len(request.ids)} tokens of it were there" if request.ids else "it had not begun"
                self._give_up(request, DeadlineError(f"the answer was not done by its deadline; {done}"))

    def _give_up(self, request: Request, error: Exception) -> None:
        with self._changed:
            if request in self._waiting:
                self._waiting.remove(request)
        self._batch.remove(request)
        self._finish(request, error)

    def _admit(self) -> None:
        while True:
            with self._changed:
                if not self._waiting or not self._batch.has_room_for(self._waiting[0]):
                    return
                request = self._waiting.popleft()
            try:
                self._batch.open(request)
            except Exception as error:
                log.exception("a request could not begin")
                self._finish(request, error)

    def _finish(self, request: Request, outcome: Generation | Exception) -> None:
        """Count a request out, then tell whoever asked: he may ask again at once."""
        with self._changed:
            self._n_open -= 1
            if isinstance(outcome, Generation):
                self._finishes.append(self._busy_seconds)
        request.send(outcome if isinstance(outcome, Generation) else Failure(outcome))

    def _end(self) -> None:
        for request in self._open_requests():
            self._give_up(request, GivenUpError("the engine stopped before the answer was done"))
        self._batch.stance.leave()
        with self._changed:
            self._drain_until = self._drain_until or 0.0
            self._is_away = True
            self._changed.notify_all()


def _give_way() -> None:
    """Let threads that answer people go before this one and those that torch makes for it, where Linux can."""
    with suppress(AttributeError, OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
