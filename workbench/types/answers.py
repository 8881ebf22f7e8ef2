"""From a question and its passages to an answer: the prompt, the text generated, where it points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from workbench.types.frozen import Frozen
from workbench.types.searching import Ranking


class Message(NamedTuple):
    """One chat turn."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model reads, in two parts: `prefix_ids` (system text, passages) and `suffix_ids` (from the question on).

    The prefix does not depend on the question, so its keys and values can be computed once by the base model
    and shared by every arm, adapter and question over the same passages. The n-th hit is cited as [n].
    """

    messages: tuple[Message, ...]
    prefix_ids: tuple[int, ...]
    suffix_ids: tuple[int, ...]
    hits: Ranking = ()
    cut: Ranking = ()  # hits that did not fit the token budget
    found: Ranking = ()  # all that retrieval found, to the recorded depth
    refused: bool = False  # nothing found scores above the threshold: not generated, `hits` are the nearest evidence

    @property
    def token_count(self) -> int:
        """Tokens of the whole prompt."""
        return len(self.prefix_ids) + len(self.suffix_ids)


class StopReason(StrEnum):
    """Why generation ended."""

    END = "end"  # the model ended its turn
    NEWLINE = "newline"  # generation.stop_at_newline, and the model began a second line
    STOP = "stop"  # one of the texts that whoever asked named
    LENGTH = "length"  # max_new_tokens reached
    REFUSED = "refused"  # not generated: retrieval.threshold says that the documents do not hold the answer


@dataclass(frozen=True, slots=True)
class Generation:
    """One generated text and what it cost. `seconds` is this prompt's share of its batch, prefix included."""

    text: str
    prompt_tokens: int
    new_tokens: int
    seconds: float
    stop_reason: StopReason
    entropy: float | None = None  # of the choice of each new token, averaged, in nats; None: not measured


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the tokens of one answer are chosen, and when it ends. Temperature 0 is greedy: ties go to the lower id."""

    max_new_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0  # in (0, 1]: the smallest set of tokens that holds this much of the probability
    seed: int | None = None  # None: another answer each time, where the temperature is above 0
    stop: tuple[str, ...] = ()  # texts before which the answer ends
    one_line: bool = False  # it also ends at its first line break, as the experiment's answers do


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of an answer under way: whole characters, never a part of a stop text."""

    text: str


@dataclass(frozen=True, slots=True)
class Failure:
    """An answer that will not come, and why; what was sent of it before stays sent."""

    error: Exception


Event = Piece | Generation | Failure  # of an answer under way; the last is a Generation or a Failure, and only the last


@dataclass(frozen=True, slots=True)
class EngineLoad:
    """What an engine is doing, and what it has done since it was made."""

    running: int
    waiting: int
    slots: int
    prompt_tokens: int = 0  # read, those of shared prefixes counted once
    new_tokens: int = 0


class Citation(Frozen):
    """A passage number the answer names, resolved to the span of the document behind it."""

    number: int
    document_id: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Route:
    """The arm a router chose for a question. `expected`: each arm's score less what its seconds weigh; may be empty."""

    arm: str
    expected: Mapping[str, float]
    why: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A question answered: each citation is one of `prompt.hits`. `route`: None, the arm was named by whoever asked."""

    question_id: str
    prompt: Prompt
    generation: Generation
    citations: tuple[Citation, ...]
    route: Route | None = None
