"""The training loop: steps, held-out evaluations, checkpoints; stops early, resumes to the same bits.

The order of batches, the learning rate and dropout's seed are functions of the step. Several processes
(`accelerate launch`) share each batch; the first one writes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DistributedType
from safetensors.torch import save_file
from tqdm import tqdm

from workbench.errors import TrainingError
from workbench.hardware import return_freed_memory
from workbench.intake.adapter_settings import WEIGHTS
from workbench.models.adapters import save_passport
from workbench.models.folded_attention import folded_attention
from workbench.models.layers import checkpoint_layers, compiled_layers
from workbench.models.lean_layers import lean_layers
from workbench.models.lean_rotary import lean_rotary
from workbench.models.lora_linear import fused_lora
from workbench.models.lora_methods import FreshAdapter, create_adapter
from workbench.models.prefix import PrefixStore
from workbench.models.prefix_disk import PrefixFolder
from workbench.processes import process_count, process_rank
from workbench.runs import new_folder
from workbench.training.batches import order_epoch
from workbench.training.checkpoint import (
    Parameters,
    Progress,
    load_checkpoint,
    refuse_non_finite,
    save_checkpoint,
)
from workbench.training.jobs import TrainingJob
from workbench.training.live import LiveCurve
from workbench.training.loss import CompletionLoss, check_logits, count_loss_tokens
from workbench.training.memory import find_heaviest, fitting_micro_batch, free_bytes, plan_memory
from workbench.training.updates import Updater, gather
from workbench.types import Adapter, TrainingExample

BEST = "adapter"
SCRATCH = "prefixes"
SECONDS_BETWEEN_CHECKPOINTS = 60.0


def train_adapter(
    job: TrainingJob, model: Any, folder: Path, *, pad_id: int, tell: Callable[[str], None] = lambda _: None
) -> Progress:
    """Train into `folder`/adapter, resuming `folder`/checkpoint if it is this job's; `model` comes back bare.

    The adapter kept is the one with the lowest held-out loss; without held-out rows, or for `keep: last`, the last.

    Args:
        tell: is given lines for a person: the memory plan, and what had to be handled.

    Raises:
        TrainingError: no rows, a loss or gradient that is zero or not finite, no memory for a single row.
        CheckpointMismatchError: the folder holds another job's checkpoint.
        KeyboardInterrupt: passed on after a checkpoint was written.
    """
    if not job.rows:
        raise TrainingError(
            f"adapter {job.name!r} has no training rows: give train questions (a reader needs their `relevant` "
            f"spans), or raise training.max_tokens"
        )
    fresh = create_adapter(model, job.name, job.recipe, seed=job.seed, rows=[row.token_ids for row in job.rows])
    try:
        check_logits(fresh.model, job.rows[0].token_ids[:8])
        with (
            fused_lora(fresh.model, job.name),
            folded_attention(fresh.model),
            lean_layers(fresh.model, sealed=job.recipe.compile or job.recipe.gradient_checkpointing),
            lean_rotary(fresh.model, wanted=not job.recipe.compile),
            compiled_layers(fresh.model, wanted=job.recipe.compile),
        ):
            return _Training(job, fresh, folder, pad_id, tell).run()
    finally:
        fresh.unload()


class _Training:
    """One run of the loop: the parts that every step needs, and the progress so far."""

    def __init__(
        self, job: TrainingJob, fresh: FreshAdapter, folder: Path, pad_id: int, tell: Callable[[str], None]
    ) -> None:
        self.tell = tell
        self.job, self.folder, self.fresh, self.model = job, folder, fresh, fresh.model
        self.accelerator = Accelerator(cpu=self.model.device.type == "cpu")
        _refuse_sharding(self.accelerator.distributed_type)
        self.parameters: Parameters = {
            name: tensor for name, tensor in self.model.named_parameters() if tensor.requires_grad
        }
        recipe = job.recipe
        self.optimizer = torch.optim.AdamW(
            fresh.parameter_groups(recipe), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
        )
        self.scratch = PrefixFolder(
            folder / f"{SCRATCH}-{process_rank()}", max_bytes=recipe.prefix_disk_gib * 2**30 / process_count()
        )
        prefixes = PrefixStore(
            max_bytes=recipe.prefix_cache_gib * 2**30 / process_count(), evict=False, disk=self.scratch
        )
        checkpoint_layers(self.model, wanted=recipe.gradient_checkpointing)
        self.loss = CompletionLoss(
            self.model,
            adapter=job.name,
            prefixes=prefixes,
            pad_id=pad_id,
            share_beginnings=not recipe.gradient_checkpointing,
        )
        self.updater = Updater(job, self.loss, self.parameters, self.optimizer, self.accelerator)
        self.evaluate_at = {round(job.n_steps * part / recipe.evaluations) for part in range(recipe.evaluations + 1)}
        self.progress = self.updater.progress
        self._resumed_at = time.perf_counter()

    def run(self) -> Progress:
        """Train from the checkpoint, or from the start, to the last step."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.accelerator.main_process_first():  # it may have to put back what a kill left
            done = load_checkpoint(self.folder, self.parameters, self.optimizer, identity=self.job.identity)
        self.progress = self.updater.progress = done or self.progress
        self.live = LiveCurve(self.folder, self.progress, n_steps=self.job.n_steps) if process_rank() == 0 else None
        self._plan_memory()
        self._resumed_at = last_saved = time.perf_counter()
        try:
            self._evaluate_if_due()  # the first time, or when an interruption fell into an evaluation
            bar = tqdm(
                total=self.job.n_steps,
                initial=self.progress.step,
                desc=f"train {self.job.name}",
                disable=process_rank() > 0,
            )
            with bar:
                for batch in self._remaining_batches():
                    if self.progress.stopped_early:
                        break
                    record = self.updater.step(batch)
                    bar.set_postfix_str(f"loss {record['loss']:.3f}, {self._tokens_a_second():.0f} tokens/s")
                    bar.update()
                    if self.live is not None:
                        self.live.step(record)
                    self._evaluate_if_due()
                    if time.perf_counter() - last_saved > SECONDS_BETWEEN_CHECKPOINTS:
                        self._save()
                        last_saved = time.perf_counter()
        except KeyboardInterrupt:
            self._save()
            raise
        self._save()
        self.scratch.remove()
        self.accelerator.wait_for_everyone()
        return self.progress

    def _plan_memory(self) -> None:
        """Tell the plan; where it does not fit, take smaller micro-batches from the start.

        On a CPU that is the only chance: the kernel kills what asks for too much, it raises nothing.
        """
        batches, updater, recipe = self._remaining_batches(), self.updater, self.job.recipe
        if not batches:
            return
        cache = recipe.prefix_cache_gib * 2**30
        parts = [updater.split(batch) for batch in batches]
        heaviest = find_heaviest(part for batch in parts for part in batch)
        several = max(map(len, parts)) > 1
        plan = plan_memory(self.loss, batches, heaviest=heaviest, prefix_bytes=cache, several=several)
        free, size = free_bytes(self.model.device), len(heaviest)
        if plan.heap and not plan.fits(free):
            return_freed_memory()
            plan = replace(plan, heap=0)
        self.progress.planned_bytes = plan.total
        self.tell(plan.describe())
        if (fitting := fitting_micro_batch(plan, size=size, free=free)) < size and process_count() == 1:
            self.progress.micro_batch_size = fitting
            self.progress.events.append(
                f"step {self.progress.step + 1}: the plan does not fit the {free / 2**30:.1f} GiB that are free; "
                f"micro-batches of {fitting} rows instead of {size}, the batch stays {recipe.batch_size}"
            )
            self.tell(self.progress.events[-1])

    def _remaining_batches(self) -> list[list[TrainingExample]]:
        recipe = self.job.recipe
        batches = [
            [self.job.rows[index] for index in batch]
            for epoch in range(recipe.epochs)
            for batch in order_epoch(self.job.rows, batch_size=recipe.batch_size, seed=self.job.seed, epoch=epoch)
        ]
        return batches[self.progress.step :]

    def _evaluate_if_due(self) -> None:
        if self.progress.step in self.evaluate_at and self.progress.evaluated != self.progress.step:
            self._evaluate()
            self.progress.evaluated = self.progress.step

    def _evaluate(self) -> None:
        """Record the held-out loss (nats a token), keep the adapter if it is the best so far, stop if none was long."""
        job, progress = self.job, self.progress
        if job.held_out:
            rows = self.updater.within_memory(self._held_out_rows)
            loss = sum(rows) / count_loss_tokens(job.held_out)
            progress.held_out.append({"step": progress.step, "loss": loss})
            if self.live is not None:
                self.live.held_out(progress.held_out[-1])
            if not torch.isfinite(torch.tensor(loss)):
                raise TrainingError(f"the held-out loss is {loss} at step {progress.step}; nothing was saved")
            progress.held_out_rows.setdefault("before", rows)
            worse = progress.best_loss is not None and loss >= progress.best_loss
            progress.n_worse = progress.n_worse + 1 if worse else 0
            progress.stopped_early = job.recipe.patience is not None and progress.n_worse >= job.recipe.patience
            if job.recipe.keep == "best" and worse:
                return
            progress.best_loss = loss
            progress.held_out_rows["kept"] = rows
        progress.best_step = progress.step
        self._save_adapter()

    def _held_out_rows(self) -> list[float]:
        """Return each held-out row's loss in nats, summed over its loss tokens, in order."""
        self.model.set_adapter(self.job.name)
        self.model.eval()
        mine = self.job.held_out[process_rank() :: process_count()]
        losses = [loss for part in self.updater.split(mine) for loss in self.loss.per_example(part)]
        return gather(self.accelerator, losses)

    def _save_adapter(self) -> None:
        job = self.job
        tensors, config = self.fresh.weights()
        refuse_non_finite(tensors, self.progress.step)
        if process_rank() > 0:
            return
        adapter = Adapter(
            name=job.name,
            folder=self.folder / BEST,
            base_fingerprint=job.base_fingerprint,
            template_hash=job.template_hash,
            rank=config.r,
            alpha=config.lora_alpha,
            acts_from=job.recipe.acts_from,
            trained_on=job.data_fingerprint,
        )
        with new_folder(adapter.folder) as temporary:
            save_file(tensors, temporary / WEIGHTS)
            config.save_pretrained(str(temporary))
            save_passport(adapter, temporary)

    def _save(self) -> None:
        now = time.perf_counter()
        self.progress.seconds += now - self._resumed_at
        self._resumed_at = now
        if process_rank() == 0:
            save_checkpoint(self.folder, self.parameters, self.optimizer, self.progress, identity=self.job.identity)

    def _tokens_a_second(self) -> float:
        seconds = self.progress.seconds + time.perf_counter() - self._resumed_at
        return self.progress.tokens / max(seconds, 1e-9)


def _refuse_sharding(kind: DistributedType) -> None:
    """Raise TrainingError where the launcher's config would shard the model: it would be ignored without a word."""
    if kind not in (DistributedType.NO, DistributedType.MULTI_CPU, DistributedType.MULTI_GPU):
        raise TrainingError(
            f"the launcher is set to {kind.value}, but each process here holds the whole model and shares the batch; "
            f"launch with --multi_gpu alone, and for a base that is too large set models.quantize: nf4"
        )
