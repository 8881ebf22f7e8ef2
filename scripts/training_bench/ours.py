"""This project's `train_adapter` as a contestant: the whole loop as `workbench train` runs it, its steps clocked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

import workbench.training.loop
from training_bench.child import clocked
from training_bench.task import Row, Task
from workbench.config import RecipeConfig
from workbench.models import find_model, load_generator
from workbench.models.adapters import peft_quieted
from workbench.training import BEST, TrainingJob, train_adapter
from workbench.training.updates import Updater
from workbench.types import TrainingExample


class Ours:
    """Plain LoRA (`setting` "prompt"), or the adapter behind the base's shared prefill ("question")."""

    def __init__(self, task: Task, rows: list[Row]) -> None:
        """Load the model."""
        self.task = task
        self.installed = find_model(task.model, kind="generator")
        self.model, tokenizer = load_generator(
            self.installed, device=task.device, dtype=getattr(torch, task.dtype), quantize=task.quantize
        )
        assert isinstance(tokenizer.eos_token_id, int)
        self.pad_id = tokenizer.eos_token_id
        self.job = TrainingJob(
            name="bench",
            rows=tuple(to_example(row, acts_from=task.setting) for row in rows),
            held_out=(),
            recipe=make_recipe(task),
            seed=task.seed,
            base_fingerprint=self.installed.fingerprint,
            template_hash="",
        )

    def train(self) -> dict[str, Any]:
        """Train and return losses and seconds of the steps, and the rows held in memory at once."""
        seconds: list[float] = []
        rows_at_once: list[int] = []
        device = self.task.device

        class Clocked(Updater):
            def step(self, batch: Sequence[TrainingExample]) -> dict[str, float]:
                taken, record = clocked(lambda: Updater.step(self, batch), device)
                seconds.append(taken)
                rows_at_once.append(self.rows_at_once)
                return record  # type: ignore[no-any-return]

        loop: Any = workbench.training.loop
        loop.Updater = Clocked  # the loop offers no other place to hold a clock to a step
        try:
            progress = train_adapter(self.job, self.model, Path(self.task.folder), pad_id=self.pad_id)
        finally:
            loop.Updater = Updater
        return {
            "step_seconds": seconds,
            "losses": [step["loss"] for step in progress.steps],
            "rows_at_once": max(rows_at_once),
            "planned_bytes": progress.planned_bytes,
        }

    def adapted(self) -> Any:
        """Return the base with the adapter that was kept, as PEFT loads it from the disk."""
        with peft_quieted():
            return PeftModel.from_pretrained(self.model, str(Path(self.task.folder) / BEST)).eval()


def make_recipe(task: Task) -> RecipeConfig:
    """Return the task as a recipe of ours: no evaluations inside, the last adapter kept."""
    return RecipeConfig(
        r=task.r,
        alpha=task.alpha,
        learning_rate=task.learning_rate,
        weight_decay=task.weight_decay,
        clip_norm=task.clip_norm,
        epochs=task.epochs,
        batch_size=task.batch_size,
        micro_batch_size=task.batch_size,
        acts_from="question" if task.setting == "question" else "prompt",
        compile=task.compile,
        evaluations=1,
        keep="last",
    )


def to_example(row: Row, *, acts_from: str) -> TrainingExample:
    """Return the row as the loop wants it."""
    return TrainingExample(
        question_id="",
        token_ids=tuple(row.token_ids),
        loss_mask=tuple(map(bool, row.loss_mask)),
        n_prefix=row.n_prefix if acts_from == "question" else 0,
    )
