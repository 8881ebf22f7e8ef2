"""Two or more arms on the same questions, drawn: scores as this project sees them, and the truth behind them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

Float64 = NDArray[np.float64]
PARTIAL, NEARLY, SHARES_A_WORD, A_WORD = 1 / 6, 0.8, 1 / 8, 0.4  # F1 of right and wrong answers


def draw_scores(
    draws: np.random.Generator,
    skills: Sequence[float],
    *,
    n: int,
    kind: str,
    agreement: float = 0.8,
    n_seeds: int = 1,
    seed_spread: float = 0.0,
) -> list[Float64]:
    """Return each arm's scores, shape (n, n_seeds), of `kind` "em", "f1" or "logprob".

    Args:
        skills: each arm's probability of a right answer; of "logprob" its mean in nats.
        agreement: correlation of two arms' luck on one question.
        seed_spread: standard deviation between training seeds, of "logprob" only, in nats.
    """
    luck = draws.standard_normal((n, 1))
    arms = []
    for skill in skills:
        own = draws.standard_normal((n, n_seeds)) * np.sqrt(1 - agreement) + np.sqrt(agreement) * luck
        own += seed_spread * draws.standard_normal((1, n_seeds))
        arms.append(skill + own if kind == "logprob" else _score(draws, own > norm.ppf(1 - skill), kind))
    return arms


def true_mean(skill: float, kind: str) -> float:
    """Return what the mean score of infinitely many questions and seeds would be."""
    if kind == "f1":
        return skill * (1 - PARTIAL + PARTIAL * NEARLY) + (1 - skill) * SHARES_A_WORD * A_WORD
    return skill


def _score(draws: np.random.Generator, right: NDArray[np.bool_], kind: str) -> Float64:
    if kind == "em":
        return right.astype(np.float64)
    chance = draws.random(right.shape)
    scores: Float64 = np.where(
        right, np.where(chance < PARTIAL, NEARLY, 1.0), np.where(chance < SHARES_A_WORD, A_WORD, 0.0)
    )
    return scores
