"""Keys and values of many answers under way, one row each, packed in the first rows of one growing buffer.

Row b holds the first `lengths[b]` tokens of its sequence from the left on; the next goes behind them. A row that leaves
is replaced by the last one, so that the rows in use stay a view. Whatever lies behind a row's tokens is finite: masked,
it is multiplied by zero, and zero times NaN is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from workbench.errors import GenerationError
from workbench.models.prefix import Prefix, compute_prefix

TOKENS_AT_ONCE = 64  # capacity is a multiple of this, so that rows of nearly one length do not move the buffer


@dataclass(frozen=True, slots=True)
class Geometry:
    """What the keys and values of one token look like: the same in all layers."""

    n_layers: int
    n_heads: int
    head_size: int
    dtype: torch.dtype
    device: torch.device

    @property
    def token_bytes(self) -> int:
        """Memory of one token's keys and values."""
        return self.n_layers * 2 * self.n_heads * self.head_size * self.dtype.itemsize


def read_geometry(model: Any, token_id: int) -> Geometry:
    """Ask the model itself, by running one token through it.

    Raises:
        GenerationError: its layers keep states of unlike shapes.
    """
    try:
        states = compute_prefix(model, (token_id,)).states
    except (RuntimeError, AttributeError, TypeError) as error:
        raise GenerationError(
            f"{model.config.model_type}: its layers do not all keep keys and values of one shape ({error}), so its "
            "answers cannot be batched as they come; take another generator"
        ) from error
    n_layers, _, n_heads, _, head_size = states.shape
    return Geometry(n_layers, n_heads, head_size, states.dtype, states.device)


class SlotCache:
    """Rows of keys and values, shape (layers, 2, rows, heads, tokens, head size).

    Memory: rows in use, up to the next power of two, times the most tokens one of them will come to; `max_rows` times
    the longest ever reserved is never passed. Empty, it holds none.
    """

    def __init__(self, geometry: Geometry, *, max_rows: int) -> None:
        self.geometry = geometry
        self._max_rows = max_rows
        self.lengths: list[int] = []
        self._reserved: list[int] = []  # of each row: how many tokens it will come to at most
        self._states: torch.Tensor | None = None

    @property
    def n_rows(self) -> int:
        """Rows in use."""
        return len(self.lengths)

    @property
    def n_bytes(self) -> int:
        """Memory held."""
        return 0 if self._states is None else self._states.numel() * self._states.element_size()

    @property
    def states(self) -> torch.Tensor:
        """The buffer, shape (layers, 2, rows, heads, tokens, head size); a view of it is valid until a row is added."""
        assert self._states is not None
        return self._states

    def add(self, *, n_tokens: int) -> int:
        """Open an empty row that will come to at most `n_tokens` tokens, and return its number, the last."""
        assert len(self.lengths) < self._max_rows
        self._fit([*self._reserved, n_tokens])
        self.lengths.append(0)
        self._reserved.append(n_tokens)
        return len(self.lengths) - 1

    def put(self, row: int, states: torch.Tensor) -> None:
        """Begin row `row` with the tokens of `states`, shape (layers, 2, heads, tokens, head size)."""
        n_tokens = states.shape[3]
        self.states[:, :, row, :, :n_tokens] = states
        self.lengths[row] = n_tokens

    def take(self, row: int, *, n_tokens: int | None = None) -> torch.Tensor:
        """Return the first tokens of a row (None: all it has), a view of the buffer."""
        return self.states[:, :, row, :, : self.lengths[row] if n_tokens is None else n_tokens]

    def remove(self, row: int, *, sound: bool = True) -> None:
        """Close a row; the last one takes its place. `sound`: it holds no NaN."""
        last = self.n_rows - 1
        if not sound:
            self.states[:, :, row].zero_()
        if row != last:
            self.put(row, self.take(last))
            self._reserved[row] = self._reserved[last]
        self.lengths.pop()
        self._reserved.pop()
        if not self.lengths:
            self._states = None

    def clear(self) -> None:
        """Close all rows."""
        self.lengths, self._reserved, self._states = [], [], None

    def _fit(self, reserved: Sequence[int]) -> None:
        """Have room for rows of these lengths; give back what is more than twice too much."""
        n_rows = min(self._max_rows, 1 << (len(reserved) - 1).bit_length())
        n_tokens = -(-max(reserved) // TOKENS_AT_ONCE) * TOKENS_AT_ONCE
        if self._states is not None:
            held_rows, held_tokens = self._states.shape[2], self._states.shape[4]
            fits = held_rows >= len(reserved) and held_tokens >= n_tokens
            if fits and held_tokens <= 2 * n_tokens and held_rows <= 2 * n_rows:
                return
            n_rows = max(n_rows, held_rows) if held_rows <= 2 * n_rows else n_rows
        self._move(n_rows, n_tokens)

    def _move(self, n_rows: int, n_tokens: int) -> None:
        about = self.geometry
        shape = (about.n_layers, 2, n_rows, about.n_heads, n_tokens, about.head_size)
        states = torch.zeros(shape, dtype=about.dtype, device=about.device)
        if self._states is not None and self.lengths:
            longest = max(self.lengths)
            states[:, :, : self.n_rows, :, :longest] = self._states[:, :, : self.n_rows, :, :longest]
        self._states = states


def as_prefix(cache: SlotCache, row: int, *, n_tokens: int, seconds: float) -> Prefix:
    """Return the first `n_tokens` of a row as a prefix of its own."""
    return Prefix(states=cache.take(row, n_tokens=n_tokens).clone(), seconds=seconds)
