"""A loud random model whose tokens vary, with adapters of every kind, and a listener to an answer's events."""

import threading
import time
from pathlib import Path
from typing import Any

import torch

from tests.tiny import make_generator, make_prompts, train_tiny
from workbench.contracts import Engine
from workbench.generation import LocalGenerator
from workbench.models import HfChatTokenizer
from workbench.models.prefix import PrefixStore
from workbench.types import Event, Failure, Generation, Piece, Prompt, Sampling

ADAPTERS = ("reader", "whole", "dora", "merged")  # from the question on, from the prompt on, two that do not mix
SOON = 60.0  # seconds in which every answer of these tests is done


class Listener:
    """Collects the events of one answer; `act` is called with each in the engine's thread."""

    def __init__(self, act: Any = None) -> None:
        self.events: list[Event] = []
        self.done = threading.Event()
        self._act = act

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        if not isinstance(event, Piece):
            self.done.set()
        if self._act is not None:
            self._act(event)

    @property
    def pieces(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Piece)]

    def wait(self) -> Generation:
        """The generation; the pieces before it are its text, and there is one last event."""
        assert self.done.wait(SOON)
        last = self.events[-1]
        assert isinstance(last, Generation), last
        assert all(isinstance(event, Piece) for event in self.events[:-1])
        assert "".join(self.pieces) == last.text
        return last

    def error(self) -> Exception:
        assert self.done.wait(SOON)
        last = self.events[-1]
        assert isinstance(last, Failure), last
        assert all(isinstance(event, Piece) for event in self.events[:-1])
        return last.error


def train_adapters(folder: Path) -> dict[str, Path]:
    """Train an adapter of each kind by a step or two."""
    quick: dict[str, Any] = {"epochs": 1, "evaluations": 1}
    whole = train_tiny(folder / "whole", **quick, acts_from="prompt")
    return {
        "reader": train_tiny(folder / "reader", **quick),
        "whole": whole,
        "dora": train_tiny(folder / "dora", **quick, method="dora"),
        "merged": whole,
    }


def make_loud(folders: dict[str, Path]) -> tuple[LocalGenerator, HfChatTokenizer]:
    """A generator over random weights that say something else at every token, all adapters loaded and loud too."""
    generator, tokenizer = make_generator()
    for name, folder in folders.items():
        generator.load_adapter(name, folder, merge=name == "merged")
    noise = torch.Generator().manual_seed(3)
    for name, parameter in sorted(generator.model.named_parameters()):
        if "merged" in name or "magnitude" in name:
            continue
        torch.nn.init.normal_(parameter.data, std=0.1 if "lora" in name else 0.5, generator=noise)
    return generator, tokenizer


def forget(generator: LocalGenerator) -> None:
    """Drop the prefixes that were read so far."""
    generator.prefixes = PrefixStore(max_bytes=1e9, evict=True)


def ask(engine: Engine, prompt: Prompt, adapter: str | None = None, **asked: Any) -> Listener:
    """Submit with greedy defaults."""
    listener = Listener(asked.pop("act", None))
    deadline = time.monotonic() + asked.pop("seconds", SOON)
    sampling = Sampling(**{"max_new_tokens": 12} | asked)
    engine.submit(prompt, adapter=adapter, sampling=sampling, deadline=deadline, on_event=listener)
    return listener


__all__ = ["ADAPTERS", "Listener", "ask", "forget", "make_loud", "make_prompts", "train_adapters"]
