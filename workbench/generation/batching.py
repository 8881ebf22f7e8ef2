"""The running batch: prompts are read in bounded stretches beside the next tokens of all answers, pass by pass.

Knows no threads and no queue (that is continuous.py): one thread calls it. A pass that fails costs the youngest of its
requests, those still reading first, and is tried again without it, so one request can neither end nor block the others.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from workbench.errors import GenerationError
from workbench.generation.local import LocalGenerator
from workbench.generation.requests import Request, Stage, runs_of
from workbench.generation.sampling import Choice, read_choices
from workbench.generation.stance import Lane, Stance
from workbench.models.slot_attention import Step, Stretch
from workbench.models.slots import Geometry, SlotCache, as_prefix
from workbench.types import Generation

log = logging.getLogger(__name__)
Over = Callable[[Request, Generation | Exception], None]


@dataclass(slots=True)
class Rows:
    """Answers decoded together: `requests[b]` has row b of `cache`."""

    cache: SlotCache
    requests: list[Request] = field(default_factory=list)


class Batcher:
    """Everything that reads or answers now."""

    def __init__(
        self, generator: LocalGenerator, geometry: Geometry, *, slots: int, chunk_tokens: int, over: Over
    ) -> None:
        """Call `over` with what became of a request, once it holds nothing any more."""
        self._generator = generator
        self._geometry = geometry
        self._slots = slots
        self._chunk_tokens = chunk_tokens
        self._over = over
        self._reading: list[Request] = []  # first come, first read
        self._lanes: dict[Lane, Rows] = {}
        self._served: dict[Lane, int] = {}  # number of each lane's last pass
        self._n_passes = 0
        self.stance = Stance(generator)
        self.prompt_tokens = 0
        self.new_tokens = 0

    def __iter__(self) -> Iterator[Request]:
        yield from list(self._reading)
        for rows in list(self._lanes.values()):
            yield from list(rows.requests)

    def __len__(self) -> int:
        return len(self._reading) + sum(len(rows.requests) for rows in self._lanes.values())

    @property
    def n_bytes(self) -> int:
        """Memory of the keys and values held, those of shared prefixes left out."""
        reading = sum(request.cache.n_bytes for request in self._reading if request.cache is not None)
        return reading + sum(rows.cache.n_bytes for rows in self._lanes.values())

    def has_room_for(self, request: Request) -> bool:
        """Whether to open it now: a slot is free, the next pass has room, and nobody is reading its prefix already."""
        if len(self) >= self._slots or sum(other.n_unread for other in self._reading) >= self._chunk_tokens:
            return False
        key = (request.owner, request.prompt.prefix_ids)
        return not any(other.in_prefix and (other.owner, other.prompt.prefix_ids) == key for other in self._reading)

    def open(self, request: Request) -> None:
        """Begin to read its prompt, behind its prefix where that is known."""
        cache = SlotCache(self._geometry, max_rows=1)
        cache.add(n_tokens=request.prompt.token_count)
        key = (request.owner, request.prompt.prefix_ids)
        if request.prompt.prefix_ids and self._generator.prefixes.holds(*key):
            prefix = self._generator.prefixes.get(*key, _never)
            cache.put(0, prefix.states)
            request.prefix_seconds = prefix.seconds
        request.cache, request.stage = cache, Stage.READING
        self._reading.append(request)

    def remove(self, request: Request, *, sound: bool = True) -> None:
        """Let a request go wherever it is; `sound`: its keys and values hold no NaN."""
        if request.stage is Stage.READING:
            self._reading.remove(request)
            request.cache = None
        elif request.stage is Stage.ANSWERING:
            lane, rows = next((lane, rows) for lane, rows in self._lanes.items() if request in rows.requests)
            row = rows.requests.index(request)
            rows.cache.remove(row, sound=sound)
            rows.requests[row] = rows.requests[-1]
            rows.requests.pop()
            if not rows.requests:
                del self._lanes[lane]

    def look_again(self) -> None:
        """Learn which adapters there are now, and move answers to where theirs is computed from here on."""
        self.stance.look_again()
        for lane, rows in list(self._lanes.items()):
            for request in [one for one in rows.requests if self.stance.lane_of(one.adapter) != lane]:
                cache = SlotCache(self._geometry, max_rows=1)
                cache.add(n_tokens=request.most_tokens)
                cache.put(0, rows.cache.take(rows.requests.index(request)))
                self.remove(request)
                request.cache, request.stage = cache, Stage.READING
                self._reading.append(request)
                self._settle(request)

    def step(self) -> None:
        """Make one pass over the model for the lane whose turn it is."""
        wanted = {self._lane_now(request) for request in self._reading} | self._lanes.keys()
        if not wanted:
            return
        lane = self.stance.choose(sorted(wanted, key=lambda lane: self._served.get(lane, 0)))
        readers = list(self._plan(lane))
        self._n_passes += 1
        self._served[lane] = self._n_passes
        rows = self._lanes.get(lane) or Rows(SlotCache(self._geometry, max_rows=self._slots))
        started = time.perf_counter()
        try:
            self.stance.take(lane)
            choices, logits = self._run(rows, readers)
        except Exception as error:
            log.exception("a pass over %d rows and %d prompts failed", len(rows.requests), len(readers))
            self._fail((readers[-1][0] if readers else rows.requests[-1]), error)
            return
        self._charge(rows, readers, time.perf_counter() - started)
        self._advance(rows, readers, choices, logits)

    def _run(self, rows: Rows, readers: list[tuple[Request, Stretch]]) -> tuple[list[Choice], torch.Tensor]:
        step = Step(rows.cache, [request.ids[-1] for request in rows.requests], [stretch for _, stretch in readers])
        runs = [(request.adapter, 1) for request in rows.requests]
        self.stance.route([*runs, *(run for request, stretch in readers for run in runs_of(request, stretch))])
        logits = step.run(self.stance.model)
        return read_choices(logits), logits

    def _plan(self, lane: Lane) -> Iterator[tuple[Request, Stretch]]:
        """Yield whose prompts are read on in the next pass, and how far."""
        left = self._chunk_tokens
        for request in self._reading:
            if left > 0 and self._lane_now(request) == lane:
                stop = request.n_read + min(left, request.n_unread)
                if request.in_prefix and self.stance.lane_of(request.adapter) != lane:
                    stop = min(stop, len(request.prompt.prefix_ids))  # what follows has another turn
                left -= stop - request.n_read
                yield request, request.stretch(stop)

    def _lane_now(self, request: Request) -> Lane:
        return self.stance.lane_of(request.owner if request.in_prefix else request.adapter)

    def _charge(self, rows: Rows, readers: list[tuple[Request, Stretch]], seconds: float) -> None:
        self.stance.spend(seconds)
        shares = [(request, 1) for request in rows.requests]
        shares += [(request, len(stretch.ids)) for request, stretch in readers]
        n_tokens = sum(n for _, n in shares)
        for request, n in shares:
            request.seconds += seconds * n / n_tokens

    def _advance(
        self, rows: Rows, readers: list[tuple[Request, Stretch]], choices: list[Choice], logits: torch.Tensor
    ) -> None:
        """Note what was read, and give every request its next token."""
        for row in range(len(rows.requests)):
            rows.cache.lengths[row] += 1
        for request, stretch in readers:
            self._note_read(request, stretch)
        takers = [*rows.requests, *(request for request, stretch in readers if stretch.wanted)]
        for request, choice, row_logits in zip(takers, choices, logits, strict=True):
            self._give(request, choice, row_logits)

    def _note_read(self, request: Request, stretch: Stretch) -> None:
        n_prefix = len(request.prompt.prefix_ids)
        stretch.cache.lengths[0] = stretch.stop
        self.prompt_tokens += len(stretch.ids)
        if stretch.start < n_prefix <= stretch.stop:
            request.prefix_seconds = request.seconds * n_prefix / stretch.stop
            request.seconds -= request.prefix_seconds
            prefix = as_prefix(stretch.cache, 0, n_tokens=n_prefix, seconds=request.prefix_seconds)
            self._generator.prefixes.get(request.owner, request.prompt.prefix_ids, lambda: prefix)

    def _give(self, request: Request, choice: Choice, logits: torch.Tensor) -> None:
        if not choice.finite:
            error = GenerationError(
                f"the model's logits are not finite after {request.prompt.token_count + len(request.ids)} tokens "
                f"(adapter {request.adapter!r}); nothing is sampled from such: look at the adapter's training"
            )
            self._fail(request, error, sound=False)
            return
        try:
            self.new_tokens += 1
            generation = request.take(choice, logits, self._generator)
            if generation is None and request.stage is Stage.READING:
                self._settle(request)
        except Exception as error:
            log.exception("an answer failed on its own")
            self._fail(request, error)
            return
        if generation is not None:
            self.remove(request)
            self._over(request, generation)

    def _settle(self, request: Request) -> None:
        """Move a request whose prompt is read to a row among those decoded together."""
        lane = self.stance.lane_of(request.adapter)
        rows = self._lanes.get(lane) or Rows(SlotCache(self._geometry, max_rows=self._slots))
        assert request.cache is not None
        row = rows.cache.add(n_tokens=request.most_tokens)
        rows.cache.put(row, request.cache.take(0))
        rows.requests.append(request)
        self._lanes[lane] = rows
        self._reading.remove(request)
        request.cache, request.stage = None, Stage.ANSWERING

    def _fail(self, request: Request, error: Exception, *, sound: bool = True) -> None:
        self.remove(request, sound=sound)
        self._over(request, error)


def _never() -> Any:
    raise AssertionError("the store said that it holds the prefix")
