"""Several plain LoRA adapters in one forward pass: W x once for all tokens, each token's own low-rank product on top.

The adapters in use are stacked, A to shape (R, I) and B to (O, R), R the sum of their ranks; of a token's R projections
all but its own adapter's are set to zero. A token of the base gets zeros: its output is the base's, bit for bit. That
is three small operations a layer however many adapters there are. Products are in the base's dtype, as in training.

Not for DoRA, merged weights, adapted embeddings or anything else that PEFT's plain Linear does not compute.
Source: Chen et al. 2023, Punica, https://arxiv.org/abs/2310.18547 (the idea; without its kernel)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from peft.tuners.lora import LoraLayer
from peft.tuners.lora.layer import Linear
from peft.utils.other import AuxiliaryTrainingWrapper

Run = tuple[str | None, int]  # so many neighbouring tokens of one adapter, or of the base


class _MixedLinear(Linear):
    """PEFT's layer while `mixing` says which token has which adapter."""

    mixing: LoraMixer

    def forward(self, x: torch.Tensor, *args: Any, **options: Any) -> torch.Tensor:
        """Return the layer's output, shape (..., O)."""
        base: Any = self.base_layer
        out = torch.nn.functional.linear(x, base.weight, base.bias)
        return self.mixing.add_products(self, x, out)


class LoraMixer:
    """The adapters of one PEFT model (or a bare one, which has none) that can share a forward pass."""

    def __init__(self, model: Any) -> None:
        """Look the layers over; make another mixer when adapters were loaded or taken off."""
        self._layers: list[Any] = [module for module in model.modules() if isinstance(module, LoraLayer)]
        names = set(getattr(model, "peft_config", ()))
        if any(isinstance(module, AuxiliaryTrainingWrapper) for module in model.modules()):
            names = set()  # whole layers of their own, which belong to no low-rank product
        plain = all(_is_plain(layer) for layer in self._layers)
        self.mixable = frozenset(name for name in names if plain and all(_adds(layer, name) for layer in self._layers))
        self._stacked: tuple[str, ...] = ()
        self._stacks: dict[int, tuple[torch.Tensor, torch.Tensor, tuple[int, ...]]] = {}  # by id of the layer
        self._runs: Sequence[Run] = ()
        self._masks: dict[tuple[int, ...], torch.Tensor | None] = {}

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Let the model's layers ask this mixer inside the block; which adapter PEFT holds active plays no part."""
        for layer in self._layers:
            layer.__class__, layer.mixing = _MixedLinear, self
        try:
            yield
        finally:
            for layer in self._layers:
                layer.__class__ = Linear
                del layer.mixing

    @torch.no_grad()
    def route(self, runs: Sequence[Run]) -> None:
        """Say whose the tokens of the next pass are, from the first to the last. All adapters must be mixable."""
        wanted = {name for name, _ in runs if name is not None}
        if not wanted <= set(self._stacked):
            self._stacked = tuple(sorted(wanted))
            self._stacks = {id(layer): _stack(layer, self._stacked) for layer in self._layers}
        self._runs, self._masks = (runs if wanted else ()), {}

    def add_products(self, layer: Any, x: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        """Add to `out`, shape (..., O), what each token's adapter makes of `x`, shape (..., I)."""
        if not self._runs:
            return out
        down, up, ranks = self._stacks[id(layer)]
        projected = x.reshape(-1, x.shape[-1]) @ down.T  # (N, R)
        if ranks not in self._masks:
            self._masks[ranks] = self._mask(ranks, projected)
        mask = self._masks[ranks]
        if mask is not None:
            projected.masked_fill_(mask, 0)  # not a product: infinity times zero is NaN
        return out.view(-1, out.shape[-1]).addmm_(projected, up.T).view(out.shape)

    def _mask(self, ranks: tuple[int, ...], like: torch.Tensor) -> torch.Tensor | None:
        """Return False, shape (N, R), only where a token's own adapter is; None: it is everywhere."""
        if len(self._stacked) == 1 and all(name is not None for name, _ in self._runs):
            return None
        mask, token = torch.ones_like(like, dtype=torch.bool), 0
        for name, n_tokens in self._runs:
            if name is not None:
                place = self._stacked.index(name)
                begin = sum(ranks[:place])
                mask[token : token + n_tokens, begin : begin + ranks[place]] = False
            token += n_tokens
        return mask


def _stack(layer: Any, names: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor, tuple[int, ...]]:
    """Return A (R, I), B with the scaling (O, R) and the rank of each adapter, 0 where it leaves this layer alone."""
    weight = layer.base_layer.weight
    present = [name for name in names if name in layer.lora_A]
    downs = [layer.lora_A[name].weight for name in present]
    ups = [layer.lora_B[name].weight * layer.scaling[name] for name in present]
    down = torch.cat(downs) if downs else weight.new_zeros((0, weight.shape[1]))
    up = torch.cat(ups, dim=1) if ups else weight.new_zeros((weight.shape[0], 0))
    ranks = tuple(len(layer.lora_A[name].weight) if name in layer.lora_A else 0 for name in names)
    return down.to(weight.dtype), up.to(weight.dtype), ranks


def _is_plain(layer: Any) -> bool:
    return (
        type(layer) is Linear
        and type(layer.base_layer) is torch.nn.Linear
        and layer.base_layer.weight.is_floating_point()
    )


def _adds(layer: Any, name: str) -> bool:
    """Whether adapter `name` adds a low-rank product to the layer and nothing else; one that leaves it alone does."""
    if name in layer.lora_variant or name in layer.lora_embedding_A:
        return False
    if name not in layer.lora_A:
        return True
    down, up = layer.lora_A[name], layer.lora_B[name]
    finite = bool(torch.isfinite(down.weight).all() and torch.isfinite(up.weight).all())
    return finite and down.bias is None and up.bias is None
