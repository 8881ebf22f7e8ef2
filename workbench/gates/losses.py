"""Two gates on held-out loss: it begins at the base model's (B = 0 changes nothing), and it ends below it.

The losses are computed here anew, row by row, not taken from the training loop: the first gate would catch a loop whose
loss is not the model's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from workbench.gates.results import GateResult, Status, not_applicable
from workbench.models.adapters import adapter_active
from workbench.models.prefix import Prefix, assemble_batch, compute_prefix, decoder
from workbench.types import TrainingExample

START, END = "start equals base", "held-out loss"
# Nats a token. The loop pads and batches otherwise than we do, so sums are rounded in another order.
START_TOLERANCE = {torch.float32: 0.002, torch.float16: 0.02, torch.bfloat16: 0.03}


class RowLoss(NamedTuple):
    """The loss of one row, in nats, summed over its loss tokens."""

    nats: float
    n_tokens: int


class Change(NamedTuple):
    """How a loss changed, in nats a token; `low` and `high` are None where one document cannot tell."""

    mean: float
    low: float | None
    high: float | None
    n_groups: int


@torch.inference_mode()
def measure_rows(
    model: Any, rows: Sequence[TrainingExample], *, adapter: str | None, pad_id: int, batch_size: int = 4
) -> list[RowLoss]:
    """Return each row's loss with `adapter` on (None: the base). The first `n_prefix` tokens are read by the base.

    Logits are computed in float32 and only where there is loss.
    """
    losses: list[RowLoss] = []
    for start in range(0, len(rows), batch_size):
        batch = rows[start : start + batch_size]
        with adapter_active(model, None):
            prefixes = [_read_prefix(model, row) for row in batch]
        with adapter_active(model, adapter):
            losses += _measure_batch(model, batch, prefixes, pad_id)
    return losses


def _read_prefix(model: Any, row: TrainingExample) -> Prefix | None:
    return compute_prefix(model, row.token_ids[: row.n_prefix]) if row.n_prefix else None


def _measure_batch(
    model: Any, rows: Sequence[TrainingExample], prefixes: Sequence[Prefix | None], pad_id: int
) -> list[RowLoss]:
    suffixes = [row.token_ids[row.n_prefix :] for row in rows]
    inputs = assemble_batch(prefixes, suffixes, pad_id=pad_id, device=model.device)
    hidden = decoder(model)(
        input_ids=inputs.input_ids,
        position_ids=inputs.position_ids,
        attention_mask=inputs.attention_mask,
        past_key_values=inputs.cache,
        use_cache=True,
    ).last_hidden_state  # (B, S, H), rows end at the right edge
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    losses = []
    for states, row in zip(hidden, rows, strict=True):
        offset = len(states) - len(row.token_ids)
        places = [place for place, counts in enumerate(row.loss_mask) if counts and place + offset > 0]
        targets = torch.tensor([row.token_ids[place] for place in places], device=states.device)
        logits = base.get_output_embeddings()(states[[place + offset - 1 for place in places]])  # (loss tokens, V)
        nats = torch.nn.functional.cross_entropy(logits.float(), targets, reduction="sum")
        losses.append(RowLoss(float(nats), len(places)))
    return losses


def mean_loss(losses: Sequence[RowLoss]) -> float:
    """Return nats a token, over all tokens of all rows."""
    return sum(row.nats for row in losses) / sum(row.n_tokens for row in losses)


def grouped_change(
    before: Sequence[RowLoss],
    after: Sequence[RowLoss],
    groups: Sequence[str],
    *,
    resamples: int,
    confidence: float,
    seed: int,
) -> Change:
    """Return the change of the mean loss and its paired percentile bootstrap interval over groups.

    change = Σ (after − before) / Σ tokens. Whole groups are drawn with replacement, because rows of one document rise
    and fall together (cluster bootstrap: Davison and Hinkley 1997, section 3.8); the ratio is taken anew in each draw.
    """
    names = sorted(set(groups))
    place = {name: number for number, name in enumerate(names)}
    sums = np.zeros((len(names), 2))  # (G, nats and tokens)
    for old, new, group in zip(before, after, groups, strict=True):
        sums[place[group]] += (new.nats - old.nats, new.n_tokens)
    mean = float(sums[:, 0].sum() / sums[:, 1].sum())
    if len(names) < 2:
        return Change(mean, None, None, len(names))
    draws = np.random.default_rng(seed).integers(0, len(names), size=(resamples, len(names)))
    drawn = sums[draws].sum(axis=1)  # (R, 2)
    tail = (1 - confidence) / 2
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [tail, 1 - tail])
    return Change(mean, float(low), float(high), len(names))


def check_start(recorded: float | None, base: Sequence[RowLoss], *, dtype: torch.dtype) -> GateResult:
    """Compare the held-out loss that the loop recorded before its first step with the base model's."""
    if recorded is None or not base:
        return not_applicable(START, "No held-out loss was recorded before the first step.")
    bound = START_TOLERANCE.get(dtype, START_TOLERANCE[torch.bfloat16])
    apart = abs(recorded - mean_loss(base))
    equal = apart <= bound
    says = (
        f"Before the first step the loss was {recorded:.4f} nats a token, the base model's is {mean_loss(base):.4f}"
        f"{'' if equal else ': the adapter did not begin at zero, or the loop computes another loss'}."
    )
    return GateResult(name=START, status=Status.PASS if equal else Status.FAIL, value=apart, bound=bound, says=says)


def check_end(
    base: Sequence[RowLoss],
    end: Sequence[RowLoss],
    groups: Sequence[str],
    *,
    kept_last: bool,
    resamples: int,
    confidence: float,
    seed: int,
) -> GateResult:
    """Compare the adapter's held-out loss with the base model's, row by row.

    Args:
        kept_last: `training.keep: last`, for facts: held-out rows ask other facts, so a loss above base is no failure.
    """
    if not base:
        return not_applicable(END, "There are no held-out rows.")
    change = grouped_change(base, end, groups, resamples=resamples, confidence=confidence, seed=seed)
    if change.mean >= 0:
        status = Status.WARN if kept_last else Status.FAIL
    else:
        status = Status.PASS if change.high is not None and change.high < 0 else Status.WARN
    span = "one document gives no interval" if change.low is None else f"[{change.low:+.3f}, {change.high:+.3f}]"
    documents = f"{change.n_groups} document{'' if change.n_groups == 1 else 's'}"
    says = (
        f"Held-out loss went from {mean_loss(base):.3f} to {mean_loss(end):.3f} nats a token: {change.mean:+.3f} "
        f"{span}, {len(base)} rows of {documents}."
    )
    details: dict[str, float | int | str | None] = {
        "base_loss": mean_loss(base),
        "loss": mean_loss(end),
        "low": change.low,
        "high": change.high,
        "rows": len(base),
        "groups": change.n_groups,
    }
    return GateResult(name=END, status=status, value=change.mean, bound=0.0, says=says, details=details)
