"""The knobs of the gates: what a freshly trained adapter is checked for, and the bounds it is held to."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from workbench.config.base import Knobs


class GatesConfig(Knobs):
    """What is checked after a training. A failed gate is told and written down; with `enforce` it is an error."""

    enabled: bool = Field(True, description="check each adapter after its training")
    enforce: bool = Field(False, description="a failed gate ends the command with 1; the adapter stays on disk")
    general_text: Path | None = Field(
        None, description="your own text for the forgetting probe, paragraphs parted by blank lines; none: built in"
    )
    known_facts: Path | None = Field(
        None, description="your own facts, a YAML list of {text: opening, answer: its end}; none: built in"
    )
    max_forgetting: float = Field(
        0.5, gt=0, description="log-probability that general text and known facts may lose, in nats a token"
    )
    max_abstention_loss: float = Field(
        0.1, ge=0, le=1, description="by how much the share of unanswerable questions that are refused may fall"
    )
    max_over_refusal: float = Field(
        0.25, ge=0, le=1, description="share of answerable questions that may be refused beyond the base model's"
    )
    questions: int = Field(48, ge=1, description="held-out questions answered, at most, of each kind")
    rows: int = Field(200, ge=1, description="held-out rows whose loss is compared with the base, at most")
    canaries: bool = Field(False, description="plant secrets into the training rows and try to get them out again")
    canary_candidates: int = Field(
        127, ge=15, description="other secrets that a planted one is ranked among; exposure ends at log2 of one more"
    )
    max_exposure: float = Field(
        3.0, gt=0, description="mean exposure of a secret planted once that is still fine, in bits above the base model"
    )
    resamples: int = Field(2000, ge=100, description="bootstrap resamples of documents")
    confidence: float = Field(0.95, gt=0.5, lt=1)
