"""One answer under way, as the engine sees it: how much of its prompt is read, its tokens, what its asker is told."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

import torch

from workbench.generation.local import LocalGenerator
from workbench.generation.sampling import Choice, Sampler
from workbench.generation.streaming import TextStream
from workbench.models.slot_attention import Stretch
from workbench.models.slots import SlotCache
from workbench.types import Adapter, Event, Failure, Generation, Piece, Prompt, Sampling, StopReason

log = logging.getLogger(__name__)


class Stage(Enum):
    """Where a request is."""

    WAITING = auto()
    READING = auto()  # its prompt is being read, in a cache of its own
    ANSWERING = auto()  # it has a row among those decoded together
    OVER = auto()  # its last event was sent


@dataclass(eq=False, slots=True, weakref_slot=True)
class Request:
    """Implements `contracts.Ticket`. All but `cancel` is the engine thread's."""

    prompt: Prompt
    adapter: str | None
    passport: Adapter | None  # as loaded when it was asked: another one by this name is not the one meant
    owner: str | None  # who reads the prefix: the adapter, or None, the base
    sampling: Sampling
    deadline: float
    on_event: Callable[[Event], None]
    wake: Callable[[], None]
    sampler: Sampler
    stream: TextStream
    stage: Stage = Stage.WAITING
    cache: SlotCache | None = None  # while READING: one row
    ids: list[int] = field(default_factory=list)  # new tokens
    entropy: float = 0.0  # summed over them
    seconds: float = 0.0  # of the passes it took part in, its share by tokens
    prefix_seconds: float = 0.0  # what computing its prefix took, whoever had it computed
    _given_up: threading.Event = field(default_factory=threading.Event)

    def cancel(self) -> None:
        """Give the answer up within one decoding step; its last event is a Failure. Done already: nothing."""
        self._given_up.set()
        self.wake()

    @property
    def is_given_up(self) -> bool:
        """Whether `cancel` was called."""
        return self._given_up.is_set()

    @property
    def most_tokens(self) -> int:
        """What it can come to: prompt and answer."""
        return self.prompt.token_count + self.sampling.max_new_tokens

    @property
    def n_read(self) -> int:
        """Tokens of the prompt that were read."""
        return 0 if self.cache is None else self.cache.lengths[0]

    @property
    def n_unread(self) -> int:
        """Tokens of the prompt still to be read."""
        return self.prompt.token_count - self.n_read

    @property
    def in_prefix(self) -> bool:
        """Whether the next token to be read is one of the prefix."""
        return self.n_read < len(self.prompt.prefix_ids)

    def stretch(self, stop: int) -> Stretch:
        """Return its prompt's tokens from the first unread one up to `stop`."""
        assert self.cache is not None
        ids = (*self.prompt.prefix_ids, *self.prompt.suffix_ids)
        start = self.n_read
        return Stretch(self.cache, 0, start, ids[start:stop], wanted=stop == len(ids))

    def send(self, event: Event) -> None:
        """Tell the asker; what he raises is his affair."""
        if not isinstance(event, Piece):
            self.stage = Stage.OVER
        try:
            self.on_event(event)
        except Exception:
            log.exception("whoever asked raised on %s", type(event).__name__)

    def fail(self, error: Exception) -> None:
        """Send the last event: there will be no answer."""
        self.cache = None
        self.send(Failure(error))

    def take(self, choice: Choice, logits: torch.Tensor, generator: LocalGenerator) -> Generation | None:
        """Choose the next token from `logits`, shape (V,), and send what is certain of the text.

        Returns:
            The generation, not yet sent, where the answer ended with this token.
        """
        token = self.sampler.choose(logits, choice.token)
        self.ids.append(token)
        self.entropy += choice.entropy
        if token in generator.end_ids:
            return self._end(StopReason.END, self.stream.finish())
        if self.sampling.one_line and token in generator.newline_ids:
            return self._end(StopReason.NEWLINE, self.stream.finish(line_break=token))
        piece = self.stream.push(token)
        if self.stream.stopped:
            return self._end(StopReason.STOP, piece)
        if len(self.ids) == self.sampling.max_new_tokens:
            return self._end(StopReason.LENGTH, piece + self.stream.finish())
        if piece:
            self.send(Piece(piece))
        return None

    def _end(self, reason: StopReason, piece: str) -> Generation:
        if piece:
            self.send(Piece(piece))
        return Generation(
            text=self.stream.text,
            prompt_tokens=self.prompt.token_count,
            new_tokens=len(self.ids),
            seconds=self.seconds + self.prefix_seconds,
            stop_reason=StopReason.STOP if self.stream.stopped else reason,
            entropy=self.entropy / len(self.ids),
        )


def runs_of(request: Request, stretch: Stretch) -> Sequence[tuple[str | None, int]]:
    """Return whose the stretch's tokens are: the prefix's owner's, then the adapter's."""
    n_prefix = min(max(len(request.prompt.prefix_ids) - stretch.start, 0), len(stretch.ids))
    runs = ((request.owner, n_prefix), (request.adapter, len(stretch.ids) - n_prefix))
    return [run for run in runs if run[1]]
