"""Attention with a lean backward pass, for training on a CPU: nothing repeated, nothing kept, nothing for nobody.

Grouped queries are folded into the query axis, so keys and values are not copied once a head; a row's weights are
computed again in the backward pass, so they need not be kept; keys that a caller calls frozen (`n_frozen`, the first
ones: what the base has read) get no gradient computed. Torch's CPU kernel spent a quarter of a step in its backward
pass, and repeating the keys cost as much again behind cached prefixes (docs/LOG.md). On a GPU torch's own
kernels are used, but for one that is unsound.

Source of the backward pass: Dao et al. 2022, FlashAttention, section 3.1, https://arxiv.org/abs/2205.14135
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "workbench_folded"
# Not cuDNN's: behind a mask its backward pass gives NaN for some lengths on an H100, https://github.com/pytorch/pytorch/issues/196678
SOUND = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
STRANGE = ("softcap", "position_bias", "s_aux")  # what some models add to attention, and this does not know

Gradients = tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None, None, None, None]


class _FoldedAttention(torch.autograd.Function):
    """softmax(scaling q k' + mask) v: q (B, H, S, D), k and v (B, K, T, D), K divides H; mask (B, 1, S, T)."""

    @staticmethod
    def forward(  # noqa: PLR0917  (autograd takes no keywords)
        context: Any,
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        mask: torch.Tensor,
        scaling: float,
        n_frozen: int,
    ) -> torch.Tensor:
        folded = _fold(q, k.shape[1])
        out = torch.empty_like(folded)
        for row in range(len(q)):
            torch.bmm(_weigh(folded[row], k[row], mask[row], scaling), v[row], out=out[row])
        context.save_for_backward(folded, k, v, mask, out)
        context.scaling, context.n_frozen, context.shape = scaling, n_frozen, q.shape
        return out.view(q.shape)

    @staticmethod
    def backward(context: Any, *upstream: torch.Tensor) -> Gradients:
        folded, k, v, mask, out = context.saved_tensors
        slope, first = upstream[0].reshape(folded.shape), context.n_frozen
        into_q, into_k, into_v = torch.empty_like(folded), torch.zeros_like(k), torch.zeros_like(v)
        for row in range(len(folded)):
            weights = _weigh(folded[row], k[row], mask[row], context.scaling)
            mean = (slope[row] * out[row]).sum(dim=-1, keepdim=True, dtype=torch.float32)
            into_weights = torch.bmm(slope[row], v[row].transpose(1, 2)).float()
            into_scores = into_weights.sub_(mean).mul_(weights).mul_(context.scaling).to(folded.dtype)
            torch.bmm(into_scores, k[row], out=into_q[row])
            into_k[row, :, first:] = torch.bmm(into_scores[:, :, first:].transpose(1, 2), folded[row])
            into_v[row, :, first:] = torch.bmm(weights[:, :, first:].transpose(1, 2), slope[row])
        return into_q.view(context.shape), into_k, into_v, None, None, None


def _fold(q: torch.Tensor, n_groups: int) -> torch.Tensor:
    """Return (B, H, S, D) as (B, K, H/K S, D): the heads that share keys lie one after the other."""
    n_rows, n_heads, n_queries, size = q.shape
    return q.reshape(n_rows, n_groups, n_heads // n_groups * n_queries, size)


def _weigh(folded: torch.Tensor, keys: torch.Tensor, mask: torch.Tensor, scaling: float) -> torch.Tensor:
    """Return one row's attention weights, shape (K, H/K S, T); `mask` is (1, S, T)."""
    scores = torch.bmm(folded, keys.transpose(1, 2)).float().mul_(scaling)
    by_head = scores.view(-1, mask.shape[1], mask.shape[2])  # (H, S, T)
    by_head.masked_fill_(~mask, torch.finfo(torch.float32).min)
    return torch.softmax(scores, dim=-1).to(folded.dtype)


@contextmanager
def folded_attention(model: Any) -> Iterator[bool]:
    """Let a model on a CPU that uses sdpa attend this way inside the block; yield whether it does."""
    inner = _without_peft(model)
    if inner.device.type == "cuda":
        with sdpa_kernel(SOUND):
            yield False
        return
    if inner.device.type != "cpu" or inner.config._attn_implementation != "sdpa":
        yield False
        return
    AttentionInterface.register(NAME, _attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    inner.set_attn_implementation(NAME)
    try:
        yield attends_folded(model)
    finally:
        inner.set_attn_implementation("sdpa")


def attends_folded(model: Any) -> bool:
    """Whether `model` attends this way now, and so knows `n_frozen`."""
    return bool(_without_peft(model).config._attn_implementation == NAME)


def _without_peft(model: Any) -> Any:
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _attend(  # noqa: PLR0917  (in the form that Transformers calls)
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    n_frozen: int = 0,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Return the attention's output, shape (B, S, H, D), as Transformers' interface wants it."""
    if (
        not torch.is_grad_enabled()
        or attention_mask is None
        or attention_mask.dtype != torch.bool
        or dropout > 0.0
        or key.shape[-1] != value.shape[-1]
        or any(options.get(name) is not None for name in STRANGE)
    ):
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **options
        )
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    out = _FoldedAttention.apply(query, key, value, attention_mask, scaling, n_frozen)  # type: ignore[no-untyped-call]
    return out.transpose(1, 2).contiguous(), None
