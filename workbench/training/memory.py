"""How much memory a training will take, told before its first step, and what that tells about the micro-batch.

Not measured on the heaviest batch, which might not fit: the activations that autograd keeps are counted on two and
three of its rows and extended to all. What is there already (libraries, weights, adapter) is read off the process.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import psutil
import torch

from workbench.hardware import free_memory
from workbench.models.folded_attention import attends_folded
from workbench.models.lora_linear import computes_fused
from workbench.training.cross_entropy import chunk_bytes
from workbench.training.loss import CompletionLoss, count_loss_tokens
from workbench.types import TrainingExample

CHECKPOINTED = "gradient_checkpointing"  # the attribute by which Transformers' layers are told
MARGIN = 0.9  # of the free memory; the rest is for what the plan does not see
OPERATIONS_BYTES = 50 * 2**20  # operations that torch keeps compiled, at the bound that workbench/__init__.py sets
# Of the activations: what glibc's heap kept of freed blocks in the trainings measured (docs/LOG.md). Little where this
# project's nodes compute, which fill the holes they leave (models/buffers.py). Torch's own leave many, the more where a
# batch takes several micro-batches, whose rows have other lengths: there it grows to the larger share.
HEAP_SHARE = 0.05
HEAP_SHARE_OF_TORCH, HEAP_SHARE_OF_SEVERAL, GROWS_OVER_STEPS = 0.25, 0.8, 15


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Bytes at the peak of a training, by what holds them."""

    present: int  # the process as it is: libraries, base weights, adapter
    gradients: int
    optimizer: int
    activations: int  # of the heaviest micro-batch
    logits: int  # one chunk of them with its gradient
    prefixes: int  # keys and values kept over epochs, and a batch's padded copy of them
    heap: int = 0  # freed blocks that the C library's heap keeps
    operations: int = 0  # that torch keeps compiled

    def fits(self, free: int) -> bool:
        """Whether it all goes into `free` bytes beyond what is present."""
        return self.total - self.present <= MARGIN * free

    @property
    def total(self) -> int:
        """Bytes in all."""
        return sum(asdict(self).values())

    def describe(self) -> str:
        """Return one line for a person."""
        parts = ", ".join(f"{name} {size / 2**30:.2f}" for name, size in asdict(self).items())
        return f"memory plan: {self.total / 2**30:.2f} GiB at the peak ({parts})"


def plan_memory(
    loss: CompletionLoss,
    batches: Sequence[Sequence[TrainingExample]],
    *,
    heaviest: Sequence[TrainingExample],
    prefix_bytes: float,
    several: bool = False,
) -> MemoryPlan:
    """Return the plan for `batches`.

    Args:
        heaviest: their heaviest micro-batch.
        prefix_bytes: most that the prefix cache may hold in memory.
        several: a batch is held in several micro-batches, one after the other.
    """
    on_cpu = loss.model.device.type == "cpu"
    present = _present(loss.model.device)  # first: an allocator does not give back all that the counting takes
    trainable = sum(tensor.numel() * tensor.element_size() for tensor in loss.parameters() if tensor.requires_grad)
    activations = _activation_bytes(loss, heaviest)
    return MemoryPlan(
        present=present,
        gradients=trainable,
        optimizer=2 * trainable,  # AdamW's two moments; fused, it makes nothing else
        activations=activations,
        logits=chunk_bytes(count_loss_tokens(heaviest), _vocabulary(loss.model), loss.model.device, loss.model.dtype),
        prefixes=int(min(prefix_bytes, _prefix_bytes(loss.model, batches))) + _padded_bytes(loss.model, heaviest),
        heap=int(_heap_share(loss.model, n_steps=len(batches), several=several) * activations) if on_cpu else 0,
        operations=OPERATIONS_BYTES if on_cpu else 0,
    )


def find_heaviest(micro_batches: Iterable[Sequence[TrainingExample]]) -> Sequence[TrainingExample]:
    """Return the micro-batch whose activations take most: padded tokens computed, then padded tokens before them."""

    def cost(rows: Sequence[TrainingExample]) -> tuple[int, int]:
        longest = max(len(row.token_ids) - row.n_prefix for row in rows)
        return len(rows) * longest, len(rows) * max(row.n_prefix for row in rows)

    return max(micro_batches, key=cost)


def fitting_micro_batch(plan: MemoryPlan, *, size: int, free: int) -> int:
    """Return the largest halving of `size` whose plan fits `free` bytes beyond what is present; at least 1."""
    while size > 1 and not plan.fits(free):
        plan = replace(plan, activations=plan.activations // 2, heap=plan.heap // 2)
        size //= 2
    return size


def free_bytes(device: torch.device) -> int:
    """Return the memory that `device` has left: a container's limit counts where there is one."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    return free_memory()


def _present(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    return int(psutil.Process().memory_info().rss)


def _activation_bytes(loss: CompletionLoss, batch: Sequence[TrainingExample]) -> int:
    """Return what autograd keeps for `batch`: counted on its two and three longest rows, each further one as the third.

    Not on one and two: a row alone needs no mask and shares no beginning. Laid out as the whole batch will be.
    """
    rows = sorted(batch, key=lambda row: -len(row.token_ids))[:3]
    loss.flat = loss.lies_flat(batch)
    try:
        kept = _extended(loss, rows, len(batch))
        if checkpointed := [module for module in loss.model.modules() if getattr(module, CHECKPOINTED, False)]:
            # The backward pass makes one layer's activations again while all that was kept is still there.
            for module in checkpointed:
                setattr(module, CHECKPOINTED, False)
            n_layers = loss.model.get_base_model().config.get_text_config().num_hidden_layers
            kept += _extended(loss, rows, len(batch)) // n_layers
            for module in checkpointed:
                setattr(module, CHECKPOINTED, True)
        return kept
    finally:
        loss.flat = True


def _extended(loss: CompletionLoss, rows: Sequence[TrainingExample], n_rows: int) -> int:
    most = _kept(loss, rows)
    return most + (most - _kept(loss, rows[:2])) * (n_rows - 3) if n_rows > 3 else most


def _kept(loss: CompletionLoss, rows: Sequence[TrainingExample]) -> int:
    ours = {tensor.untyped_storage().data_ptr() for tensor in loss.model.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}  # held until the end, so that no address is used twice

    def pack(tensor: torch.Tensor) -> None:
        # The tensor itself may not be returned: an output that its own node holds is a circle, and stays in memory.
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in ours:
            kept[storage.data_ptr()] = storage

    training = loss.model.training
    loss.model.train()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda packed: packed):
        loss(rows)
    loss.model.train(training)
    return sum(storage.nbytes() for storage in kept.values())


def _heap_share(model: Any, *, n_steps: int, several: bool) -> float:
    if computes_fused(model) and attends_folded(model):
        return HEAP_SHARE
    grown = min(1.0, n_steps / GROWS_OVER_STEPS) if several else 0.0
    return HEAP_SHARE_OF_TORCH + grown * (HEAP_SHARE_OF_SEVERAL - HEAP_SHARE_OF_TORCH)


def _vocabulary(model: Any) -> int:
    return int(model.get_base_model().get_output_embeddings().weight.shape[0])


def _prefix_bytes(model: Any, batches: Sequence[Sequence[TrainingExample]]) -> int:
    """Return the size of all distinct prefixes' keys and values."""
    distinct = {row.token_ids[: row.n_prefix] for batch in batches for row in batch}
    return sum(map(len, distinct)) * _token_bytes(model)


def _padded_bytes(model: Any, batch: Sequence[TrainingExample]) -> int:
    return len(batch) * max(row.n_prefix for row in batch) * _token_bytes(model)


def _token_bytes(model: Any) -> int:
    """Return the size of one token's keys and values."""
    config = model.get_base_model().config.get_text_config()
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    n_heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    return int(config.num_hidden_layers * 2 * n_heads * head * model.dtype.itemsize)
