"""LoRA's linear layer as one autograd node, for training: products in the base's dtype, weights and sums as they are.

PEFT adds a float32 adapter to a bfloat16 base by widening the input and the output of every layer, and autograd keeps
the wide copies. Here the two small matrices are rounded to the base's dtype for the products (what autocast does), and
all that is kept for the backward pass is the input, which the base's neighbours share, and its r projections.

Only plain LoRA without dropout over a frozen torch.nn.Linear is replaced; every other layer stays PEFT's.
Source: Hu et al. 2021, https://arxiv.org/abs/2106.09685; peft 0.21.2, tuners/lora/layer.py, Linear.forward.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft.tuners.lora.layer import Linear

Gradients = tuple[torch.Tensor | None, None, None, torch.Tensor | None, torch.Tensor | None, None]


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
        out = torch.nn.functional.linear(rows, weight, bias).addmm_(projected, b.T)  # (N, O)
        context.save_for_backward(rows, projected, weight, a, b)
        context.scaling, context.shape, context.kept_as = scaling, x.shape, down.dtype
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(context: Any, *upstream: torch.Tensor) -> Gradients:
        rows, projected, weight, a, b = context.saved_tensors
        slope = upstream[0].reshape(-1, upstream[0].shape[-1])  # (N, O)
        through = slope @ b  # (N, r)
        into_x = (slope @ weight).addmm_(through, a).view(context.shape) if context.needs_input_grad[0] else None
        into_down = (through.T @ rows).to(context.kept_as)
        into_up = (slope.T @ projected).to(context.kept_as) * context.scaling
        return into_x, None, None, into_down, into_up, None


class _FusedLinear(Linear):
    """PEFT's layer while it computes adapter `fused_adapter` as one node."""

    fused_adapter: str

    def forward(self, x: torch.Tensor, *args: Any, **options: Any) -> torch.Tensor:
        """Return the layer's output, shape (..., O)."""
        name = self.fused_adapter
        if self.disable_adapters or self.merged or args or options or list(self.active_adapters) != [name]:
            return super().forward(x, *args, **options)
        base = self.base_layer
        result = _LoraLinear.apply(  # type: ignore[no-untyped-call]
            x, base.weight, base.bias, self.lora_A[name].weight, self.lora_B[name].weight, self.scaling[name]
        )
        assert isinstance(result, torch.Tensor)
        return result


@contextmanager
def fused_lora(model: Any, name: str) -> Iterator[int]:
    """Compute adapter `name` of a PEFT model this way inside the block; yield how many layers do.

    Whether the adapter is on, and which, stays PEFT's to say.
    """
    replaced = [module for module in model.modules() if _replaceable(module, name)]
    for module in replaced:
        # By class, not by a forward of its own: torch.compile takes layers of equal classes for equal.
        module.__class__, module.fused_adapter = _FusedLinear, name
    try:
        yield len(replaced)
    finally:
        for module in replaced:
            module.__class__ = Linear
            del module.fused_adapter


def _replaceable(module: Any, name: str) -> bool:
    return (
        type(module) is Linear
        and name in module.lora_A
        and name not in module.lora_variant
        and isinstance(module.lora_dropout[name], torch.nn.Identity)
        and type(module.base_layer) is torch.nn.Linear
        and not module.base_layer.weight.requires_grad
        and module.lora_A[name].bias is None
        and module.lora_B[name].bias is None
    )
