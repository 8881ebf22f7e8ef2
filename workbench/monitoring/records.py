"""What a server writes down of each question and of each reader's verdict: one JSON line a record. Nouns only.

What stands in a line is decided here and in `QueryLog`: nothing else writes words of a question to disk.
"""

from __future__ import annotations

import base64
import binascii
from typing import Literal

import numpy as np
from pydantic import AwareDatetime, Field

from workbench.types import Float32, Frozen, Span, StopReason

Mode = Literal["off", "measures", "content"]


class QueryRecord(Frozen):
    """One request and what became of it. None: it does not apply, or was not measured."""

    format: Literal[1] = 1
    response_id: str = Field(min_length=1)  # what feedback names
    time: AwareDatetime  # when the request came
    key: str | None = None  # the key's name, never the key
    model: str  # as asked for
    arm: str | None = None  # the arm that answered, behind a routed one too
    collection: str | None = None
    collection_state: str | None = None  # its fingerprint or generation when it was searched
    depth: int | None = None  # passages asked for
    best_score: float | None = None  # of the best hit; None: nothing found, or not searched
    n_passages: int = Field(0, ge=0)  # in the prompt
    refused: bool = False  # nothing found was good enough, so nothing was generated
    stop_reason: StopReason | None = None
    prompt_tokens: int = Field(0, ge=0)
    new_tokens: int = Field(0, ge=0)
    retrieval_seconds: float | None = None
    first_token_seconds: float | None = None
    seconds: float | None = None  # from the request to the last token
    error: str | None = None  # its kind, for example DeadlineError; never its words
    embedder: str | None = None  # fingerprint: embeddings of two embedders are never compared
    embedding: str | None = None  # of the question: `pack_embedding`
    question: str | None = None  # content only, as are the two below
    answer: str | None = None
    passages: tuple[Span, ...] = ()

    def without_words(self) -> QueryRecord:
        """Return the record without question, answer, and the places of its passages."""
        return self.model_copy(update={"question": None, "answer": None, "passages": ()})


class FeedbackRecord(Frozen):
    """What a reader said of one answer. The last record of a response counts."""

    format: Literal[1] = 1
    response_id: str = Field(min_length=1)
    time: AwareDatetime
    key: str | None = None
    rating: Literal[1, -1]
    correction: str | None = None  # the answer it should have been
    comment: str | None = None


def pack_embedding(vector: Float32) -> str:
    """Return a question's embedding, shape (D,), as base64 of little-endian float16: 2 D bytes.

    Rounding moves the cosine of two unit vectors by less than 1e-3.
    """
    return base64.b64encode(np.asarray(vector, dtype="<f2").tobytes()).decode("ascii")


def unpack_embedding(text: str, dimension: int) -> Float32 | None:
    """Return what `pack_embedding` packed, shape (D,); None: it is not `dimension` finite numbers."""
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(content) != 2 * dimension:
        return None
    vector = np.frombuffer(content, dtype="<f2").astype(np.float32)
    return vector if np.isfinite(vector).all() and vector.any() else None
