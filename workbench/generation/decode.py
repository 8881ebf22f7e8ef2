"""Greedy decoding behind shared prefixes. Not a sampler: evaluations are greedy by design.

Own loop instead of `model.generate`, because rows that ended leave the batch (an untrained arm rambles to the limit,
a trained one stops after five tokens) and the prefix cache comes from outside. Tests hold it equal to `generate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from workbench.models.prefix import PrefixedBatch


@torch.inference_mode()
def decode_greedily(
    model: Any, batch: PrefixedBatch, *, end_ids: Sequence[int], max_new_tokens: int
) -> tuple[list[list[int]], list[float]]:
    """Return the new token ids of each row, its end token included if it came, and how unsure their choice was.

    Ties go to the lower id. Unsureness is the entropy of the next token's distribution in nats, averaged over the row's
    new tokens. `batch.cache` is consumed.
    """
    ends = torch.tensor(list(end_ids), device=batch.input_ids.device)
    rows = torch.arange(len(batch.input_ids), device=ends.device)
    generated: list[list[int]] = [[] for _ in rows]
    unsure = [0.0] * len(generated)
    ids, positions, mask, cache = batch.input_ids, batch.position_ids, batch.attention_mask, batch.cache
    for step in range(max_new_tokens):
        logits = model(
            input_ids=ids,
            position_ids=positions,
            attention_mask=mask,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=_last(ids, 1),
        ).logits[:, -1]  # (rows, V)
        chosen = logits.argmax(dim=-1)  # (rows,)
        spread = torch.distributions.Categorical(logits=logits.float(), validate_args=False)
        entropies = spread.entropy()  # type: ignore[no-untyped-call]  # (rows,)
        for row, token, entropy in zip(rows.tolist(), chosen.tolist(), entropies.tolist(), strict=True):
            generated[row].append(token)
            unsure[row] += entropy
        going = ~torch.isin(chosen, ends)
        if not going.any() or step == max_new_tokens - 1:
            break
        positions = positions[:, -1:] + 1
        if not going.all():
            cache.batch_select_indices(going.nonzero()[:, 0])
            rows, chosen, positions, mask = rows[going], chosen[going], positions[going], mask[going]
        ids = chosen[:, None]
        mask = torch.cat([mask, mask.new_ones((len(mask), 1))], dim=1)
    return generated, [total / len(ids) for total, ids in zip(unsure, generated, strict=True)]


@torch.inference_mode()
def score_continuations(model: Any, batch: PrefixedBatch, lengths: Sequence[int]) -> list[float]:
    """Return the mean log-probability (nats a token) of the last `lengths[b]` tokens of each row.

    Logits are computed in float32 and only where they are read.
    """
    longest = max(lengths)
    logits = model(
        input_ids=batch.input_ids,
        position_ids=batch.position_ids,
        attention_mask=batch.attention_mask,
        past_key_values=batch.cache,
        use_cache=True,
        logits_to_keep=_last(batch.input_ids, longest + 1),
    ).logits  # (B, longest + 1, V)
    targets = batch.input_ids[:, -longest:]  # (B, longest)
    log_probabilities = torch.log_softmax(logits[:, :-1].float(), dim=-1).gather(-1, targets[..., None])[..., 0]
    return [float(row[-length:].mean()) for row, length in zip(log_probabilities, lengths, strict=True)]


def _last(ids: torch.Tensor, n: int) -> torch.Tensor:
    # Indices, not the number n: Transformers would take a strided slice, for which torch multiplies row by row and
    # copies the output layer once a row (1 s of 1.8 s a batch at a vocabulary of 49k).
    return torch.arange(ids.shape[1] - n, ids.shape[1], device=ids.device)
