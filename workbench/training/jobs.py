"""What one adapter is trained on and with: all that decides its numbers, under one identity."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from workbench.config import RecipeConfig
from workbench.runs import fingerprint
from workbench.types import TrainingExample

CAPS = {"prefix_cache_gib", "prefix_disk_gib"}  # change no number


@dataclass(frozen=True)
class TrainingJob:
    """One adapter's rows, recipe, base and seed. Jobs of equal identity may resume each other."""

    name: str
    rows: tuple[TrainingExample, ...]
    held_out: tuple[TrainingExample, ...]
    recipe: RecipeConfig
    seed: int
    base_fingerprint: str
    template_hash: str

    @cached_property
    def data_fingerprint(self) -> str:
        """SHA-256 over all token ids and masks, in order."""
        return fingerprint([[row.token_ids, row.loss_mask, row.n_prefix] for row in (*self.rows, *self.held_out)])

    @cached_property
    def identity(self) -> dict[str, str]:
        """What decides the numbers, by name: data, recipe, seed, base and template, as SHA-256."""
        return {
            "data": self.data_fingerprint,
            "recipe": fingerprint(self.recipe.model_dump(exclude=CAPS)),
            "seed": fingerprint(self.seed),
            "base": self.base_fingerprint,
            "template": self.template_hash,
        }

    @property
    def n_steps(self) -> int:
        """Optimizer steps from the start to the end."""
        return -(-len(self.rows) // self.recipe.batch_size) * self.recipe.epochs
