"""Rotary position embedding as a node of its own, for training on a CPU: one tensor written, half a one beside it.

Transformers writes q cos, a rotated q, that times sin, and their sum: three tensors a layer that are freed at once.
Here the sum is built in place; the result is equal to the bit, and a model whose function gives another (interleaved
halves, a part rotated) keeps it.

Source: Su et al. 2021, RoFormer, https://arxiv.org/abs/2104.09864
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from workbench.models.buffers import empty

FUNCTION = "apply_rotary_pos_emb"  # of a model's own module, in all that descend from Llama's


class _Rotary(torch.autograd.Function):
    """x cos + (-x₂, x₁) sin, x₁ and x₂ halves of the last axis. Shapes: x (B, H, S, D), cos and sin (B, 1, S, D)."""

    @staticmethod
    def forward(context: Any, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        context.save_for_backward(cos, sin)
        return _turned(x, cos, sin.chunk(2, -1), sign=1)

    @staticmethod
    def backward(context: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        cos, sin = context.saved_tensors
        return _turned(upstream[0], cos, sin.chunk(2, -1)[::-1], sign=-1), None, None


def _turned(x: torch.Tensor, cos: torch.Tensor, sines: Sequence[torch.Tensor], *, sign: int) -> torch.Tensor:
    """Return x cos + sign (-x₂ sines₁, x₁ sines₂), laid out as (B, S, H, D)."""
    first, second = x.chunk(2, -1)
    out = torch.mul(x, cos, out=_empty_as(x))
    into_first, into_second = out.chunk(2, -1)
    product = torch.mul(second, sines[0], out=_empty_as(second))
    into_first.sub_(product, alpha=sign)
    into_second.add_(torch.mul(first, sines[1], out=product), alpha=sign)
    return out


def _empty_as(x: torch.Tensor) -> torch.Tensor:
    return empty(x.transpose(1, 2).shape, like=x).transpose(1, 2)


def _rotate(q: torch.Tensor, k: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> Any:
    cos, sin = cos.unsqueeze(1), sin.unsqueeze(1)
    return tuple(_Rotary.apply(states, cos, sin) for states in (q, k))  # type: ignore[no-untyped-call]


def _over(theirs: Any) -> Any:
    """Return a function in place of `theirs`, which stays in charge but for four tensors of one dtype to learn by."""

    def rotate(*arguments: Any, **options: Any) -> Any:
        tensors = [each for each in arguments if isinstance(each, torch.Tensor) and each.device.type == "cpu"]
        alike = len(tensors) == len(arguments) == 4 and len({each.dtype for each in tensors}) == 1
        ours = alike and not options and torch.is_grad_enabled()
        return _rotate(*arguments) if ours else theirs(*arguments, **options)

    return rotate


@contextmanager
def lean_rotary(model: Any, *, wanted: bool = True) -> Iterator[int]:
    """Let a model on a CPU rotate this way inside the block, and every other of its kind; yield in how many modules.

    The function is its source module's, so models of one kind share it; since results are equal, none of them notices.
    """
    wanted = wanted and model.device.type == "cpu"
    homes = {sys.modules[type(module).__module__] for module in model.modules()} if wanted else set()
    found = {home: getattr(home, FUNCTION, None) for home in homes}
    replaced = {home: theirs for home, theirs in found.items() if theirs is not None and _same_result(theirs)}
    for home, theirs in replaced.items():
        setattr(home, FUNCTION, _over(theirs))
    try:
        yield len(replaced)
    finally:
        for home, theirs in replaced.items():
            setattr(home, FUNCTION, theirs)


@torch.no_grad()
def _same_result(theirs: Any) -> bool:
    """Whether `theirs` gives the same bits on random states."""
    draw = torch.Generator().manual_seed(0)
    q, k = (torch.randn((2, heads, 3, 8), generator=draw).bfloat16() for heads in (4, 2))
    cos, sin = torch.randn((2, 2, 3, 8), generator=draw).bfloat16()
    try:
        return all(map(torch.equal, theirs(q, k, cos, sin), _rotate(q, k, cos, sin)))
    except (TypeError, ValueError, RuntimeError):  # a function of another form: not this one
        return False
