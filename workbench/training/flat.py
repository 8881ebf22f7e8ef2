"""Short rows one after the other in a single sequence: nothing padded, what all begin with computed once.

One pass over few tokens instead of two, for the shared beginning and for the rest: on short rows a step is bound by how
many operations there are, not by their size. Every token sees the beginning and what precedes it in its own row; the
positions are those in the row, so the sums are the same as row by row (with dropout, one mask for what is shared).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from workbench.types import TrainingExample

MOST_TOKENS = 1024  # of one sequence: attention grows with its square


@dataclass(frozen=True, slots=True)
class FlatBatch:
    """Rows laid flat: L tokens, of which N predict a loss token."""

    input_ids: torch.Tensor  # (1, L)
    position_ids: torch.Tensor  # (1, L)
    mask: torch.Tensor  # (1, 1, L, L), True: seen
    predicts: torch.Tensor  # (N,), places of the states that predict a loss token, row after row
    targets: torch.Tensor  # (N,), those tokens


def fits_flat(examples: Sequence[TrainingExample], n_shared: int) -> bool:
    """Whether rows that begin with `n_shared` equal tokens are short enough, and none stands behind a prefix."""
    n_tokens = n_shared + sum(len(example.token_ids) - n_shared for example in examples)
    return n_tokens <= MOST_TOKENS and not any(example.n_prefix for example in examples)


def lay_flat(examples: Sequence[TrainingExample], n_shared: int, *, device: torch.device) -> FlatBatch:
    """Lay rows flat. The first `n_shared` tokens of all are equal, and no loss token is among them or right behind."""
    ids, positions, rows = list(examples[0].token_ids[:n_shared]), list(range(n_shared)), [-1] * n_shared
    predicts: list[int] = []
    targets: list[int] = []
    for number, example in enumerate(examples):
        shift = len(ids) - n_shared  # from a place in the row to one in the sequence
        ids.extend(example.token_ids[n_shared:])
        positions.extend(range(n_shared, len(example.token_ids)))
        rows.extend([number] * (len(example.token_ids) - n_shared))
        for place, (token, counts) in enumerate(zip(example.token_ids, example.loss_mask, strict=True)):
            if counts:
                predicts.append(shift + place - 1)
                targets.append(token)
    row = torch.tensor(rows)
    seen = (row[:, None] == row) | (row == -1)  # (L, L): of its own row, or of the beginning
    return FlatBatch(
        input_ids=torch.tensor([ids], device=device),
        position_ids=torch.tensor([positions], device=device),
        mask=seen.tril().to(device)[None, None],
        predicts=torch.tensor(predicts, device=device),
        targets=torch.tensor(targets, device=device),
    )
