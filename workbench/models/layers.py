"""How a model's layers are run while it is trained: their activations kept or computed again, compiled or not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transformers.modeling_layers import GradientCheckpointingLayer


def checkpoint_layers(model: Any, *, wanted: bool) -> None:
    """Let the layers of a PEFT model compute their activations again in the backward pass, or keep them."""
    inner = model.get_base_model()
    # Transformers' name before 5.2x; the older one warns in the versions that have both.
    name = "activation_checkpointing" if hasattr(inner, "activation_checkpointing_enable") else "gradient_checkpointing"
    if wanted:
        getattr(inner, f"{name}_enable")(**{f"{name}_kwargs": {"use_reentrant": False}})
    else:
        getattr(inner, f"{name}_disable")()


@contextmanager
def compiled_layers(model: Any, *, wanted: bool) -> Iterator[int]:
    """Compile the model's layers inside the block; yield how many.

    Layer by layer: equal layers share what was compiled for the first, where a whole decoder took minutes, and minutes
    again for each way it is called.
    """
    layers = [module for module in model.modules() if wanted and isinstance(module, GradientCheckpointingLayer)]
    for layer in layers:
        layer.compile(dynamic=True)
    try:
        yield len(layers)
    finally:
        for layer in layers:
            layer._compiled_call_impl = None  # torch offers no other way back
