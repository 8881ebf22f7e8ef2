"""A router's draft through the engine: greedy, to the experiment's limit, waited for in the thread that plans."""

from __future__ import annotations

import threading
import time

from workbench.config import ExperimentConfig
from workbench.contracts import Engine
from workbench.types import Event, Failure, Generation, Piece, Prompt, Sampling


class Drafts:
    """Implements `answering.Generate`."""

    def __init__(self, engine: Engine, config: ExperimentConfig) -> None:
        self._engine = engine
        self._seconds = config.serving.deadline_seconds
        self._sampling = Sampling(
            max_new_tokens=config.generation.max_new_tokens,
            one_line=config.generation.stop_at_newline,
        )

    def __call__(self, prompt: Prompt, adapter: str | None) -> Generation:
        """Return the answer. Raises what the engine raises, or what the answer failed with."""
        last: list[Event] = []
        done = threading.Event()

        def take(event: Event) -> None:
            if not isinstance(event, Piece):
                last.append(event)
                done.set()

        deadline = time.monotonic() + self._seconds
        self._engine.submit(prompt, adapter=adapter, sampling=self._sampling, deadline=deadline, on_event=take)
        done.wait()  # the engine keeps to the deadline, and says so when it is closed
        (event,) = last
        if isinstance(event, Failure):
            raise event.error
        assert isinstance(event, Generation)
        return event
