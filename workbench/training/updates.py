"""One optimizer step over a batch: micro-batches whose gradients add up to the whole batch's token mean.

Where memory runs out the micro-batch is halved and the batch begun again: the effective batch stays what it was. With
several processes each takes its share of the rows and the gradients are added up: the loss is that of one process.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from accelerate import Accelerator

from workbench.errors import TrainingError
from workbench.processes import process_count, process_rank
from workbench.runs import uninterrupted
from workbench.training.batches import default_tokens, learning_rate_at, split_batch
from workbench.training.checkpoint import Parameters, Progress
from workbench.training.jobs import TrainingJob
from workbench.training.loss import CompletionLoss, count_loss_tokens
from workbench.types import TrainingExample

Result = TypeVar("Result")
CPU_ALLOCATOR = ("DefaultCPUAllocator", "not enough memory", "can't allocate memory")


class Updater:
    """Takes steps for one job and keeps `progress` true to them."""

    def __init__(
        self,
        job: TrainingJob,
        loss: CompletionLoss,
        parameters: Parameters,
        optimizer: torch.optim.Optimizer,
        accelerator: Accelerator,
    ) -> None:
        self.job, self.loss, self.parameters, self.optimizer = job, loss, parameters, optimizer
        self.accelerator = accelerator
        self.progress = Progress()
        self.rows_at_once = 1  # of the largest micro-batch that the work in hand was split into

    def split(self, rows: Sequence[TrainingExample]) -> list[Sequence[TrainingExample]]:
        """Return `rows` as micro-batches: of the recipe's rows and tokens at most, or what memory had room for."""
        recipe = self.job.recipe
        most_rows = min(self.progress.micro_batch_size or recipe.micro_batch_size, recipe.batch_size)
        most_tokens = recipe.micro_batch_tokens or default_tokens(self.loss.model.device)
        parts = split_batch(rows, most_rows=most_rows, most_tokens=most_tokens)
        self.rows_at_once = max(map(len, parts), default=1)
        return parts

    def step(self, batch: Sequence[TrainingExample]) -> dict[str, float]:
        """Take one step and return its record: step, loss (nats a token), learning_rate, norm (before clipping)."""
        job, progress = self.job, self.progress
        rate = learning_rate_at(
            progress.step, n_steps=job.n_steps, peak=job.recipe.learning_rate, warmup_ratio=job.recipe.warmup_ratio
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["rate"]
        if not self.loss.model.training:  # both walk over all modules: a quarter of a step on a GPU
            self.loss.model.set_adapter(job.name)
            self.loss.model.train()
        n_tokens = count_loss_tokens(batch)
        total = self.within_memory(lambda: self._accumulate(batch, n_tokens))
        norm = float(torch.nn.utils.clip_grad_norm_(self.parameters.values(), job.recipe.clip_norm))
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

    def _accumulate(self, batch: Sequence[TrainingExample], n_tokens: int) -> float:
        """Leave the batch's gradients in the parameters and return its mean loss."""
        self.optimizer.zero_grad()
        # Dropout's seed is a function of the step: a resumed run draws the same masks.
        torch.manual_seed((self.job.seed * 1_000_003 + self.progress.step) * process_count() + process_rank())
        total = 0.0
        for part in self.split(batch[process_rank() :: process_count()]):
            loss = self.loss(part) / n_tokens
            self.accelerator.backward(loss)
            total += loss.item()
        return self._add_up(total)

    def _add_up(self, total: float) -> float:
        """Add gradients and loss up over the processes; a process without rows brings zeros."""
        if process_count() == 1:
            return total
        parts = [
            torch.zeros_like(tensor) if tensor.grad is None else tensor.grad for tensor in self.parameters.values()
        ]
        flat = torch.cat([part.reshape(-1) for part in parts] + [parts[0].new_tensor([total])])
        flat = self.accelerator.reduce(flat, reduction="sum")
        for tensor, part in zip(
            self.parameters.values(), flat[:-1].split([part.numel() for part in parts]), strict=True
        ):
            tensor.grad = part.reshape(tensor.shape).clone()
        return float(flat[-1])

    def within_memory(self, work: Callable[[], Result]) -> Result:
        """Run `work`; where memory runs out, halve the micro-batch, record it and run it again.

        Raises:
            TrainingError: a single row does not fit, or several processes would have to agree on the smaller size.
        """
        while True:
            try:
                return work()
            except (RuntimeError, MemoryError) as error:
                if not _is_out_of_memory(error):
                    raise
                size = self.rows_at_once
                if size == 1 or process_count() > 1:
                    raise TrainingError(
                        f"out of memory at step {self.progress.step + 1} with micro-batches of {size} rows; lower "
                        f"training.micro_batch_size (now {self.job.recipe.micro_batch_size}), training.max_tokens (now "
                        f"{self.job.recipe.max_tokens}) or training.prefix_cache_gib, or set "
                        f"training.gradient_checkpointing; then run again: it goes on from the last checkpoint"
                    ) from error
                self.progress.micro_batch_size = size // 2
                self.progress.events.append(
                    f"step {self.progress.step + 1}: out of memory with micro-batches of {size} rows, "
                    f"{size // 2} from here on; the batch stays {self.job.recipe.batch_size}"
                )
            # Outside the handler: the exception's frames hold the activations that did not fit.
            self.optimizer.zero_grad()
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _refuse_unsound(self, loss: float, norm: float) -> None:
        step = self.progress.step + 1
        for what, value in (("loss", loss), ("gradient norm", norm)):
            if not torch.isfinite(torch.tensor(value)):
                raise TrainingError(f"the {what} is {value} at step {step}; lower training.learning_rate and run again")
            if value == 0.0:
                raise TrainingError(f"the {what} is exactly 0 at step {step}: nothing is being learned; check the rows")


def _is_out_of_memory(error: BaseException) -> bool:
    # Torch has a type of its own for a GPU alone; on a CPU its allocator raises a bare RuntimeError.
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return any(mark in str(error) for mark in CPU_ALLOCATOR)


def gather(accelerator: Accelerator, mine: list[Any]) -> list[Any]:
    """Return the items of all processes, in the order `items[rank::count]` took them apart."""
    if process_count() == 1:
        return mine
    from accelerate.utils import gather_object

    numbered = [(place * process_count() + process_rank(), item) for place, item in enumerate(mine)]
    return [item for _, item in sorted(gather_object(numbered), key=lambda pair: pair[0])]
