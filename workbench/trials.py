"""Short trainings before the real one: a grid over the recipe, and more seeds for the spread of the held-out loss.

Beside `bench.py` on the same floor; what a trial trains on and with is adapting.py's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from workbench.config import RecipeConfig
from workbench.errors import TrainingError
from workbench.training import Progress

Train = Callable[[RecipeConfig, Path], Progress]


def search_grid(recipe: RecipeConfig, tries: Sequence[dict[str, object]], folder: Path, train: Train) -> dict[str, Any]:
    """Train each combination in a folder of its own and return all losses and the `best` overrides.

    A combination that diverges is recorded as such and not taken. Equal losses: the earlier one.

    Raises:
        TrainingError: every combination diverged, or nothing is held out to compare them by.
    """
    losses: list[float | None] = []
    for number, overrides in enumerate(tries):
        tried = RecipeConfig.model_validate(recipe.model_dump() | overrides)
        try:
            losses.append(train(tried, folder / str(number)).best_loss)
        except TrainingError as error:
            if "not finite" not in str(error) and "is nan" not in str(error) and "is inf" not in str(error):
                raise
            losses.append(None)
            continue
        if losses[-1] is None:
            raise TrainingError("training.grid compares held-out losses, but no row is held out: give dev questions")
    known = [(loss, number) for number, loss in enumerate(losses) if loss is not None]
    if not known:
        raise TrainingError(f"all {len(tries)} combinations of training.grid diverged; name lower learning rates")
    return {
        "tried": [
            {"overrides": overrides, "held_out_loss": loss} for overrides, loss in zip(tries, losses, strict=True)
        ],
        "best": tries[min(known)[1]],
    }
