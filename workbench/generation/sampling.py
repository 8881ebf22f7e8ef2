"""Choosing the next token of each row from the logits: greedy, or drawn with a generator of the row's own.

A row draws one uniform number a token from its own generator on the CPU and reads the token off the cumulated
probabilities, so the same seed gives the same answer on the same machine. Beside other rows, float32 logits differ
from those of the row alone in the last bit, bfloat16 ones by up to 1 %: there a draw that lies on the border between
two tokens, or a greedy choice between two nearly equal ones, can then fall the other way, and the rest of the answer
with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from workbench.types import Sampling


@dataclass(frozen=True, slots=True)
class Choice:
    """The token that greedy decoding takes, how unsure it is, and whether the logits are numbers at all."""

    token: int
    entropy: float  # of the next token's distribution at temperature 1, in nats
    finite: bool


def read_choices(logits: torch.Tensor) -> list[Choice]:
    """Return the greedy choice of each row of `logits`, shape (B, V). Ties go to the lower id.

    A logit of minus infinity is a token the model rules out; any other that is not finite makes the row unsound.
    """
    wide = logits.float()
    total = wide.logsumexp(dim=-1, keepdim=True)  # (B, 1): NaN or infinite where the row is unsound
    odds = (wide - total).clamp_(min=torch.finfo(torch.float32).min)
    entropies = -(odds.exp() * odds).sum(dim=-1)  # (B,)
    finite = torch.isfinite(total[:, 0])
    return [Choice(*row) for row in zip(wide.argmax(dim=-1).tolist(), entropies.tolist(), finite.tolist(), strict=True)]


class Sampler:
    """Chooses the tokens of one answer."""

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self._generator = torch.Generator()
        if sampling.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(sampling.seed % 2**64)

    def choose(self, logits: torch.Tensor, greedy: int) -> int:
        """Return a token for `logits`, shape (V,), all numbers or minus infinity; `greedy` is the likeliest."""
        asked = self._sampling
        if asked.temperature == 0:
            return greedy
        wide = logits.cpu().double()
        odds = torch.softmax((wide - wide.max()) / asked.temperature, dim=0)  # (V,)
        order: torch.Tensor | None = None
        if asked.top_p < 1:
            odds, order = odds.sort(descending=True, stable=True)
            before = odds.cumsum(0) - odds
            odds = odds[before < asked.top_p]  # the first always stays
        heights = odds.cumsum(0)
        drawn = torch.rand((), generator=self._generator, dtype=torch.float64) * heights[-1]
        # The right side: a token of no probability is as high as the one before it, and is never reached.
        place = min(int(torch.searchsorted(heights, drawn, right=True)), len(heights) - 1)
        return place if order is None else int(order[place])


def check_sampling(sampling: Sampling) -> None:
    """Refuse what cannot be sampled.

    Raises:
        ValueError: a number out of its range, or an empty stop text; both are named.
    """
    asked: Sequence[tuple[bool, str]] = (
        (sampling.max_new_tokens >= 1, f"max_new_tokens is {sampling.max_new_tokens}, but has to be 1 at least"),
        (0 <= sampling.temperature < float("inf"), f"temperature is {sampling.temperature}, but has to be 0 or more"),
        (0 < sampling.top_p <= 1, f"top_p is {sampling.top_p}, but has to be above 0 and 1 at most"),
        (all(sampling.stop), "a stop text is empty, so no answer could begin"),
    )
    for fine, complaint in asked:
        if not fine:
            raise ValueError(complaint)
