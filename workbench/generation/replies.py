"""What a server that speaks OpenAI's API sends back, read strictly: chunks of an answer, faults, log-probabilities.

Pure: bytes and JSON in, nouns out. Fields that this program does not use are passed over, whatever they hold.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
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
    """An answer under way. `text` is what was handed on, without blanks before and after the whole.

    Stop texts are looked for here as well: some servers pass them over.
    """

    def __init__(self, *, stop: Sequence[str] = (), newline: bool = False) -> None:
        """Begin; the answer ends before any text of `stop`, and where `newline` before its first line break."""
        self.text = ""
        self._stop = tuple(dict.fromkeys([*stop, *(["\n"] if newline else [])]))
        self._newline = newline
        self._held = ""  # blanks that count only where more follows, and what may be the beginning of a stop text
        self._end: _Choice | None = None
        self._met: str | None = None  # the stop text that was found here, not there
        self._usage: _Usage | None = None

    @property
    def ended(self) -> bool:
        """Whether it is known why the answer ended."""
        return self._end is not None or self._met is not None

    @property
    def cut(self) -> bool:
        """Whether a stop text came that the server did not stop at: what it still writes is not wanted."""
        return self._met is not None

    def take(self, chunk: Chunk) -> Iterator[str]:
        """Take a chunk in and yield the text that may be shown now."""
        self._usage = chunk.usage or self._usage
        for choice in chunk.choices if not self.cut else ():
            if choice.finish_reason is not None:
                self._end = choice
            written = self._held + (choice.delta.content or "")
            found = [(place, text) for text in self._stop if (place := written.find(text)) >= 0]
            if found:
                place, self._met = min(found, key=lambda one: (one[0], -len(one[1])))
                written = written[:place]
            safe = written if self.ended else written[: len(written) - self._begun(written)]
            shown = safe.rstrip()
            self._held = written[len(shown) :]
            shown = shown if self.text else shown.lstrip()
            if shown:
                self.text += shown
                yield shown

    def _begun(self, written: str) -> int:
        """Return how many characters at the end of `written` may be the beginning of a stop text."""
        lengths = (n for text in self._stop for n in range(len(text) - 1, 0, -1) if written.endswith(text[:n]))
        return max(lengths, default=0)

    def finish_up(self, *, prompt_tokens: int, count_tokens: Callable[[str], int]) -> Generation:
        """Return the whole; the counts are the server's, or `prompt_tokens` and `count_tokens` where it sent none.

        Raises:
            RemoteEngineError: the answer ended for a reason that gives no answer.
        """
        usage = self._usage or _Usage(prompt_tokens=prompt_tokens, completion_tokens=count_tokens(self.text))
        return Generation(
            text=self.text,
            prompt_tokens=usage.prompt_tokens,
            new_tokens=usage.completion_tokens,
            seconds=0.0,
            stop_reason=self._why(),
        )

    def _why(self) -> StopReason:
        """Return why it ended. A server that does not say which stop text it met counts as a turn that ended."""
        said = self._end.stop_reason if self._end is not None else None
        met = self._met or (said if isinstance(said, str) else None)
        if met is not None:
            return StopReason.NEWLINE if self._newline and met == "\n" else StopReason.STOP
        assert self._end is not None
        match self._end.finish_reason:
            case "length":
                return StopReason.LENGTH
            case "stop":
                return StopReason.END
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
