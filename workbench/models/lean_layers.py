"""A model's normalization and gated MLP as nodes that keep less for the backward pass, for training on a CPU.

Transformers computes a root-mean-square norm in seven operations, of which autograd keeps the input widened to float32;
here one node keeps the input as it came. Of `silu(gate) * up` autograd keeps silu(gate) too; here it is computed again.
The forward pass takes the same operations in the same order: its result is equal to the bit, and a module whose result
is not (another norm, another activation) is left as it is.

Source: Hsu et al. 2024, Liger Kernel, section 3.2, https://arxiv.org/abs/2410.10989
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

MLP_PARTS = ("gate_proj", "up_proj", "down_proj")
SIZES = (1e-3, 1.0, 100.0)  # of the probe's rows: so small that a norm's epsilon counts, so large that a clamp would


class _RootMeanSquareNorm(torch.autograd.Function):
    """w * x / sqrt(mean(x²) + eps), the weight frozen. Shapes: x (..., H), w (H,)."""

    @staticmethod
    def forward(context: Any, x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
        wide = x.float()
        scale = torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)  # (..., 1)
        context.save_for_backward(x, scale, weight)
        return weight * (wide * scale).to(x.dtype)

    @staticmethod
    def backward(context: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        x, scale, weight = context.saved_tensors
        wide, slope = x.float(), (upstream[0] * weight).float()
        mean = (slope * wide).mean(-1, keepdim=True) * scale.square()
        return torch.addcmul(slope, wide, mean, value=-1).mul_(scale).to(x.dtype), None, None


class _GatedSilu(torch.autograd.Function):
    """silu(gate) * up, both of one shape."""

    @staticmethod
    def forward(context: Any, gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
        context.save_for_backward(gate, up)
        return torch.nn.functional.silu(gate).mul_(up)

    @staticmethod
    def backward(context: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        gate, up = context.saved_tensors
        into_up = torch.nn.functional.silu(gate).mul_(upstream[0])
        return torch.ops.aten.silu_backward(upstream[0] * up, gate), into_up


def _forward_norm(module: Any, hidden_states: torch.Tensor) -> Any:
    return _RootMeanSquareNorm.apply(hidden_states, module.weight, _epsilon(module))  # type: ignore[no-untyped-call]


def _forward_mlp(module: Any, x: torch.Tensor) -> Any:
    hidden = _GatedSilu.apply(module.gate_proj(x), module.up_proj(x))  # type: ignore[no-untyped-call]
    return module.down_proj(hidden)


@contextmanager
def lean_layers(model: Any) -> Iterator[int]:
    """Compute norms and gated MLPs of a model on a CPU this way inside the block; yield how many modules do."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    replaced = _find_replaceable(inner) if inner.device.type == "cpu" else []
    kept: list[type[torch.nn.Module]] = [type(module) for module in replaced]
    # By class, not by a forward of each module's own: torch.compile takes layers of equal classes for equal.
    lean = {kind: _lean_class(kind) for kind in kept}
    for module, before in zip(replaced, kept, strict=True):
        module.__class__ = lean[before]
    try:
        yield len(replaced)
    finally:
        for module, before in zip(replaced, kept, strict=True):
            module.__class__ = before


def _lean_class(kind: type[torch.nn.Module]) -> type[torch.nn.Module]:
    forward = _forward_norm if kind.__name__.endswith("RMSNorm") else _forward_mlp
    return type(f"Lean{kind.__name__}", (kind,), {"forward": forward})


def _find_replaceable(model: Any) -> list[Any]:
    training = model.training
    model.eval()  # an adapter's dropout would make every result another one
    found = [module for module in model.modules() if _replaceable(module)]
    model.train(training)
    return found


def _replaceable(module: Any) -> bool:
    """Whether the module is one of the two by its parts, and by its result on a random input."""
    if type(module).__name__.endswith("RMSNorm"):
        weight = getattr(module, "weight", None)
        fits = isinstance(weight, torch.Tensor) and not weight.requires_grad and _epsilon(module) is not None
        return fits and _same_result(module, _forward_norm, weight)  # type: ignore[arg-type]
    if all(isinstance(getattr(module, name, None), torch.nn.Module) for name in MLP_PARTS):
        weight = getattr(module.gate_proj, "weight", None)
        return isinstance(weight, torch.Tensor) and _same_result(module, _forward_mlp, weight)
    return False


def _epsilon(module: Any) -> float | None:
    return getattr(module, "variance_epsilon", getattr(module, "eps", None))


@torch.no_grad()
def _same_result(module: Any, forward: Any, weight: torch.Tensor) -> bool:
    """Whether both forwards give the same bits on inputs as wide as the last axis of `weight`, small and large ones."""
    x = torch.randn((1, len(SIZES), weight.shape[-1]), generator=torch.Generator().manual_seed(0))
    x = (x * torch.tensor(SIZES)[:, None]).to(weight.dtype)
    try:
        return torch.equal(module(x), forward(module, x))
    except (TypeError, AttributeError, RuntimeError):  # a forward of another form: not one of these
        return False
