"""The nouns: what flows between rooms (frozen dataclasses) and what crosses the disk (pydantic models).

Nothing here computes; nothing here imports another room but the filters on metadata, a noun of their own.
"""

from workbench.types.answers import (
    Answer,
    Citation,
    EngineLoad,
    Event,
    Failure,
    Generation,
    Message,
    Piece,
    Prompt,
    Route,
    Sampling,
    StopReason,
)
from workbench.types.arrays import Bool, Float32, Int64
from workbench.types.documents import Block, BlockKind, Chunk, Document, Fact, Parsed, ReadFailure
from workbench.types.frozen import Frozen
from workbench.types.learning import Adapter, TrainingExample
from workbench.types.records import CaseCosts, CaseRecord, HitRecord, PassageRecord, Question, Span, Split
from workbench.types.searching import EVERYTHING, EmbedderIdentity, Found, Hit, Ranking, Scope

__all__ = [
    "EVERYTHING",
    "Adapter",
    "Answer",
    "Block",
    "BlockKind",
    "Bool",
    "CaseCosts",
    "CaseRecord",
    "Chunk",
    "Citation",
    "Document",
    "EmbedderIdentity",
    "EngineLoad",
    "Event",
    "Fact",
    "Failure",
    "Float32",
    "Found",
    "Frozen",
    "Generation",
    "Hit",
    "HitRecord",
    "Int64",
    "Message",
    "Parsed",
    "PassageRecord",
    "Piece",
    "Prompt",
    "Question",
    "Ranking",
    "ReadFailure",
    "Route",
    "Sampling",
    "Scope",
    "Span",
    "Split",
    "StopReason",
    "TrainingExample",
]
