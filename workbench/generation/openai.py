"""Batches of prompts answered by a server elsewhere that speaks OpenAI's API. No weights are loaded here.

The prompts travel as messages: the server renders them by its own copy of the chat template, makes tokens of the whole
(here the part before the question is encoded apart, so a token may differ at that seam) and takes its own stop token.
What it serves is the user's word, `model` and `adapters`; that it serves these names is checked where it lists them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from workbench.config import OpenAIEngineConfig
from workbench.errors import MergeError, RemoteEngineError
from workbench.generation.loop_thread import LoopThread
from workbench.generation.openai_engine import OpenAIEngine
from workbench.generation.remote import RemoteServer, name_there
from workbench.models.adapters import read_adapter
from workbench.models.chat import HfChatTokenizer
from workbench.types import Adapter, Generation, Prompt, Sampling

Result = TypeVar("Result")
Asking = Callable[[RemoteServer], Awaitable[Result]]


class OpenAIGenerator:
    """Implements `contracts.Generator`; greedy, with `concurrent` requests in flight."""

    def __init__(
        self,
        config: OpenAIEngineConfig,
        tokenizer: HfChatTokenizer,
        *,
        base_fingerprint: str,
        stop_at_newline: bool = False,
    ) -> None:
        """Connect to nothing yet."""
        self._config, self._tokenizer, self._newline = config, tokenizer, stop_at_newline
        self._base_fingerprint = base_fingerprint
        self._served: list[str] | None = None  # None: it lists none, or was not asked yet
        self._asked = False
        self.adapters: dict[str, Adapter] = {}

    def load_adapter(self, name: str, folder: Path, *, merge: bool = False) -> None:
        """Check that the adapter fits base and template, and that the server has it. It is not sent there.

        Raises:
            AdapterMismatchError: another base or template, or generation.engine.adapters does not name it.
            MergeError: a server merges nothing.
            RemoteEngineError: the server does not serve its name.
        """
        if merge:
            raise MergeError(f"adapter {name!r} is to be merged, but {self._config.url} merges nothing")
        adapter = read_adapter(
            folder, name=name, base_fingerprint=self._base_fingerprint, template_hash=self._tokenizer.template_hash
        )
        self._refuse_unserved(name_there(self._config, name))
        self.adapters[name] = adapter

    def open_engine(self, *, queue: int) -> OpenAIEngine:
        """Return an engine of many users over the same server; `queue` of their answers may wait."""
        return OpenAIEngine(self._config, count_tokens=self._count, queue=queue)

    def _count(self, text: str) -> int:
        return len(self._tokenizer.encode(text))

    def generate(self, prompts: Sequence[Prompt], *, adapter: str | None, max_new_tokens: int) -> list[Generation]:
        """Answer one batch, in order. `seconds` is an equal share of the batch; the first error ends it.

        Raises:
            RemoteEngineError: the server cannot be reached, refuses, or takes longer than timeout_seconds.
            AdapterMismatchError: generation.engine.adapters has no such adapter.
        """
        if not prompts:
            return []
        self._refuse_unserved(name_there(self._config, adapter))
        sampling = Sampling(max_new_tokens)
        started = time.perf_counter()
        answers = self._ask([_answering(prompt, adapter, sampling) for prompt in prompts])
        share = (time.perf_counter() - started) / len(prompts)
        return [replace(answer, seconds=share) for answer in answers]

    def score(self, prompts: Sequence[Prompt], texts: Sequence[str], *, adapter: str | None) -> list[float]:
        """Return for each prompt the log-probability of its text: nats a token, averaged, end-of-turn left out.

        Raises:
            RemoteEngineError: as `generate`, or the server gives no log-probabilities of what it reads.
        """
        answers = [self._tokenizer.encode(text) for text in texts]
        return self._ask(
            [
                _scoring((*prompt.prefix_ids, *prompt.suffix_ids, *ids), len(ids), adapter)
                for prompt, ids in zip(prompts, answers, strict=True)
            ]
        )

    def _refuse_unserved(self, name: str) -> None:
        if not self._asked:
            (self._served,) = self._ask([RemoteServer.models])
            self._asked = True
        if self._served is not None and name not in self._served:
            raise RemoteEngineError(
                f"{self._config.url} does not serve {name!r}; it serves: {', '.join(self._served) or 'nothing'}"
            )

    def _ask(self, wanted: Sequence[Asking[Result]]) -> list[Result]:
        with LoopThread("openai-generator") as thread:
            return thread.run(self._gather(wanted))

    async def _gather(self, wanted: Sequence[Asking[Result]]) -> list[Result]:
        gate = asyncio.Semaphore(self._config.concurrent)

        async def ask(server: RemoteServer, asking: Asking[Result]) -> Result:
            async with gate:
                try:
                    async with asyncio.timeout(self._config.timeout_seconds):
                        return await asking(server)
                except TimeoutError as error:
                    raise RemoteEngineError(
                        f"{self._config.url} was not done within {self._config.timeout_seconds:g} s, attempts "
                        "included; raise generation.engine.timeout_seconds"
                    ) from error

        async with RemoteServer(self._config, count_tokens=self._count, newline=self._newline) as server:
            tasks = [asyncio.create_task(ask(server, asking)) for asking in wanted]
            try:
                return await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)


def _answering(prompt: Prompt, adapter: str | None, sampling: Sampling) -> Asking[Generation]:
    return lambda server: server.answer(prompt, adapter, sampling)


def _scoring(ids: Sequence[int], n_scored: int, adapter: str | None) -> Asking[float]:
    return lambda server: server.log_probability(ids, n_scored, adapter)
