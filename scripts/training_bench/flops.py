"""Floating-point operations a contestant cannot do without, as it is built: what the hardware allows of a ratio.

A multiplication with addition counts two. Counted are matrix products (layers, adapter, attention, output layer) on
real tokens; padding, normalisation, softmax and the optimizer are not. Weights are frozen, so a layer's backward pass
is one product (the gradient of its input), the adapter's two. Attention is causal; its backward pass is twice the
forward.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from training_bench.task import Row

WORTH_SHARING = 8  # as in workbench/training/loss.py


@dataclass(frozen=True, slots=True)
class Geometry:
    """A Llama-like decoder with LoRA on all of its linear layers; parameters without biases and norms."""

    n_linear: int  # of all layers
    n_lora: int
    n_output: int  # of the output layer: vocabulary times hidden size
    attention: int  # layers times heads times head size: a query and a key cost 4 operations each of it, forward

    @classmethod
    def read(cls, model_folder: Path, *, r: int) -> Geometry:
        """Read the model's config.json."""
        config = json.loads((model_folder / "config.json").read_text(encoding="utf-8"))
        hidden, inner, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
        heads = config["num_attention_heads"]
        size = config.get("head_dim") or hidden // heads
        queries, keys = heads * size, (config.get("num_key_value_heads") or heads) * size
        shapes = [(hidden, queries), (hidden, keys), (hidden, keys), (queries, hidden)]
        shapes += [(hidden, inner), (hidden, inner), (inner, hidden)]
        return cls(
            n_linear=layers * sum(a * b for a, b in shapes),
            n_lora=layers * r * sum(a + b for a, b in shapes),
            n_output=config["vocab_size"] * hidden,
            attention=layers * queries,
        )

    def trained(self, start: int, end: int) -> float:
        """Operations, forward and backward, of a row's tokens [start, end)."""
        n_tokens, n_pairs = end - start, _pairs(start, end)
        return n_tokens * (4 * self.n_linear + 6 * self.n_lora) + 12 * self.attention * n_pairs

    def read_only(self, n_tokens: int) -> float:
        """Operations of `n_tokens` from the start of a row, read by the base: forward, no adapter, no output layer."""
        return n_tokens * 2 * self.n_linear + 4 * self.attention * _pairs(0, n_tokens)


def count_trl(geometry: Geometry, batches: Sequence[Sequence[Row]], *, checkpointing: bool, on_gpu: bool) -> float:
    """Operations of TRL 1.16: its output layer runs three times, on a GPU where there is loss, else on every token.

    With checkpointing the layers run forward once more.
    """
    total = 0.0
    for row in (row for batch in batches for row in batch):
        n_tokens = len(row.token_ids)
        n_scored = sum(row.loss_mask) if on_gpu else n_tokens - 1
        total += geometry.trained(0, n_tokens) + 6 * geometry.n_output * n_scored
        if checkpointing:
            total += n_tokens * 2 * (geometry.n_linear + geometry.n_lora) + 4 * geometry.attention * _pairs(0, n_tokens)
    return total


def count_ours(geometry: Geometry, batches: Sequence[Sequence[Row]], *, acts_from: str) -> float:
    """Operations of our loop: a batch's common beginning once, a prefix once in all, logits where there is loss."""
    total, prefixes = 0.0, set()
    for batch in batches:
        shared = shared_beginning(batch) if acts_from == "prompt" else 0
        total += geometry.trained(0, shared)
        for row in batch:
            start = row.n_prefix if acts_from == "question" else shared
            if start and acts_from == "question":
                prefixes.add(tuple(row.token_ids[:start]))
            total += geometry.trained(start, len(row.token_ids)) + 4 * geometry.n_output * sum(row.loss_mask)
    return total + sum(geometry.read_only(len(prefix)) for prefix in prefixes)


def shared_beginning(batch: Sequence[Row]) -> int:
    """Return how many tokens all rows of `batch` begin with, before the state that predicts the first loss token."""
    if len(batch) < 2:
        return 0
    bound = min(row.loss_mask.index(1) for row in batch) - 1
    columns = zip(*(row.token_ids[:bound] for row in batch), strict=True)
    shared = next((place for place, column in enumerate(columns) if len(set(column)) > 1), bound)
    return shared if shared >= WORTH_SHARING else 0


def _pairs(start: int, end: int) -> int:
    """Queries [start, end) with the keys each sees: sum of (place + 1)."""
    return (end * (end + 1) - start * (start + 1)) // 2
