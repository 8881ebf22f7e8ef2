"""A road: rows laid out for a training of some steps, and the contestants that take it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

from training_bench.flops import Geometry, count_ours, count_trl
from training_bench.task import Row, Task, write_rows
from workbench.config import RecipeConfig
from workbench.training.batches import learning_rate_at, order_epoch
from workbench.types import TrainingExample

TOLD = ("batch_size", "r", "alpha", "epochs", "dtype", "quantize", "compile", "device")


@dataclass(frozen=True, slots=True)
class Ground:
    """What all trainings of a session stand on."""

    model: str
    model_folder: Path
    device: str
    dtype: str
    quantize: str  # "none" | "nf4"
    work: Path  # rows are written here


@dataclass(frozen=True, slots=True)
class Road:
    """Rows in the order of a training. `task` is ours through the whole prompt; the others differ in who and how."""

    rows: list[Row]
    task: Task

    @property
    def batches(self) -> list[list[Row]]:
        """The rows of each step."""
        return [[self.rows[index] for index in batch] for batch in self.task.order]

    @property
    def step_tokens(self) -> list[int]:
        """Tokens of each step, padding left out."""
        return [sum(len(row.token_ids) for row in batch) for batch in self.batches]

    def task_of(self, contestant: str, setting: str) -> Task:
        """Return the task of another contestant on the same rows."""
        return replace(self.task, contestant=contestant, setting=setting)

    def count_flops(self, task: Task, *, after: int = 0) -> float:
        """Return the operations `task` cannot do without in the steps after the first `after`."""
        geometry = Geometry.read(Path(task.model_folder), r=task.r)
        batches = self.batches[after:]
        if task.contestant == "ours":
            return count_ours(geometry, batches, acts_from=task.setting)
        return count_trl(geometry, batches, checkpointing=task.setting == "default", on_gpu=task.device == "cuda")

    def describe(self) -> dict[str, Any]:
        """Return what the figures are about."""
        prefixes = {tuple(row.token_ids[: row.n_prefix]) for row in self.rows if row.n_prefix}
        return {
            "rows": len(self.rows),
            "tokens_a_row": mean(len(row.token_ids) for row in self.rows),
            "loss_tokens_a_row": mean(sum(row.loss_mask) for row in self.rows),
            "prefix_tokens_a_row": mean(row.n_prefix for row in self.rows),
            "distinct_prefixes": len(prefixes),
            "steps": len(self.task.order),
        } | {name: getattr(self.task, name) for name in TOLD}


def lay_out(
    rows: list[Row], recipe: RecipeConfig, ground: Ground, *, epochs: int, seed: int, held_out: Sequence[Row] = ()
) -> Road:
    """Return the road over `rows`, whose order and rates are those our loop takes; the rows go to a file."""
    examples = [TrainingExample("", tuple(row.token_ids), tuple(map(bool, row.loss_mask)), 0) for row in rows]
    order = [
        tuple(batch)
        for epoch in range(epochs)
        for batch in order_epoch(examples, batch_size=recipe.batch_size, seed=seed, epoch=epoch)
    ]
    short = [batch for batch in order if len(batch) != recipe.batch_size]
    assert not short, "rows have to fill their batches: the peer would cut them elsewhere"
    path = ground.work / f"rows-{len(list(ground.work.glob('rows-*')))}.json"
    write_rows(path, rows, list(held_out))
    rates = [
        learning_rate_at(step, n_steps=len(order), peak=recipe.learning_rate, warmup_ratio=recipe.warmup_ratio)
        for step in range(len(order))
    ]
    task = Task(
        contestant="ours",
        setting="prompt",
        rows=str(path),
        folder="",
        model=ground.model,
        model_folder=str(ground.model_folder),
        order=tuple(order),
        rates=tuple(rates),
        epochs=epochs,
        batch_size=recipe.batch_size,
        r=recipe.r,
        alpha=recipe.alpha,
        weight_decay=recipe.weight_decay,
        clip_norm=recipe.clip_norm,
        learning_rate=recipe.learning_rate,
        seed=seed,
        device=ground.device,
        dtype=ground.dtype,
        quantize=ground.quantize,
        compile=recipe.compile,
        held_out=bool(held_out),
    )
    return Road(rows, task)
