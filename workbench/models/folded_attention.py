"""Attention with a lean backward pass, for training on a CPU: nothing repeated, little kept, nothing for nobody.

Grouped queries are folded into the query axis, so keys and values are not copied once a head; the work is done in
blocks of queries, each up to the last key that one of them sees (a causal mask hides half); a block's weights, where
keys are many, are computed again in the backward pass and not kept; keys that a caller calls frozen (`n_frozen`, the
first ones: what the base has read) get no gradient computed. Torch's CPU kernel spent a quarter of a step in its
backward pass, and repeating the keys cost as much again behind cached prefixes (docs/LOG.md). On a GPU torch's own
kernels are used, but for one that is unsound.

Source of the backward pass: Dao et al. 2022, FlashAttention, section 3.1, https://arxiv.org/abs/2205.14135
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from workbench.models.buffers import empty

NAME = "workbench_folded"
QUERIES = 128  # of a block
KEPT = 512  # keys; a block that sees no more keeps its weights: up to a third more memory, a twentieth of the time
SPARSE = 0.9  # a block that sees a smaller share of the keys before its last one takes these out
SCORES = 2**20  # of a block, over all heads; more rows at once only where queries and keys are few
# Not cuDNN's: behind a mask its backward pass gives NaN for some lengths on an H100, https://github.com/pytorch/pytorch/issues/196678
SOUND = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
STRANGE = ("softcap", "position_bias", "s_aux")  # what some models add to attention, and this does not know

Gradients = tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None, None, None, None]


class _FoldedAttention(torch.autograd.Function):
    """softmax(scaling q k' + mask) v: q (B, H, S, D), k and v (B, K, T, D), K divides H; mask (B, 1, S, T).

    Returns (B, S, H, D). Inside, the G = H/K heads that share keys stand behind one another, query by query: views of
    shape (B, K, S, G, D), of which only a block's part is ever copied.
    """

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
        k, v, n_groups = _contiguous(k), _contiguous(v), k.shape[1]
        out = empty(q.transpose(1, 2).shape, like=q)
        folded, into = _fold(q, n_groups), _fold(out.transpose(1, 2), n_groups)
        blocks, kept = _part(mask, n_heads=q.shape[1], n_frozen=n_frozen), []
        for block in blocks:
            weights = _weigh(block, _flat(block.queries(folded)).mul_(scaling), k, mask)
            _store(_product(weights, block.keys(v)), block.queries(into))
            kept.append(weights if weights.shape[-1] <= KEPT else None)
        context.save_for_backward(q, k, v, mask, *kept)
        context.scaling, context.n_frozen, context.blocks = scaling, n_frozen, blocks
        return out

    @staticmethod
    def backward(context: Any, *upstream: torch.Tensor) -> Gradients:
        q, k, v, mask, *kept = context.saved_tensors
        n_groups, first, scaling = k.shape[1], context.n_frozen, context.scaling
        out = empty(q.transpose(1, 2).shape, like=q).transpose(1, 2)
        folded, slope, into_q = _fold(q, n_groups), _fold(upstream[0].transpose(1, 2), n_groups), _fold(out, n_groups)
        # Sums over the blocks of queries, so in float32.
        into_k, into_v = torch.zeros_like(k, dtype=torch.float32), torch.zeros_like(v, dtype=torch.float32)
        for block, saved in zip(context.blocks, kept, strict=True):
            queries = _flat(block.queries(folded)).mul_(scaling)
            weights = saved if saved is not None else _weigh(block, queries, k, mask)
            above = _flat(block.queries(slope))
            into_weights = torch.bmm(above, block.keys(v).transpose(1, 2))
            into_scores = torch.ops.aten._softmax_backward_data(into_weights, weights, -1, weights.dtype)
            _store(torch.bmm(into_scores, block.keys(k)).mul_(scaling), block.queries(into_q))
            if block.n_keys > first:
                block.add(into_k, torch.bmm(into_scores[:, :, first:].transpose(1, 2), queries), first=first)
                block.add(into_v, torch.bmm(weights[:, :, first:].transpose(1, 2), above), first=first)
        return out, into_k.to(k.dtype), into_v.to(v.dtype), None, None, None


@dataclass(frozen=True, slots=True)
class _Block:
    """Some rows' queries `start` to `end`; none of them sees a key from `n_keys` on, or one that is not in `places`."""

    first: int
    last: int
    start: int
    end: int
    n_keys: int
    places: torch.Tensor | None  # shape (t,); None: all before `n_keys`

    def queries(self, folded: torch.Tensor) -> torch.Tensor:
        """Return the block's part of (B, K, S, G, D)."""
        return folded[self.first : self.last, :, self.start : self.end]

    def keys(self, states: torch.Tensor) -> torch.Tensor:
        """Return what the block sees of keys or values (B, K, T, D), shape (b K, t, D)."""
        rows = states[self.first : self.last].flatten(0, 1)
        return rows[:, : self.n_keys] if self.places is None else rows.index_select(1, self.places)

    def mask(self, whole: torch.Tensor) -> torch.Tensor:
        """Return the block's part of (B, 1, S, T), shape (b, s, t)."""
        part = whole[self.first : self.last, 0, self.start : self.end]
        return part[..., : self.n_keys] if self.places is None else part.index_select(-1, self.places)

    def add(self, sums: torch.Tensor, part: torch.Tensor, *, first: int) -> None:
        """Add what the block has for its keys from `first` on, shape (b K, t - first, D), to (B, K, T, D)."""
        rows = sums[self.first : self.last].flatten(0, 1)
        if self.places is None:
            rows[:, first : self.n_keys] += part
        else:
            rows.index_add_(1, self.places, part.to(sums.dtype))


def _part(mask: torch.Tensor, *, n_heads: int, n_frozen: int) -> list[_Block]:
    """Part rows and queries into blocks whose scores stay in a core's cache."""
    n_rows, _, n_queries, n_keys = mask.shape
    together = max(1, SCORES // (n_heads * min(n_queries, QUERIES) * n_keys))
    blocks = []
    for first in range(0, n_rows, together):
        for start in range(0, n_queries, QUERIES):
            seen = mask[first : first + together, 0, start : start + QUERIES].flatten(0, 1).any(dim=0).nonzero()[:, 0]
            n_seen = int(seen[-1]) + 1 if len(seen) else 1
            picked = seen if len(seen) < SPARSE * n_seen and not n_frozen else None
            blocks.append(_Block(first, first + together, start, start + QUERIES, n_seen, picked))
    return blocks


def _fold(states: torch.Tensor, n_groups: int) -> torch.Tensor:
    """Return (B, H, S, D) as (B, K, S, G, D), a view."""
    n_rows, n_heads, n_queries, size = states.shape
    return states.view(n_rows, n_groups, n_heads // n_groups, n_queries, size).transpose(2, 3)


def _flat(part: torch.Tensor) -> torch.Tensor:
    """Return a copy of (b, K, s, G, D), shape (b K, s G, D)."""
    return empty(part.shape, like=part).copy_(part).flatten(2, 3).flatten(0, 1)


def _store(result: torch.Tensor, part: torch.Tensor) -> None:
    part.copy_(result.view(part.shape))


def _product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    return torch.bmm(left, right, out=empty((*left.shape[:2], right.shape[2]), like=left))


def _contiguous(states: torch.Tensor) -> torch.Tensor:
    return states if states.is_contiguous() else empty(states.shape, like=states).copy_(states)


def _weigh(block: _Block, queries: torch.Tensor, keys: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return a block's attention weights, shape (b K, s G, t), for its scaled queries, shape (b K, s G, D)."""
    scores = _product(queries, block.keys(keys).transpose(1, 2))
    seen = block.mask(mask)  # (b, s, t)
    # Half the least number: a sum must stay finite. Added, since masked_fill with a mask to broadcast is slow.
    hidden = torch.zeros(seen.shape, dtype=scores.dtype).masked_fill_(~seen, torch.finfo(scores.dtype).min / 2)
    n_rows, n_queries, n_seen = seen.shape
    scores.view(n_rows, keys.shape[1], n_queries, -1, n_seen).add_(hidden[:, None, :, None])
    return torch.softmax(scores, dim=-1, out=empty(scores.shape, like=scores))  # sums in float32 whatever the dtype


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
        or attention_mask.shape[1] != 1  # a mask for each head
        or dropout > 0.0
        or key.shape[-1] != value.shape[-1]
        or any(options.get(name) is not None for name in STRANGE)
    ):
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **options
        )
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    mask = attention_mask.expand(len(query), -1, -1, -1)  # one for all rows is as good
    out = _FoldedAttention.apply(query, key, value, mask, scaling, n_frozen)  # type: ignore[no-untyped-call]
    return out, None
