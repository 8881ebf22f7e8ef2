"""What a training reads and what it leaves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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
