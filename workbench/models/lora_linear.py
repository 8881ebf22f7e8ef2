"""LoRA's linear layer as one autograd node, for training: products in the base's dtype, weights and sums as they are.

PEFT adds a float32 adapter to a bfloat16 base by widening the input and the output of every layer, and autograd keeps
the wide copies. Here the two small matrices are rounded to the base's dtype for the products (what autocast does), and
all that is kept for the backward pass is the input, which the base's neighbours share, and its r projections.

Only plain LoRA without dropout over a frozen torch.nn.Linear, or over bitsandbytes' in 4 bits (QLoRA), is replaced;
every other layer stays PEFT's.
Source: Hu et al. 2021, https://arxiv.org/abs/2106.09685; peft 0.21.2, tuners/lora/layer.py, Linear.forward.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from peft.import_utils import is_bnb_4bit_available
from peft.tuners.lora.layer import Linear

from workbench.models.buffers import empty

Gradients = tuple[torch.Tensor | None, ...]


class _LoraLinear(torch.autograd.Function):
    """x W' + bias + s (x A') B', W frozen. Shapes: x (..., I), W (O, I), A (r, I), B (O, r)."""

    @staticmethod
    def forward(  # noqa: PLR0917  (autograd takes no keywords)
        context: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        down: torch.Tensor,
        up: torch.Tensor,
        scaling: float,
    ) -> torch.Tensor:
        rows = x.reshape(-1, x.shape[-1])  # (N, I)
        a, b = down.to(x.dtype), (up * scaling).to(x.dtype)
        projected = rows @ a.T  # (N, r)
        out = linear(rows, weight, bias).addmm_(projected, b.T)  # (N, O)
        context.save_for_backward(rows, projected, weight, a, b)
        context.scaling, context.shape, context.kept_as = scaling, x.shape, down.dtype
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(context: Any, *upstream: torch.Tensor) -> Gradients:
        rows, projected, weight, a, b = context.saved_tensors
        into_x, into_down, into_up = lora_gradients(
            context, upstream[0], rows, projected, weight if context.needs_input_grad[0] else None, a, b
        )
        return into_x, None, None, into_down, into_up, None


class _QuantizedLoraLinear(torch.autograd.Function):
    """The same over a base in 4 bits, whose own kernel multiplies forward; backward its weights are unpacked again."""

    @staticmethod
    def forward(  # noqa: PLR0917  (autograd takes no keywords)
        context: Any, x: torch.Tensor, base: Any, down: torch.Tensor, up: torch.Tensor, scaling: float
    ) -> torch.Tensor:
        rows = x.reshape(-1, x.shape[-1])  # (N, I)
        a, b = down.to(x.dtype), (up * scaling).to(x.dtype)
        projected = rows @ a.T  # (N, r)
        out = base(rows).addmm_(projected, b.T)  # (N, O)
        context.save_for_backward(rows, projected, a, b)
        context.base, context.scaling, context.shape, context.kept_as = base, scaling, x.shape, down.dtype
        result: torch.Tensor = out.view(*x.shape[:-1], -1)
        return result

    @staticmethod
    def backward(context: Any, *upstream: torch.Tensor) -> Gradients:
        rows, projected, a, b = context.saved_tensors
        weight = _unpack(context.base.weight, rows.dtype) if context.needs_input_grad[0] else None
        into_x, into_down, into_up = lora_gradients(context, upstream[0], rows, projected, weight, a, b)
        return into_x, None, into_down, into_up, None


def lora_gradients(  # noqa: PLR0917
    context: Any,
    upstream: torch.Tensor,
    rows: torch.Tensor,
    projected: torch.Tensor,
    weight: torch.Tensor | None,
    a: torch.Tensor,
    b: torch.Tensor,
) -> tuple[torch.Tensor | None, torch.Tensor, torch.Tensor]:
    """Return the gradients of x (none without `weight`), A and B; `context` has x's shape, A's dtype, the scaling."""
    slope = upstream.reshape(-1, upstream.shape[-1])  # (N, O)
    through = slope @ b  # (N, r)
    into_x = None if weight is None else (slope @ weight).addmm_(through, a).view(context.shape)
    into_down = (through.T @ rows).to(context.kept_as)
    into_up = (slope.T @ projected).to(context.kept_as) * context.scaling
    return into_x, into_down, into_up


def linear(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """Return rows W' + bias, shape (N, O), on a CPU in memory that can be used again (buffers.py)."""
    if rows.device.type != "cpu":
        return torch.nn.functional.linear(rows, weight, bias)
    out = empty((rows.shape[0], weight.shape[0]), like=rows)
    return torch.mm(rows, weight.T, out=out) if bias is None else torch.addmm(bias, rows, weight.T, out=out)


def _unpack(weight: Any, dtype: torch.dtype) -> torch.Tensor:
    """Return a bitsandbytes weight as numbers, shape (O, I)."""
    from bitsandbytes.functional import dequantize_4bit

    unpacked: torch.Tensor = dequantize_4bit(weight.data, weight.quant_state)
    return unpacked.to(dtype)


def acting(module: Any) -> tuple[torch.Tensor, torch.Tensor, float] | None:
    """Return A, B and the scaling of a layer that `fused_lora` computes; none where something else acts, or nothing."""
    name = getattr(module, "fused_adapter", None)
    if name is None or module.disable_adapters or module.merged or list(module.active_adapters) != [name]:
        return None
    return module.lora_A[name].weight, module.lora_B[name].weight, module.scaling[name]


def _forward(module: Any, x: torch.Tensor, *args: Any, **options: Any) -> torch.Tensor:
    """Return the layer's output, shape (..., O): PEFT's own wherever it is not `fused_adapter` alone that acts."""
    adapter = None if args or options else acting(module)
    if adapter is None:
        result = module.peft_class.forward(module, x, *args, **options)
    elif isinstance(module, Linear):
        base = module.base_layer
        result = _LoraLinear.apply(x, base.weight, base.bias, *adapter)  # type: ignore[no-untyped-call]
    else:
        result = _QuantizedLoraLinear.apply(x, module.base_layer, *adapter)  # type: ignore[no-untyped-call]
    assert isinstance(result, torch.Tensor)
    return result


@cache
def _fused_class(kind: Any) -> Any:
    # By class, not by a forward of each module's own: torch.compile takes layers of equal classes for equal.
    return type(f"Fused{kind.__name__}", (kind,), {"forward": _forward, "peft_class": kind})


@contextmanager
def fused_lora(model: Any, name: str) -> Iterator[int]:
    """Compute adapter `name` of a PEFT model this way inside the block; yield how many layers do.

    Whether the adapter is on, and which, stays PEFT's to say.
    """
    pairs = _known_pairs()
    replaced = [module for module in model.modules() if _replaceable(module, name, pairs)]
    for module in replaced:
        kind: Any = type(module)
        module.__class__, module.fused_adapter = _fused_class(kind), name
    try:
        yield len(replaced)
    finally:
        for module in replaced:
            module.__class__ = module.peft_class
            del module.fused_adapter


def computes_fused(model: Any) -> bool:
    """Whether an adapter's layers are computed this way now."""
    return any(hasattr(module, "fused_adapter") for module in model.modules())


def _replaceable(module: Any, name: str, pairs: list[tuple[type, type]]) -> bool:
    return (
        (type(module), type(getattr(module, "base_layer", None))) in pairs
        and name in module.lora_A
        and name not in module.lora_variant
        and isinstance(module.lora_dropout[name], torch.nn.Identity)
        and not module.base_layer.weight.requires_grad
        and module.lora_A[name].bias is None
        and module.lora_B[name].bias is None
    )


def _known_pairs() -> list[tuple[type, type]]:
    """Return PEFT's layers that can be replaced, each with the layer of the base it stands over."""
    known: list[tuple[type, type]] = [(Linear, torch.nn.Linear)]
    if is_bnb_4bit_available():
        from bitsandbytes.nn import Linear4bit as Base4bit
        from peft.tuners.lora.bnb import Linear4bit

        known.append((Linear4bit, Base4bit))
    return known
