"""The LoRA loop: flat, on Accelerate, resumable at any step, with the guards that make its result trustworthy.

It trains one adapter on ready-made examples. Not here: where examples come from, what the loss is, what is on disk.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from peft import get_peft_model_state_dict
from safetensors.torch import save_file
from tqdm import tqdm

from workbench.config import RecipeConfig
from workbench.errors import TrainingError
from workbench.models.adapters import WEIGHTS, create_adapter, save_passport
from workbench.runs import fingerprint, new_folder, uninterrupted
from workbench.training.batches import learning_rate_at, order_epoch
from workbench.training.checkpoint import (
    Parameters,
    Progress,
    load_checkpoint,
    refuse_non_finite,
    save_checkpoint,
)
from workbench.training.loss import CompletionLoss, check_logits, count_loss_tokens
from workbench.types import Adapter, TrainingExample

BEST = "adapter"
SECONDS_BETWEEN_CHECKPOINTS = 60.0


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """What one adapter is trained on and with. Equal jobs have equal fingerprints and may resume each other."""

    name: str
    rows: tuple[TrainingExample, ...]
    held_out: tuple[TrainingExample, ...]
    recipe: RecipeConfig
    seed: int
    base_fingerprint: str
    template_hash: str

    @property
    def data_fingerprint(self) -> str:
        """SHA-256 over all token ids and masks, in order."""
        return fingerprint([[row.token_ids, row.loss_mask, row.n_prefix] for row in (*self.rows, *self.held_out)])

    @property
    def identity(self) -> str:
        """SHA-256 over all that decides the numbers."""
        recipe = self.recipe.model_dump(exclude={"prefix_cache_gib"})  # a cap changes no number
        return fingerprint(self.data_fingerprint, recipe, self.seed, self.base_fingerprint, self.template_hash)


def train_adapter(job: TrainingJob, model: Any, folder: Path, *, pad_id: int) -> Progress:
    """Train into `folder`/adapter, resuming `folder`/checkpoint if it is this job's; `model` comes back bare.

    The adapter kept is the one with the lowest held-out loss; without held-out rows, or for `keep: last`, the last.

    Raises:
        TrainingError: no rows, a loss or gradient that is zero or not finite.
        CheckpointMismatchError: the folder holds another job's checkpoint.
        KeyboardInterrupt: passed on after a checkpoint was written.
    """
    if not job.rows:
        raise TrainingError(
            f"adapter {job.name!r} has no training rows: give train questions (a reader needs their `relevant` "
            f"spans), or raise training.max_tokens"
        )
    peft_model = create_adapter(model, job.name, job.recipe, seed=job.seed)
    try:
        check_logits(peft_model, job.rows[0].token_ids[:8])
        return _Training(job, peft_model, folder, pad_id).run()
    finally:
        peft_model.unload()


class _Training:
    """One run of the loop: the parts that every step needs, and the progress so far."""

    def __init__(self, job: TrainingJob, model: Any, folder: Path, pad_id: int) -> None:
        self.job, self.folder, self.model = job, folder, model
        self.accelerator = Accelerator(cpu=model.device.type == "cpu")
        if self.accelerator.num_processes > 1:
            raise TrainingError(
                f"training runs in one process, but {self.accelerator.num_processes} were started; "
                f"run it without `accelerate launch`"
            )
        self.parameters: Parameters = {
            name: tensor for name, tensor in model.named_parameters() if tensor.requires_grad
        }
        optimizer = torch.optim.AdamW(
            self.parameters.values(), lr=job.recipe.learning_rate, weight_decay=job.recipe.weight_decay
        )
        loss = CompletionLoss(
            model, adapter=job.name, prefix_cache_bytes=job.recipe.prefix_cache_gib * 2**30, pad_id=pad_id
        )
        self.loss, self.optimizer = self.accelerator.prepare(loss, optimizer)
        per_epoch = -(-len(job.rows) // job.recipe.batch_size)
        self.n_steps = per_epoch * job.recipe.epochs
        self.evaluate_at = {
            round(self.n_steps * part / job.recipe.evaluations) for part in range(job.recipe.evaluations + 1)
        }
        self.progress = Progress()
        self._resumed_at = time.perf_counter()

    def run(self) -> Progress:
        """Train from the checkpoint, or from the start, to the last step."""
        self.folder.mkdir(parents=True, exist_ok=True)
        done = load_checkpoint(self.folder, self.parameters, self.optimizer, identity=self.job.identity)
        self.progress = done or self.progress
        self._resumed_at = last_saved = time.perf_counter()
        try:
            self._evaluate_if_due()  # the first time, or when an interruption fell into an evaluation
            with tqdm(total=self.n_steps, initial=self.progress.step, desc=f"train {self.job.name}") as bar:
                for batch in self._remaining_batches():
                    record = self._update(batch)
                    bar.set_postfix_str(f"loss {record['loss']:.3f}, {self._tokens_a_second():.0f} tokens/s")
                    bar.update()
                    self._evaluate_if_due()
                    if time.perf_counter() - last_saved > SECONDS_BETWEEN_CHECKPOINTS:
                        self._save()
                        last_saved = time.perf_counter()
        except KeyboardInterrupt:
            self._save()
            raise
        self._save()
        return self.progress

    def _evaluate_if_due(self) -> None:
        if self.progress.step in self.evaluate_at and self.progress.evaluated != self.progress.step:
            self._evaluate()
            self.progress.evaluated = self.progress.step

    def _remaining_batches(self) -> list[list[TrainingExample]]:
        recipe = self.job.recipe
        batches = [
            [self.job.rows[index] for index in batch]
            for epoch in range(recipe.epochs)
            for batch in order_epoch(self.job.rows, batch_size=recipe.batch_size, seed=self.job.seed, epoch=epoch)
        ]
        return batches[self.progress.step :]

    def _update(self, batch: Sequence[TrainingExample]) -> dict[str, float]:
        """One optimizer step over `batch`, in micro-batches whose gradients add up to the whole batch's token mean."""
        job, progress = self.job, self.progress
        # Dropout's seed is a function of the step: a resumed run draws the same masks.
        torch.manual_seed(job.seed * 1_000_003 + progress.step)
        rate = learning_rate_at(
            progress.step, n_steps=self.n_steps, peak=job.recipe.learning_rate, warmup_ratio=job.recipe.warmup_ratio
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.model.set_adapter(job.name)
        self.model.train()
        n_tokens = count_loss_tokens(batch)
        total = 0.0
        for start in range(0, len(batch), job.recipe.micro_batch_size):
            loss = self.loss(batch[start : start + job.recipe.micro_batch_size]) / n_tokens
            self.accelerator.backward(loss)
            total += loss.item()
        norm = float(self.accelerator.clip_grad_norm_(self.parameters.values(), job.recipe.clip_norm))
        self._refuse_unsound(total, norm)
        with uninterrupted():  # weights and step must not part
            self.optimizer.step()
            progress.step += 1
        self.optimizer.zero_grad()
        progress.tokens += sum(len(example.token_ids) - example.n_prefix for example in batch)
        progress.loss_tokens += n_tokens
        record = {"step": progress.step, "loss": total, "learning_rate": rate, "norm": norm}
        progress.steps.append(record)
        return record

    def _refuse_unsound(self, loss: float, norm: float) -> None:
        step = self.progress.step + 1
        for what, value in (("loss", loss), ("gradient norm", norm)):
            if not torch.isfinite(torch.tensor(value)):
                raise TrainingError(f"the {what} is {value} at step {step}; lower training.learning_rate and run again")
            if value == 0.0:
                raise TrainingError(f"the {what} is exactly 0 at step {step}: nothing is being learned; check the rows")

    @torch.no_grad()
    def _evaluate(self) -> None:
        """Record the held-out loss (nats a token) and keep the adapter if it is the best so far."""
        job, progress = self.job, self.progress
        if job.held_out:
            self.model.set_adapter(job.name)
            self.model.eval()
            size = job.recipe.micro_batch_size
            total = sum(float(self.loss(job.held_out[at : at + size])) for at in range(0, len(job.held_out), size))
            loss = total / count_loss_tokens(job.held_out)
            progress.held_out.append({"step": progress.step, "loss": loss})
            if not torch.isfinite(torch.tensor(loss)):
                raise TrainingError(f"the held-out loss is {loss} at step {progress.step}; nothing was saved")
            if job.recipe.keep == "best" and progress.best_loss is not None and loss >= progress.best_loss:
                return
            progress.best_loss = loss
        progress.best_step = progress.step
        self._save_adapter()

    def _save_adapter(self) -> None:
        job = self.job
        state = get_peft_model_state_dict(self.model, adapter_name=job.name)
        tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in state.items()}
        refuse_non_finite(tensors, self.progress.step)
        adapter = Adapter(
            name=job.name,
            folder=self.folder / BEST,
            base_fingerprint=job.base_fingerprint,
            template_hash=job.template_hash,
            rank=job.recipe.r,
            alpha=job.recipe.alpha,
            acts_from=job.recipe.acts_from,
            trained_on=job.data_fingerprint,
        )
        with new_folder(adapter.folder) as temporary:
            save_file(tensors, temporary / WEIGHTS)
            self.model.peft_config[job.name].save_pretrained(str(temporary))
            save_passport(adapter, temporary)

    def _save(self) -> None:
        now = time.perf_counter()
        self.progress.seconds += now - self._resumed_at
        self._resumed_at = now
        save_checkpoint(self.folder, self.parameters, self.optimizer, self.progress, identity=self.job.identity)

    def _tokens_a_second(self) -> float:
        seconds = self.progress.seconds + time.perf_counter() - self._resumed_at
        return self.progress.tokens / max(seconds, 1e-9)
