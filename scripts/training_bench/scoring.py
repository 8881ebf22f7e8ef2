"""The held-out loss of an adapted model, computed by one code for all contestants. Imports no workbench."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from training_bench.task import Row


@torch.no_grad()
def score_rows(model: Any, rows: Sequence[Row]) -> float:
    """Return the mean cross-entropy of `rows` in nats a loss token, from the model's own logits, row by row."""
    total, n_tokens = 0.0, 0
    for row in rows:
        ids = torch.tensor([row.token_ids], device=model.device)
        logits = model(input_ids=ids).logits[0, :-1].float()  # (S - 1, V)
        wanted = torch.tensor(row.loss_mask[1:], dtype=torch.bool, device=model.device)
        loss = torch.nn.functional.cross_entropy(logits[wanted], ids[0, 1:][wanted], reduction="sum")
        total, n_tokens = total + float(loss), n_tokens + int(wanted.sum())
    return total / n_tokens
