"""The knobs of what one run cannot measure: updates, a growing corpus, fewer examples, several values of other knobs.

Descriptions are the help text.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, JsonValue

from workbench.config.base import Knobs

Share = Annotated[float, Field(gt=0, lt=1)]


class FreshnessConfig(Knobs):
    """`workbench freshness`: documents are added, changed and deleted, and each arm follows as it can."""

    shares: tuple[Share, ...] = Field(
        (0.01, 0.1, 0.5),
        min_length=1,
        description="shares of the corpus an update touches: a third of it added, changed and deleted each",
    )
    questions: int = Field(
        40, ge=1, description="questions of each kind at most: on changed, added, deleted, kept facts"
    )


class ScalingConfig(Knobs):
    """`workbench scaling`: the same questions as the corpus grows."""

    factors: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (1, 4, 16), min_length=2, description="sizes of the corpus"
    )
    distractors: Path | None = Field(
        None,
        description="folder of other documents that the corpus grows by; none: the corpus is the largest size, and the "
        "smaller ones are parts of it",
    )
    questions: int = Field(60, ge=5, description="test questions at most, drawn by the seed")


class LearningCurveConfig(Knobs):
    """`workbench learning-curve`: each trained arm on parts of its examples."""

    shares: tuple[Share, ...] = Field(
        (0.125, 0.25, 0.5), min_length=2, description="of the examples, beside all of them"
    )


class SweepConfig(Knobs):
    """`workbench sweep`: every combination of these values is a run, and the arms of all are judged together."""

    keys: dict[str, list[JsonValue] | dict[str, JsonValue]] = Field(
        {},
        description="a key of this config, dots and all, to its values: a list, or a mapping that names each, for "
        "example {training.learning_rate: [2e-4, 5e-4], retrieval.method: {words: {kind: lexical}, both: {kind: "
        "fusion}}}; not what decides which questions are asked, of which documents, or how answers are judged",
    )
    most: int = Field(16, ge=2, description="combinations at most; each is a run")
