"""TRL's SFTTrainer with PEFT as a contestant: the same token ids, order, rates and start; the rest is TRL's own.

Setting "same": no gradient checkpointing, as ours. "default": TRL's default, which is to checkpoint.
"""

from __future__ import annotations

from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from torch.optim.lr_scheduler import LambdaLR
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, TrainerCallback
from trl import SFTConfig, SFTTrainer  # type: ignore[import-not-found, unused-ignore]

from training_bench.child import read_clock
from training_bench.task import Row, Task


class Clock(TrainerCallback):
    """Seconds from each step's begin to its end: collating the batch is left out."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.seconds: list[float] = []

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """Start the clock."""
        self._started = read_clock(self.device)

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Stop it."""
        self.seconds.append(read_clock(self.device) - self._started)


class Trl:
    """The trainer, told what all contestants share."""

    def __init__(self, task: Task, rows: list[Row]) -> None:
        """Load the model and lay the rows out in the order of all epochs: TRL takes them as they come."""
        self.task, self.clock = task, Clock(task.device)
        model = AutoModelForCausalLM.from_pretrained(
            task.model_folder, dtype=getattr(torch, task.dtype), **quantized(task)
        )
        laid_out = [rows[index] for batch in task.order for index in batch]
        columns = {
            "input_ids": [row.token_ids for row in laid_out],
            "completion_mask": [row.loss_mask for row in laid_out],
        }
        torch.manual_seed(task.seed)  # LoRA's A is drawn next: the same as ours
        self.trainer = Scheduled(
            model=model,
            args=make_arguments(task),
            train_dataset=Dataset.from_dict(columns),
            processing_class=AutoTokenizer.from_pretrained(task.model_folder),
            peft_config=LoraConfig(
                r=task.r,
                lora_alpha=task.alpha,
                lora_dropout=0.0,
                target_modules="all-linear",
                task_type="CAUSAL_LM",
            ),
            callbacks=[self.clock],
        )
        self.trainer.rates = task.rates

    def train(self) -> dict[str, Any]:
        """Train and return losses and seconds of the steps, and how many tokens TRL says it saw."""
        self.trainer.train()
        steps = [entry for entry in self.trainer.state.log_history if "loss" in entry]
        return {
            "step_seconds": self.clock.seconds,
            "losses": [entry["loss"] for entry in steps],
            "tokens_seen": steps[-1]["num_tokens"],
        }

    def adapted(self) -> Any:
        """Return the trained model."""
        return self.trainer.model.eval()


class Scheduled(SFTTrainer):  # type: ignore[misc, unused-ignore]
    """SFTTrainer with the learning rate of each step given, where its own schedule starts one step later."""

    rates: tuple[float, ...]

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Return a schedule over `rates`."""
        peak, rates = self.args.learning_rate, self.rates
        self.lr_scheduler = LambdaLR(optimizer or self.optimizer, lambda step: rates[min(step, len(rates) - 1)] / peak)
        return self.lr_scheduler


def quantized(task: Task) -> dict[str, Any]:
    """Return the options that load the base in 4 bits as ours does; none for a base that is not quantized."""
    if task.quantize == "none":
        return {}
    four_bits = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type=task.quantize,
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, task.dtype),
    )
    return {"quantization_config": four_bits, "device_map": {"": task.device}}


def make_arguments(task: Task) -> SFTConfig:
    """Return what is not left to TRL."""
    return SFTConfig(
        output_dir=task.folder,
        per_device_train_batch_size=task.batch_size,
        num_train_epochs=1,  # the rows of all epochs follow one another
        train_sampling_strategy="sequential",
        learning_rate=task.learning_rate,
        weight_decay=task.weight_decay,
        max_grad_norm=task.clip_norm,
        bf16=task.dtype == "bfloat16",
        use_cpu=task.device == "cpu",
        seed=task.seed,
        max_length=None,
        completion_only_loss=True,
        gradient_checkpointing=task.setting == "default",
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
