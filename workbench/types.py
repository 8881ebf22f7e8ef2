"""The nouns: what flows between rooms (frozen dataclasses) and what crosses the disk (pydantic models).

Nothing here computes; nothing here imports another room but the filters on metadata, a noun of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from workbench.filters import Filter

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

Fact = str | int | float | bool | tuple[str, ...]  # one value of a document's metadata; dates are ISO 8601 text


class BlockKind(StrEnum):
    """What a stretch of a document is; the chunker cuts between blocks before it cuts inside one."""

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    LIST = "list"
    TABLE = "table"
    CODE = "code"


@dataclass(frozen=True, slots=True)
class Block:
    """One structural unit: `text[start:end]` of its document, in characters, end exclusive; blocks never overlap."""

    start: int
    end: int
    kind: BlockKind
    level: int = 0  # 1-6 for headings, 0 otherwise
    page: int | None = None  # counted from 1; None where the format has no pages


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a reader makes of one file, before it gets an identity."""

    title: str
    text: str
    blocks: tuple[Block, ...]
    metadata: Mapping[str, Fact] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Document:
    """A text with structure. `id` is the path below the corpus folder (posix), so the same file keeps its id.

    `readers` are the principals (users, groups, tenants) that may find it; None: everybody.
    """

    id: str
    source: str
    title: str
    text: str
    blocks: tuple[Block, ...]
    fingerprint: str  # SHA-256 of title, text and blocks, in hex
    metadata: Mapping[str, Fact] = field(default_factory=dict)
    readers: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ReadFailure:
    """A file that could not become a document: which, the kind of error, and why in one line."""

    source: str
    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """One span of a document: `document.text[start:end] == text`, in characters, end exclusive.

    A chunk that starts inside a table carries the table's header rows in `header`; where it holds them itself, none.
    """

    id: str
    document_id: str
    start: int
    end: int
    text: str
    headings: tuple[str, ...] = ()
    page: int | None = None
    header: str = ""

    @property
    def context(self) -> str:
        """Where the chunk stands, for people and models: its heading path on one line, its table header below."""
        return "\n".join(line for line in (" > ".join(self.headings), self.header) if line)

    @property
    def indexed_text(self) -> str:
        """What is embedded and searched: the context, a newline, the text."""
        return f"{self.context}\n{self.text}" if self.context else self.text


@dataclass(frozen=True, slots=True)
class EmbedderIdentity:
    """All that decides whether two vectors may be compared. A collection is stamped with it."""

    name: str
    fingerprint: str  # SHA-256 over the model's files, in hex
    dimension: int
    max_tokens: int  # special tokens included
    pooling: str
    normalised: bool
    question_prompt: str = ""
    document_prompt: str = ""
    backend: str = "torch-float32"  # what computed the vectors, and in which precision


@dataclass(frozen=True, slots=True)
class Scope:
    """Which documents a search may see at all: handed into the search, never applied to its results."""

    filter: Filter | None = None  # on metadata; None: all documents
    principals: frozenset[str] | None = None  # who asks; None: the owner of the collection, who sees everything


EVERYTHING = Scope()


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk found, with the score of the retriever that ranked it last (higher is better)."""

    chunk: Chunk
    score: float


Ranking = tuple[Hit, ...]  # best first; no chunk twice; equal scores in order of chunk id


@dataclass(frozen=True, slots=True)
class Found:
    """What retrieval has for a question, and whether it is enough to answer from."""

    ranking: Ranking  # the nearest evidence, also where it is not enough
    best_score: float | None  # of the best hit after the last step that scores; None: nothing found
    answerable: bool  # False: a threshold is set, and `best_score` is below it or there is none


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


class Frozen(BaseModel):
    """A record that crosses the disk: read-only and closed, so a misspelt field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """Token ids and which carry loss: equal lengths, at least one loss token, end-of-turn inside the mask.

    The first `n_prefix` tokens are the prompt's prefix (see `Prompt`); the adapter acts on the rest.
    """

    question_id: str
    token_ids: tuple[int, ...]
    loss_mask: tuple[bool, ...]
    n_prefix: int


@dataclass(frozen=True, slots=True)
class Adapter:
    """A trained LoRA on disk. It refuses another base model or chat template."""

    name: str
    folder: Path
    base_fingerprint: str
    template_hash: str
    rank: int
    alpha: int
    acts_from: str  # "prompt" | "question"
    trained_on: str  # fingerprint of the training examples


class Span(Frozen):
    """Characters [start, end) of a document's text. Judgments point here, not at chunks: they outlive re-chunking."""

    document_id: str
    start: int = Field(ge=0)
    end: int

    @model_validator(mode="after")
    def _not_empty(self) -> Span:
        if self.end <= self.start:
            raise ValueError(f"span end {self.end} is not after its start {self.start}")
        return self


class Split(StrEnum):
    """What a question is for. `seen`/`new` are test splits: was its document behind any training row?"""

    TRAIN = "train"
    DEV = "dev"
    SEEN = "seen"
    NEW = "new"


class Question(Frozen):
    """A question with its accepted answers. No answers: the corpus does not hold one, and saying so is right."""

    id: str
    text: str = Field(min_length=1)
    answers: tuple[str, ...] = ()
    relevant: tuple[Span, ...] = ()
    split: Split | None = None
    kind: str = "direct"
    group: str = ""  # split unit: questions of one group never straddle train and new; empty: its first document

    @property
    def answerable(self) -> bool:
        """Whether the corpus holds an answer."""
        return bool(self.answers)


class HitRecord(Frozen):
    """A retrieved span as written to records.jsonl."""

    document_id: str
    start: int
    end: int
    score: float
    in_prompt: bool


class PassageRecord(Frozen):
    """A passage some prompt held, as it was then: one line of passages.jsonl."""

    document_id: str
    start: int
    end: int
    text: str


class CaseCosts(Frozen):
    """What one answer cost. Clock times live here and in summary.json only, never beside predictions."""

    seconds: float
    retrieval_seconds: float
    prompt_tokens: int
    new_tokens: int
    peak_bytes: int = 0  # resident memory of the process, highest while its batch was answered
    peak_gpu_bytes: int = 0
    joules: float | None = None  # this answer's share of its batch; None: the machine does not tell
    cores_elsewhere: float | None = None  # that other processes kept busy meanwhile; None: not measured


class CaseRecord(Frozen):
    """One question answered by one arm: one line of records.jsonl, written when done. A score of None: not scored.

    An arm whose adapter was trained with several seeds has one record a seed.
    """

    question_id: str
    arm: str
    split: Split
    kind: str
    answer: str
    stop_reason: StopReason | None = None
    scores: dict[str, float | None] = {}
    hits: tuple[HitRecord, ...] = ()
    citations: tuple[Citation, ...] = ()
    costs: CaseCosts | None = None
    error: str | None = None
    training_seed: int | None = None  # of the arm's adapter; None: no adapter, or a run of before it was recorded
    entropy: float | None = None  # see Generation
