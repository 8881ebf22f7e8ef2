"""How an arm's score grows with its training examples: a straight line over the logarithm, question by question.

The line is fitted to each question's scores at all sizes, so its slope is a mean over questions and its interval is
t's; where the line reaches a target is bootstrapped over questions. One training a size: the spread between trainings
is in neither interval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.decision import Estimate

FURTHEST = 4.0  # times the examples at hand: further on, a line says nothing


@dataclass(frozen=True, slots=True)
class Line:
    """A fitted line. `needed` None: not within FURTHEST times the examples, or the score is not shown to grow."""

    per_doubling: Estimate
    needed: Estimate | None
    grows: bool  # the slope is shown to be above 0


def fit_line(
    scores: Mapping[int, Sequence[float]],
    target: Sequence[float] | None = None,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Line:
    """Fit the line.

    Args:
        scores: examples → score of every question, the questions in the same order.
        target: scores of another arm on the same questions, whose mean is to be reached.
    Raises:
        ValueError: fewer than two sizes, or fewer than two questions.
    """
    from scipy.stats import t

    sizes = sorted(scores)
    columns = np.array([scores[size] for size in sizes], dtype=np.float64)  # (sizes, questions)
    if len(sizes) < 2 or columns.shape[1] < 2:
        raise ValueError(f"a line needs 2 sizes and 2 questions, and got {len(sizes)} and {columns.shape[1]}")
    x = np.log2(sizes)
    weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    slopes = weights @ columns  # (questions,)
    n = len(slopes)
    slope = float(slopes.mean())
    if not slopes.std():  # every question alike: the spread is not known
        return Line(Estimate(value=slope), None, grows=False)
    half = float(t.ppf((1 + confidence) / 2, n - 1) * slopes.std(ddof=1) / np.sqrt(n))
    grows = slope - half > 0
    needed = None
    if target is not None and grows:
        rows = np.random.default_rng([seed, 3]).integers(0, n, size=(resamples, n))
        reached = _reach(x, slopes[rows].mean(1), columns.mean(0)[rows].mean(1), np.asarray(target)[rows].mean(1))
        low, high = np.quantile(reached, [(1 - confidence) / 2, (1 + confidence) / 2])
        value = float(_reach(x, np.array([slope]), np.array([columns.mean()]), np.array([np.mean(target)]))[0])
        furthest = sizes[-1] * FURTHEST
        if value <= furthest:
            needed = Estimate(value=value, low=float(low), high=float(high) if high <= furthest else None)
    return Line(Estimate(value=slope, low=slope - half, high=slope + half), needed, grows)


def _reach(
    x: NDArray[np.float64], slope: NDArray[np.float64], mean: NDArray[np.float64], target: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the examples at which the line reaches the target; infinite where it does not grow."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        place = np.where(slope > 0, x.mean() + (target - mean) / slope, np.inf)
        return np.asarray(np.exp2(np.minimum(place, 1000.0)))
