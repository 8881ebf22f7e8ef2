"""A server that speaks OpenAI's API, as far as answers need it: what is sent, what comes back, what is tried again.

Not an engine: no queue and no order. openai.py answers batches over it, openai_engine.py many users.
Tried again is only what cannot have been answered: no connection, 429, 503; and never once a piece was handed on.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import httpx

from workbench import offline
from workbench.config import OpenAIEngineConfig
from workbench.errors import AdapterMismatchError, ConfigError, RemoteEngineError
from workbench.generation.replies import Reply, read_chunk, read_fault, read_log_probabilities
from workbench.generation.sse import EventParser
from workbench.types import Generation, Prompt, Sampling

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 30.0  # seconds between attempts; doubled each time
CONNECT_SECONDS = 10.0
PASSING = (429, 503)  # busy, or starting: the same request may be answered later
Result = TypeVar("Result")


class _PassingError(RemoteEngineError):
    """May be gone at the next attempt; `pause` is how many seconds the server asked to be left alone."""

    def __init__(self, message: str, pause: float | None = None) -> None:
        super().__init__(message)
        self.pause = pause


class _RefusedError(RemoteEngineError):
    """The server is there and answered with a status that is not 200."""


class RemoteServer:
    """One server. Belongs to one event loop; use it as an async context manager."""

    def __init__(self, config: OpenAIEngineConfig, *, count_tokens: Callable[[str], int], newline: bool) -> None:
        """Connect to nothing yet.

        Args:
            count_tokens: by the tokenizer of models.generator, for a server that does not count.
            newline: an answer ends before its first line break.
        Raises:
            ConfigError: the environment variable of its key is not set.
        """
        self._config, self._count, self._newline = config, count_tokens, newline
        key = _read_key(config)
        address = urlsplit(config.url)
        assert address.hostname is not None  # the config has been checked
        offline.allow_host(address.hostname, address.port or (443 if address.scheme == "https" else 80))
        self._client = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(
                config.timeout_seconds, connect=min(CONNECT_SECONDS, config.timeout_seconds), pool=None
            ),
            # Not to the environment's proxies, and not to where a redirect points: the address is the user's word.
            trust_env=False,
            follow_redirects=False,
            # Python's own trust store, so that a house's own authority can be named by SSL_CERT_FILE.
            verify=ssl.create_default_context() if config.url.startswith("https:") else False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def models(self) -> list[str] | None:
        """Return the names of the models it serves; None: it lists none. Raises RemoteEngineError as `answer`."""
        try:
            listed = await self._persist(lambda: self._send("GET", "models", None))
        except _RefusedError:
            return None
        try:
            return [str(one["id"]) for one in listed["data"]]
        except (LookupError, TypeError) as error:
            raise self._fault(f"lists its models in an unknown form: {str(listed)[:200]}") from error

    async def answer(
        self, prompt: Prompt, adapter: str | None, sampling: Sampling, on_text: Callable[[str], None] = lambda _: None
    ) -> Generation:
        """Answer one prompt; `on_text` gets each piece, without blanks around the whole. `seconds` is left at 0.

        Raises:
            RemoteEngineError: it cannot be reached, or answers with an error, or in a form that is none.
            AdapterMismatchError: it has no such adapter.
        """
        body = self._chat_body(prompt, name_there(self._config, adapter), sampling)
        reply = await self._persist(lambda: self._stream(body, sampling.stop, on_text))
        try:
            return reply.finish_up(prompt_tokens=prompt.token_count, count_tokens=self._count)
        except RemoteEngineError as error:
            raise self._fault(str(error)) from error

    async def log_probability(self, ids: Sequence[int], n_scored: int, adapter: str | None) -> float:
        """Return the log-probability of the last `n_scored` of `ids`: nats a token, averaged.

        Token ids are sent, no text, so that both sides mean the same tokens.

        Raises:
            RemoteEngineError: as `answer`, or it returns no log-probabilities of what it read.
        """
        options = {"echo": True, "logprobs": 1, "max_tokens": 1, "temperature": 0}
        body = {"model": name_there(self._config, adapter), "prompt": list(ids), **options}
        scores = read_log_probabilities(await self._persist(lambda: self._send("POST", "completions", body)), len(ids))
        if scores is None:
            raise self._fault(
                f"gives no log-probability for each of the {len(ids)} tokens it was sent, so it cannot score answers; "
                "take a server that does, or set generation.engine.scores: false"
            )
        return sum(scores[-n_scored:]) / n_scored

    def _chat_body(self, prompt: Prompt, model: str, sampling: Sampling) -> dict[str, Any]:
        stop = dict.fromkeys([*sampling.stop, *(["\n"] if self._newline or sampling.one_line else [])])
        return {
            **self._config.request,
            "model": model,
            "messages": [message._asdict() for message in prompt.messages],
            "max_tokens": sampling.max_new_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "stream": True,
            "stream_options": {"include_usage": True},
            **({"stop": list(stop)} if stop else {}),
            **({"seed": sampling.seed} if sampling.seed is not None else {}),
        }

    async def _persist(self, attempt: Callable[[], Awaitable[Result]]) -> Result:
        """Return what `attempt` returns, made anew after a growing pause where its error may pass."""
        for number in range(self._config.retries):
            try:
                return await attempt()
            except _PassingError as error:
                wanted = FIRST_PAUSE * 2**number if error.pause is None else error.pause
                await asyncio.sleep(min(wanted, LONGEST_PAUSE))
        return await attempt()

    async def _stream(self, body: Mapping[str, Any], stop: Sequence[str], on_text: Callable[[str], None]) -> Reply:
        reply = Reply(stop=stop, newline=self._newline)
        try:
            async with self._client.stream("POST", self._address("chat/completions"), json=body) as response:
                if response.status_code != httpx.codes.OK:
                    raise self._refusal(response, await response.aread())
                await self._read(response, reply, on_text)
        except httpx.HTTPError as error:
            raise self._broken(error, n_characters=len(reply.text)) from error
        if not reply.ended:
            raise self._fault(f"ended its stream within an answer, after {len(reply.text)} characters")
        return reply

    async def _read(self, response: httpx.Response, reply: Reply, on_text: Callable[[str], None]) -> None:
        parser = EventParser()
        async for content in response.aiter_bytes():
            try:
                for event in parser.feed(content):
                    for text in reply.take(read_chunk(event)) if event != "[DONE]" else ():
                        on_text(text)
            except RemoteEngineError as error:
                raise self._fault(str(error)) from error
            if reply.cut:
                return  # closes the connection

    async def _send(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        try:
            response = await self._client.request(method, self._address(path), json=body)
        except httpx.HTTPError as error:
            raise self._broken(error, n_characters=0) from error
        if response.status_code != httpx.codes.OK:
            raise self._refusal(response, response.content)
        try:
            return response.json()
        except ValueError as error:  # not JSON, not UTF-8
            raise self._fault(f"did not answer /{path} with JSON: {response.content[:200]!r}") from error

    def _address(self, path: str) -> str:
        return f"{self._config.url}/{path}"

    def _fault(self, what: str) -> RemoteEngineError:
        return RemoteEngineError(f"{self._config.url} {what}")

    def _refusal(self, response: httpx.Response, body: bytes) -> RemoteEngineError:
        """Return the error for a status that is not 200, with what the body says."""
        if response.is_redirect:
            there = response.headers.get("location", "nowhere")
            return self._fault(f"sends to {there!r}, which is not followed; name it in generation.engine.url")
        said = f"{self._config.url} answered {response.status_code} {response.reason_phrase}: {read_fault(body)}"
        if response.status_code not in PASSING:
            return _RefusedError(said)
        asked = response.headers.get("retry-after", "")
        return _PassingError(said, float(asked) if asked.isdecimal() else None)

    def _broken(self, error: httpx.HTTPError, *, n_characters: int) -> RemoteEngineError:
        """Return the error for a connection that failed, after so many characters were handed on."""
        what = str(error) or type(error).__name__
        if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
            return _PassingError(
                f"{self._config.url} cannot be reached: {what}; start it, or mend generation.engine.url"
            )
        if isinstance(error, httpx.TimeoutException):
            return self._fault(
                f"sent nothing for {self._config.timeout_seconds:g} s, after {n_characters} characters of an answer; "
                "raise generation.engine.timeout_seconds"
            )
        if n_characters:
            return self._fault(f"broke off after {n_characters} characters of an answer: {what}")
        return _PassingError(f"{self._config.url} closed the connection before it answered: {what}")


def name_there(config: OpenAIEngineConfig, adapter: str | None) -> str:
    """Return the name an adapter (None: the base) has on the server. Raises AdapterMismatchError for an unknown one."""
    if adapter is None:
        return config.model
    if adapter not in config.adapters:
        known = ", ".join(config.adapters) or "none"
        raise AdapterMismatchError(f"adapter {adapter!r} is not loaded; generation.engine.adapters has: {known}")
    return config.adapters[adapter]


def _read_key(config: OpenAIEngineConfig) -> str | None:
    if config.api_key_env is None:
        return None
    key = os.environ.get(config.api_key_env)
    if not key:
        raise ConfigError(
            f"generation.engine.api_key_env names {config.api_key_env}, which is not set; set it: "
            f"export {config.api_key_env}=KEY"
        )
    return key
