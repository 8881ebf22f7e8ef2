"""What a server that speaks OpenAI's API sends back, read strictly: chunks of an answer, faults, log-probabilities.

Pure: bytes and JSON in, nouns out. Fields that this program does not use are passed over, whatever they hold.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from workbench.errors import RemoteEngineError
from workbench.types import Generation, StopReason


class _Delta(BaseModel):
    content: str | None = None


class _Choice(BaseModel):
    delta: _Delta = _Delta()
    finish_reason: str | None = None
    stop_reason: str | int | None = None  # vLLM: the stop text that ended the answer


class _Usage(BaseModel):
    prompt_tokens: int
    completion_tokens: int


class Chunk(BaseModel):
    """One event of a streamed answer."""

    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: Any = None


def read_chunk(event: str) -> Chunk:
    """Return a streamed event.

    Raises:
        RemoteEngineError: it is no chunk, or says that the answer failed.
    """
    try:
        chunk = Chunk.model_validate_json(event)
    except ValidationError as error:
        raise RemoteEngineError(f"sent a malformed event: {event[:200]!r}") from error
    if chunk.error is not None:
        raise RemoteEngineError(f"gave an answer up: {_message(chunk.error)}")
    return chunk


class Reply:
    """An answer under way. `text` is what was handed on, without blanks before and after the whole."""

    def __init__(self) -> None:
        self.text = ""
        self._blanks = ""  # held back: they count only where more follows
        self._end: _Choice | None = None
        self._usage: _Usage | None = None

    @property
    def ended(self) -> bool:
        """Whether the server said why the answer ended."""
        return self._end is not None

    def take(self, chunk: Chunk) -> Iterator[str]:
        """Take a chunk in and yield the text that may be shown now."""
        self._usage = chunk.usage or self._usage
        for choice in chunk.choices:
            if choice.finish_reason is not None:
                self._end = choice
            written = self._blanks + (choice.delta.content or "")
            shown = (written if self.text else written.lstrip()).rstrip()
            self._blanks = written[len(written.rstrip()) :] if self.text or shown else ""
            if shown:
                self.text += shown
                yield shown

    def finish_up(self, *, newline: bool, prompt_tokens: int, count_tokens: Callable[[str], int]) -> Generation:
        """Return the whole; the counts are the server's, or `prompt_tokens` and `count_tokens` where it sent none.

        Raises:
            RemoteEngineError: the answer ended for a reason that gives no answer.
        """
        assert self._end is not None
        usage = self._usage or _Usage(prompt_tokens=prompt_tokens, completion_tokens=count_tokens(self.text))
        return Generation(
            text=self.text,
            prompt_tokens=usage.prompt_tokens,
            new_tokens=usage.completion_tokens,
            seconds=0.0,
            stop_reason=_why(self._end, newline=newline),
        )


def _why(end: _Choice, *, newline: bool) -> StopReason:
    """Return why an answer ended. A server that does not say which stop text it met counts as a turn that ended."""
    match end.finish_reason:
        case "length":
            return StopReason.LENGTH
        case "stop" if not isinstance(end.stop_reason, str):
            return StopReason.END
        case "stop":
            return StopReason.NEWLINE if newline and end.stop_reason == "\n" else StopReason.STOP
        case other:
            raise RemoteEngineError(f"ended an answer with finish_reason {other!r}, which gives no answer")


def read_fault(body: bytes) -> str:
    """Return in one line what the body of a refusal says: OpenAI's form, Ollama's, FastAPI's, or plain text."""
    try:
        said = json.loads(body)
    except ValueError:  # not JSON, not UTF-8
        return " ".join(body.decode(errors="replace").split())[:300] or "nothing"
    found = said.get("error") or said.get("message") or said.get("detail") if isinstance(said, dict) else None
    return _message(said if found is None else found)


def read_log_probabilities(response: Any, n_tokens: int) -> list[float] | None:
    """Return the log-probability of each of `n_tokens` tokens sent but the first, echoed by /completions.

    None: the response holds none, or of another number of tokens.
    """
    try:
        scores = response["choices"][0]["logprobs"]["token_logprobs"]
        n_read = response.get("usage", {}).get("prompt_tokens", n_tokens)
        # Behind the tokens sent stands the one that was asked for, since some servers refuse to write none.
        if n_read != n_tokens or len(scores) not in (n_tokens, n_tokens + 1):
            return None
        found = [float(score) for score in scores[1:n_tokens]]
    except (LookupError, TypeError, ValueError, AttributeError):
        return None
    return found if all(map(math.isfinite, found)) else None


def _message(said: Any) -> str:
    if isinstance(said, dict) and isinstance(said.get("message"), str):
        said = said["message"]
    text = said if isinstance(said, str) else json.dumps(said)
    return " ".join(text.split())[:300]
