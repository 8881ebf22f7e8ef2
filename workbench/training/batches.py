"""The order of training: a pure function of (seed, epoch), so that a resumed run needs no sampler state.

And how a batch is parted into micro-batches.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from workbench.types import TrainingExample

CPU_TOKENS, CPU_TOKENS_A_THREAD = 2048, 512  # more at once make a CPU no faster, and hold more (docs/LOG.md)
WINDOW = 8  # batches that are sorted by length together: less padding, still a shuffled epoch


def order_epoch(examples: Sequence[TrainingExample], *, batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Return the epoch's batches as indices into `examples`; each index once, the last batch may be short.

    Rows are shuffled, sorted by length inside windows of a few batches, and the batches shuffled again.
    """

    def cost(index: int) -> int:
        # Tokens that are computed in every epoch: cached prefixes are padded too, but padding them costs little.
        return len(examples[index].token_ids) - examples[index].n_prefix

    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    shuffled = torch.randperm(len(examples), generator=generator).tolist()
    batches: list[list[int]] = []
    for start in range(0, len(shuffled), batch_size * WINDOW):
        window = sorted(shuffled[start : start + batch_size * WINDOW], key=lambda index: (cost(index), index))
        batches.extend(window[at : at + batch_size] for at in range(0, len(window), batch_size))
    return [batches[index] for index in torch.randperm(len(batches), generator=generator).tolist()]


def split_batch(
    rows: Sequence[TrainingExample], *, most_rows: int, most_tokens: int | None
) -> list[Sequence[TrainingExample]]:
    """Return `rows`, in order, as micro-batches of at most `most_rows` rows and, but for one row alone, `most_tokens`.

    Args:
        most_tokens: computed tokens, padding counted, cached prefixes not; None: no bound.
    """
    parts: list[Sequence[TrainingExample]] = []
    start = longest = 0
    for place, row in enumerate(rows):
        longest = max(longest, len(row.token_ids) - row.n_prefix)
        n_rows = place + 1 - start
        if n_rows > most_rows or (n_rows > 1 and most_tokens is not None and n_rows * longest > most_tokens):
            parts.append(rows[start:place])
            start, longest = place, len(row.token_ids) - row.n_prefix
    return [*parts, rows[start:]] if rows else []


def default_tokens(device: torch.device) -> int | None:
    """Return the tokens of a micro-batch where the recipe names none; None: no bound."""
    return max(CPU_TOKENS, CPU_TOKENS_A_THREAD * torch.get_num_threads()) if device.type == "cpu" else None


def learning_rate_at(step: int, *, n_steps: int, peak: float, warmup_ratio: float) -> float:
    """Return the rate of update `step` (from 0): a linear ramp over the warm-up, then linear to 0 after the last."""
    n_warmup = max(1, round(n_steps * warmup_ratio))
    if step < n_warmup:
        return peak * (step + 1) / n_warmup
    return peak * (n_steps - step) / max(1, n_steps - n_warmup)
