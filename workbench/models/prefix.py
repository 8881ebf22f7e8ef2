"""Keys and values of prompt prefixes: computed once by the frozen model, kept under a memory cap, put into batches.

A prefix is run alone, never in a batch, so its keys and values are the same bits whoever asks for them and whenever;
on the machines measured that costs 10 % of prefill speed (docs/LOG.md). Training and answering share this file.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache

from workbench.models.prefix_disk import PrefixFolder


@dataclass(frozen=True, slots=True)
class Prefix:
    """Keys and values of `n_tokens` tokens: shape (layers, 2, heads, n_tokens, head size), in the model's dtype."""

    states: torch.Tensor
    seconds: float  # what computing it took, charged to everyone who uses it

    @property
    def n_tokens(self) -> int:
        """Tokens covered."""
        return int(self.states.shape[3])

    @property
    def n_bytes(self) -> int:
        """Memory held."""
        return self.states.numel() * self.states.element_size()


@torch.no_grad()
def compute_prefix(model: Any, ids: Sequence[int]) -> Prefix:
    """Run `ids` through the decoder of `model` as it is now (adapter on or off) and return their keys and values.

    Raises:
        ValueError: `ids` is empty.
    """
    if not ids:
        raise ValueError("an empty prefix has no keys and values")
    started = read_clock(model.device)
    cache: Any = DynamicCache()
    decoder(model)(input_ids=torch.tensor([list(ids)], device=model.device), past_key_values=cache, use_cache=True)
    states = torch.stack([torch.stack([layer.keys[0], layer.values[0]]) for layer in cache.layers])
    return Prefix(states=states, seconds=read_clock(model.device) - started)


@torch.no_grad()
def compute_prefixes(model: Any, many: Sequence[Sequence[int]]) -> list[Prefix]:
    """Return what `compute_prefix` does of each.

    A GPU reads them together: one alone costs as many launches as all. Their last bits then depend on the company.
    """
    if model.device.type != "cuda":
        return [compute_prefix(model, ids) for ids in many]
    return _read_together(model, many)


def _read_together(model: Any, many: Sequence[Sequence[int]]) -> list[Prefix]:
    started = read_clock(model.device)
    input_ids = torch.zeros((len(many), max(map(len, many))), dtype=torch.long)
    for row, ids in enumerate(many):
        input_ids[row, : len(ids)] = torch.tensor(list(ids))  # padded on the right: no token sees what follows it
    cache: Any = DynamicCache()
    decoder(model)(input_ids=input_ids.to(model.device), past_key_values=cache, use_cache=True)
    both = torch.stack([torch.stack([layer.keys, layer.values]) for layer in cache.layers])
    seconds = (read_clock(model.device) - started) / len(many)
    # Copies: a slice would hold the states of all.
    return [Prefix(both[:, :, row, :, : len(ids)].clone(), seconds) for row, ids in enumerate(many)]


def read_clock(device: torch.device) -> float:
    """Return seconds on a monotonic clock, once `device` has done all it was given: a GPU works behind one's back."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def decoder(model: Any) -> Any:
    """Return the transformer without its output layer, below PEFT's wrapper if there is one."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return inner.get_decoder()


class PrefixStore:
    """Prefixes by (owner, token ids), under a cap in bytes.

    `evict=True` drops the least recently used (answering: a prefix is wanted by the next few arms, then never again);
    `evict=False` keeps the first that came and recomputes the rest (training: epochs would sweep an LRU clean).
    """

    def __init__(self, *, max_bytes: float, evict: bool, disk: PrefixFolder | None = None) -> None:
        """Take `disk` for what does not fit `max_bytes`; None: such a prefix is computed whenever it is wanted."""
        self._max_bytes = max_bytes
        self._evict = evict
        self._disk = disk
        self._held: OrderedDict[tuple[str | None, tuple[int, ...]], Prefix] = OrderedDict()
        self.n_bytes = 0
        self.n_computed = 0
        self.n_reused = 0

    def holds(self, owner: str | None, ids: tuple[int, ...]) -> bool:
        """Whether `get` would find the prefix; an empty one needs no keeping."""
        key = (owner, ids)
        return not ids or key in self._held or (self._disk is not None and key in self._disk)

    def get(self, owner: str | None, ids: tuple[int, ...], compute: Callable[[], Prefix]) -> Prefix:
        """Return the prefix `ids` as read by adapter `owner` (None: the base), computing it if it is not held."""
        key = (owner, ids)
        if key in self._held:
            self._held.move_to_end(key)
            self.n_reused += 1
            return self._held[key]
        started = time.perf_counter()
        stored = self._disk.get(key) if self._disk else None
        if stored is not None:
            self.n_reused += 1
            return Prefix(states=stored, seconds=time.perf_counter() - started)
        prefix = compute()
        self.n_computed += 1
        if self._evict:
            while self._held and self.n_bytes + prefix.n_bytes > self._max_bytes:
                self.n_bytes -= self._held.popitem(last=False)[1].n_bytes
        if self.n_bytes + prefix.n_bytes <= self._max_bytes:
            self._held[key] = prefix
            self.n_bytes += prefix.n_bytes
        elif self._disk:
            self._disk.put(key, prefix.states)
        return prefix

    def forget(self, owner: str) -> None:
        """Drop what adapter `owner` read: another one takes its name. What lies on disk is not looked at."""
        assert self._disk is None
        for key in [key for key in self._held if key[0] == owner]:
            self.n_bytes -= self._held.pop(key).n_bytes


@dataclass(frozen=True, slots=True)
class PrefixedBatch:
    """B rows of suffix tokens behind their prefixes, ready for a model's forward call.

    Both parts are padded on the left: row b is [pad | prefix_b | pad | suffix_b]. `position_ids` say where each token
    really is; `attention_mask` (B, P + S) hides the padding.
    """

    input_ids: torch.Tensor  # (B, S)
    position_ids: torch.Tensor  # (B, S)
    attention_mask: torch.Tensor  # (B, P + S)
    cache: DynamicCache  # P tokens


def assemble_batch(
    prefixes: Sequence[Prefix | None],
    suffixes: Sequence[Sequence[int]],
    *,
    pad_id: int,
    device: torch.device,
    n_before: int = 0,
) -> PrefixedBatch:
    """Pad prefixes and suffixes into one batch. A prefix of None is empty; no suffix may be.

    Args:
        n_before: tokens before every suffix whose keys and values the caller brings; then no prefix may be given.
    Memory: one copy of all prefixes, padded to the longest.
    """
    n_prefix = [prefix.n_tokens if prefix else n_before for prefix in prefixes]
    longest_prefix, longest = max(n_prefix), max(len(suffix) for suffix in suffixes)
    input_ids = torch.full((len(suffixes), longest), pad_id, dtype=torch.long)
    position_ids = torch.zeros_like(input_ids)
    attention_mask = torch.zeros((len(suffixes), longest_prefix + longest), dtype=torch.long)
    for row, (start, suffix) in enumerate(zip(n_prefix, suffixes, strict=True)):
        input_ids[row, longest - len(suffix) :] = torch.tensor(list(suffix))
        position_ids[row, longest - len(suffix) :] = torch.arange(start, start + len(suffix))
        attention_mask[row, longest_prefix - start : longest_prefix] = 1
        attention_mask[row, longest_prefix + longest - len(suffix) :] = 1
    return PrefixedBatch(
        input_ids=input_ids.to(device),
        position_ids=position_ids.to(device),
        attention_mask=attention_mask.to(device),
        cache=_pad_into_cache([prefix.states if prefix else None for prefix in prefixes], longest_prefix, device),
    )


def _pad_into_cache(states: Sequence[torch.Tensor | None], longest: int, device: torch.device) -> DynamicCache:
    cache = DynamicCache()
    known = next((tensor for tensor in states if tensor is not None), None)
    if known is None:
        return cache
    n_layers, _, n_heads, _, size = known.shape
    for layer in range(n_layers):
        # Zeros, not garbage: a masked NaN would still poison the softmax's product.
        both = torch.zeros((2, len(states), n_heads, longest, size), dtype=known.dtype, device=device)
        for row, tensor in enumerate(states):
            if tensor is not None:
                both[:, row, :, longest - tensor.shape[3] :] = tensor[layer].to(device)
        cache.update(both[0], both[1], layer)
    return cache
