"""Users of the benchmark: each asks, waits for the whole answer, asks again. The peer: one `generate` a prompt."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import torch

from workbench.generation import ContinuousEngine, LocalGenerator
from workbench.types import Event, Failure, Generation, Piece, Prompt, Sampling

LONG = 3600.0


@dataclass(frozen=True, slots=True)
class Ask:
    """One question of one user."""

    prompt: Prompt
    adapter: str | None


@dataclass(frozen=True, slots=True)
class Measured:
    """One contestant on one list of questions."""

    seconds: float
    new_tokens: int
    first_token_seconds: float  # median over the questions
    answer_seconds: float  # median over the questions
    texts: tuple[str, ...] = ()

    @property
    def tokens_a_second(self) -> float:
        """New tokens over the wall's seconds."""
        return self.new_tokens / self.seconds


class _Call:
    """One question under way."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.first: float | None = None
        self.done = threading.Event()
        self.last: Event | None = None
        self.ended = 0.0

    def __call__(self, event: Event) -> None:
        if self.first is None:
            self.first = time.perf_counter()
        if not isinstance(event, Piece):
            self.last, self.ended = event, time.perf_counter()
            self.done.set()


def ask_engine(generator: LocalGenerator, asks: Sequence[Ask], *, n_users: int, new_tokens: int) -> Measured:
    """Let `n_users` users share the questions among them, each one question at a time."""
    engine = ContinuousEngine(generator, slots=n_users, queue=n_users, context_tokens=2048)
    calls: list[_Call | None] = [None] * len(asks)
    left = iter(range(len(asks)))
    lock = threading.Lock()

    def use() -> None:
        while True:
            with lock:
                number = next(left, None)
            if number is None:
                return
            call = calls[number] = _Call()
            ask = asks[number]
            engine.submit(
                ask.prompt,
                adapter=ask.adapter,
                sampling=Sampling(new_tokens),
                deadline=time.monotonic() + LONG,
                on_event=call,
            )
            call.done.wait()

    users = [threading.Thread(target=use) for _ in range(n_users)]
    started = time.perf_counter()
    for user in users:
        user.start()
    for user in users:
        user.join()
    seconds = time.perf_counter() - started
    engine.close(drain_seconds=0)
    return _sum_up([call for call in calls if call is not None], seconds)


def _sum_up(calls: Sequence[_Call], seconds: float) -> Measured:
    generations = []
    for call in calls:
        if isinstance(call.last, Failure):
            raise call.last.error
        assert isinstance(call.last, Generation)
        generations.append(call.last)
    return Measured(
        seconds=seconds,
        new_tokens=sum(generation.new_tokens for generation in generations),
        first_token_seconds=median((call.first or 0.0) - call.started for call in calls),
        answer_seconds=median(call.ended - call.started for call in calls),
        texts=tuple(generation.text for generation in generations),
    )


def ask_transformers(generator: LocalGenerator, asks: Sequence[Ask], *, new_tokens: int) -> Measured:
    """Answer one question after another with Transformers' own `generate`, as a plain server does."""
    model = generator.model
    took, texts = [], []
    with generator.active(None):
        for ask in asks:
            ids = torch.tensor([[*ask.prompt.prefix_ids, *ask.prompt.suffix_ids]])
            started = time.perf_counter()
            out = model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                min_new_tokens=new_tokens,
                max_new_tokens=new_tokens,
                pad_token_id=0,
            )
            took.append(time.perf_counter() - started)
            texts.append(generator.tokenizer.decode(out[0, ids.shape[1] :].tolist()).strip())
    return Measured(sum(took), new_tokens * len(asks), float("nan"), median(took), tuple(texts))
