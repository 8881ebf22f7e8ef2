"""One forward pass over tokens of many sequences at once: the next token of every row, and stretches of new prompts.

All tokens lie side by side in one row of length N, as in Transformers' own continuous batching, so every linear layer
reads its weights once. Attention alone looks at the sequences apart: this file is the attention function that
Transformers calls in each layer. It writes the new keys and values where they belong and attends over them.

Source: Yu et al. 2022, Orca (selective batching), https://www.usenix.org/conference/osdi22/presentation/yu;
Agrawal et al. 2023, Sarathi (prompt chunks beside decoding), https://arxiv.org/abs/2308.16369
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from workbench.errors import GenerationError
from workbench.models.slots import Geometry, SlotCache

NAME = "workbench_slots"
# Largest difference of a logit from the usual way, in standard deviations of the logits.
TOLERANCES = {torch.float32: 1e-2, torch.float16: 0.1}
# Tokens of padding in a row that cost as much as a call of its own for it: a guess, some 40 microseconds a layer.
CALL_TOKENS = 300
# What an attention function may be told that changes its result and that this one does not do.
UNKNOWN = ("softcap", "s_aux", "position_bias")


@dataclass(frozen=True, slots=True)
class Stretch:
    """Tokens [start, stop) of a sequence whose earlier ones are in row `row` of `cache`."""

    cache: SlotCache
    row: int
    start: int
    ids: Sequence[int]
    wanted: bool  # whether its last token's logits are: it ends the prompt

    @property
    def stop(self) -> int:
        """Tokens of the sequence once this stretch is read."""
        return self.start + len(self.ids)


@dataclass(slots=True)
class Step:
    """What one forward pass reads: `next_ids`, one token for each row of `slots`; then the stretches.

    Lengths in the caches are the caller's to raise, once the pass has succeeded: one that failed is as if not begun.
    """

    slots: SlotCache
    next_ids: Sequence[int]
    stretches: Sequence[Stretch] = ()
    _places: torch.Tensor = field(init=False)  # (n,) where each row's new token goes
    _mask: torch.Tensor | None = field(init=False)  # (n, 1, 1, longest): added to the scores; None: nothing to hide
    _row_by_row: bool = field(init=False)  # whether padding all rows to the longest costs more than calls of their own
    _causal: list[torch.Tensor | None] = field(init=False)  # of each stretch, (tokens, stop); None: it begins at 0

    def __post_init__(self) -> None:
        about, n = self.slots.geometry, len(self.next_ids)
        lengths = self.slots.lengths[:n]
        self._places = torch.tensor(lengths, dtype=torch.long, device=about.device)
        self._mask = None
        self._row_by_row = bool(n) and n * max(lengths) > sum(lengths) + n * CALL_TOKENS
        if n and min(lengths) != max(lengths) and not self._row_by_row:
            seen = torch.arange(max(lengths) + 1, device=about.device) <= self._places[:, None]
            blank = torch.zeros(seen.shape, dtype=about.dtype, device=about.device)
            self._mask = blank.masked_fill_(~seen, -torch.inf)[:, None, None]
        self._causal = [_mask_of(stretch, about.device) for stretch in self.stretches]

    @property
    def n_tokens(self) -> int:
        """Tokens of the pass."""
        return len(self.next_ids) + sum(len(stretch.ids) for stretch in self.stretches)

    def run(self, model: Any) -> torch.Tensor:
        """Return the logits after each row's token, then after the last one of each stretch that wants them: (B, V).

        Raises:
            GenerationError: the model attends in a way that is not known here.
        """
        device = self.slots.geometry.device
        ids = [*self.next_ids, *(number for stretch in self.stretches for number in stretch.ids)]
        places = [torch.arange(stretch.start, stretch.stop, device=device) for stretch in self.stretches]
        ends, last = list(range(len(self.next_ids))), len(self.next_ids)
        for stretch in self.stretches:
            last += len(stretch.ids)
            if stretch.wanted:
                ends.append(last - 1)
        with _attending(model.config):
            logits: torch.Tensor = model(
                input_ids=torch.tensor([ids], device=device),
                position_ids=torch.cat([self._places, *places])[None],
                use_cache=False,
                logits_to_keep=torch.tensor(ends, dtype=torch.long, device=device),
                workbench_step=self,
            ).logits[0]
        return logits

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float | None
    ) -> torch.Tensor:
        """Keep the new keys and values, and return what their tokens read: (1, N, heads, head size).

        Args:
            query: (1, heads, N, head size).
            key: (1, fewer heads, N, head size), as is `value`.
        """
        n = len(self.next_ids)
        out = []
        if n:
            out.append(self._attend_rows(layer, query[0, :, :n], key[0, :, :n], value[0, :, :n], scale))
        at = n
        for stretch, mask in zip(self.stretches, self._causal, strict=True):
            here = slice(at, at + len(stretch.ids))
            kept = stretch.cache.states[layer, :, stretch.row]  # (2, fewer heads, tokens, head size)
            kept[0, :, stretch.start : stretch.stop] = key[0, :, here]
            kept[1, :, stretch.start : stretch.stop] = value[0, :, here]
            keys, values = kept[None, 0, :, : stretch.stop], kept[None, 1, :, : stretch.stop]
            read = _attend_stretch(query[:, :, here], keys, values, mask, scale)
            out.append(read[0].transpose(0, 1))  # (tokens, heads, head size)
            at = here.stop
        return torch.cat(out)[None]

    def _attend_rows(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float | None
    ) -> torch.Tensor:
        n_heads, n, size = query.shape
        kept = self.slots.states[layer, :, :n]  # (2, n, fewer heads, tokens, head size)
        rows = torch.arange(n, device=query.device)
        kept[0][rows, :, self._places] = key.transpose(0, 1)
        kept[1][rows, :, self._places] = value.transpose(0, 1)
        # The heads that share keys stand where queries of one head would: no copy of the keys.
        grouped = query.transpose(0, 1).reshape(n, kept.shape[2], -1, size)
        if self._row_by_row:
            reads = []
            for row, length in enumerate(self.slots.lengths[:n]):
                keys, values = kept[:, row : row + 1, :, : length + 1]
                reads.append(scaled_dot_product_attention(grouped[row : row + 1], keys, values, scale=scale))
            read = torch.cat(reads)
        else:
            keys, values = kept[..., : max(self.slots.lengths[:n]) + 1, :]
            read = scaled_dot_product_attention(grouped, keys, values, attn_mask=self._mask, scale=scale)
        return read.reshape(n, n_heads, size)


@torch.inference_mode()
def check_attention(model: Any, geometry: Geometry) -> None:
    """Read a dozen tokens in two stretches and as a row, and compare with the model's usual way.

    Raises:
        GenerationError: the last logits differ by more than the number format explains.
    """
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    n = 12
    ids = [place * inner.config.get_text_config().vocab_size // n for place in range(n)]
    usual = inner(input_ids=torch.tensor([ids], device=geometry.device)).logits[0, -1].float()  # (V,)
    cache = SlotCache(geometry, max_rows=1)
    cache.add(n_tokens=n)
    for start, stop in ((0, 5), (5, n - 1)):
        Step(SlotCache(geometry, max_rows=1), [], [Stretch(cache, 0, start, ids[start:stop], wanted=True)]).run(inner)
        cache.lengths[0] = stop
    ours = Step(cache, ids[-1:]).run(inner)[0].float()
    apart, most = float((ours - usual).abs().max() / usual.std()), TOLERANCES.get(geometry.dtype, 0.5)
    if not apart <= most:
        raise GenerationError(
            f"{inner.config.model_type}: logits computed for continuous batching are {apart:.2g} standard deviations "
            f"off the model's own (at most {most}), so its answers would be others; take another generator"
        )


@contextmanager
def _attending(config: Any) -> Iterator[None]:
    """Have Transformers call the function below inside the block; it then makes no mask of its own."""
    usual = config._attn_implementation
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = usual


def _mask_of(stretch: Stretch, device: torch.device) -> torch.Tensor | None:
    if stretch.start == 0:
        return None
    n_tokens = len(stretch.ids)
    return torch.ones((n_tokens, stretch.stop), dtype=torch.bool, device=device).tril(stretch.start)


def _attend_stretch(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor | None, scale: float | None
) -> torch.Tensor:
    shared = query.shape[1] // keys.shape[1]
    if shared > 1:  # as Transformers does it: with a mask, a GPU's fast kernels know no shared heads
        keys, values = keys.repeat_interleave(shared, dim=1), values.repeat_interleave(shared, dim=1)
    return scaled_dot_product_attention(
        query, keys, values, attn_mask=mask, is_causal=mask is None and query.shape[2] > 1, scale=scale
    )


def _attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    workbench_step: Step | None = None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **told: Any,
) -> tuple[torch.Tensor, None]:
    """What Transformers calls in each layer."""
    unknown = [name for name in UNKNOWN if told.get(name) is not None]
    if workbench_step is None or attention_mask is not None or unknown:
        raise GenerationError(
            f"{type(module).__name__} attends in a way that continuous batching does not know: "
            f"{', '.join(unknown) or 'it makes a mask of its own'}; take another generator"
        )
    return workbench_step.attend(module.layer_idx, query, key, value, scaling), None


AttentionInterface.register(NAME, _attention)
