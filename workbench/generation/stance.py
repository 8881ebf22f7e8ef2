"""With whose weights the model answers now: base and mixable adapters together, or one adapter that must be alone.

Taking another stance costs a moment (an adapter that is merged: a pass over all weights), so the engine stays in one
for a while when several are wanted. Only the engine's thread may use this.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from workbench.generation.local import LocalGenerator
from workbench.models.mixed_lora import LoraMixer

Lane = str | None  # None: the base and every adapter that mixes; a name: the adapter that does not
STAY = (
    4.0  # a stance is kept for as many times what taking it cost, so that switching takes a fifth of the time at most
)


class Stance:
    """The weights of one generator's model."""

    def __init__(self, generator: LocalGenerator) -> None:
        self._generator = generator
        self._mixer = LoraMixer(generator.model)
        self._block: ExitStack | None = None
        self._lane: Lane = None
        self._cost = 0.0  # seconds that taking it took
        self._used = 0.0  # seconds of passes since

    @property
    def model(self) -> Any:
        """The model with its output layer, below PEFT's wrapper."""
        model = self._generator.model
        return model.get_base_model() if hasattr(model, "get_base_model") else model

    def lane_of(self, adapter: str | None) -> Lane:
        """Return with whom an adapter's tokens are read."""
        if adapter is None or (adapter in self._mixer.mixable and not self._generator.is_merged(adapter)):
            return None
        return adapter

    def choose(self, wanted: Sequence[Lane]) -> Lane:
        """Return which of `wanted`, not empty and longest unserved first, has its turn now."""
        if self._block is not None and self._lane in wanted:
            others = [lane for lane in wanted if lane != self._lane]
            if not others or self._used < STAY * self._cost:
                return self._lane
            return others[0]
        return wanted[0]

    def take(self, lane: Lane) -> None:
        """Answer with the weights of `lane` from here on."""
        if self._block is not None and self._lane == lane:
            return
        self.leave()
        started = time.perf_counter()
        with ExitStack() as block:
            block.enter_context(self._generator.active(lane))
            if lane is None:
                block.enter_context(self._mixer.installed())
            self._block = block.pop_all()
        self._lane, self._cost, self._used = lane, time.perf_counter() - started, 0.0

    def route(self, runs: Sequence[tuple[str | None, int]]) -> None:
        """Say whose the tokens of the next pass are; matters where several share it."""
        if self._lane is None:
            self._mixer.route(runs)

    def spend(self, seconds: float) -> None:
        """Count time towards the end of the turn."""
        self._used += seconds

    def leave(self) -> None:
        """Give the model back as it was."""
        if self._block is not None:
            block, self._block = self._block, None
            block.close()

    def look_again(self) -> None:
        """Learn which adapters there are now."""
        self.leave()
        self._mixer = LoraMixer(self._generator.model)
