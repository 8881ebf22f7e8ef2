"""Questions and what became of them: what is read from and written to an experiment's files."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, model_validator

from workbench.types.answers import Citation, StopReason
from workbench.types.frozen import Frozen


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
    scores: dict[str, float | None] = Field({})
    hits: tuple[HitRecord, ...] = ()
    citations: tuple[Citation, ...] = ()
    costs: CaseCosts | None = None
    error: str | None = None
    training_seed: int | None = None  # of the arm's adapter; None: no adapter, or a run of before it was recorded
    entropy: float | None = None  # see Generation
