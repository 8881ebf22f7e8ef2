"""A paired test that may be looked at after any question: when is one arm's lead over another beyond doubt?

Testing by betting: one bets, question after question, that the lead is larger than the null hypothesis allows. If the
hypothesis is true, every bet loses or is fair, so whatever the scores look like the wealth ever reaches 1 / alpha with
a chance of at most alpha (Ville's inequality; Waudby-Smith and Ramdas 2023, https://doi.org/10.1093/jrsssb/qkad009).
The wealth is the mean over a few constant bets, so it does not depend on the order of the questions within a look.

Taken over the group-sequential test (Lan and DeMets 1983), which stops earlier but does not hold its error where arms
mostly agree: it is sure before the first question tells them apart. docs/LOG.md has the figures.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
BETS = (0.1, 0.3, 0.5, 0.7, 0.9)  # shares of the wealth that the worst question would cost


def bet(differences: Float64, *, worst: Float64 | float) -> Float64:
    """Return the logarithm of what one question makes of each bet's wealth.

    Args:
        differences: leads on one question, less what the null hypothesis allows them; any shape.
        worst: how far below 0 such a difference can lie; broadcast.
    Returns:
        Shape (len(BETS), ...); to be added up over the questions.
    """
    bets = np.array(BETS).reshape(-1, *[1] * differences.ndim)
    return np.log1p(bets * (differences / worst))


def log_wealth(bets: Float64) -> Float64:
    """Return the logarithm of the mean wealth over the bets, shape (len(BETS), ...) to (...).

    Beyond doubt at level alpha: log(1 / alpha) or more.
    """
    most = bets.max(axis=0)
    return np.asarray(most + np.log(np.exp(bets - most).mean(axis=0)))


class Decided(NamedTuple):
    """When a verdict on all questions calls a pair decided.

    The mean difference is `critical` standard errors from 0, or its interval of `interval` standard errors to each side
    lies within the margin; where one arm is cheaper it is enough that the dearer is not better by more than the margin.
    """

    margin: float
    critical: float
    interval: float


def chance_to_decide(
    totals: Float64, squares: Float64, *, n: int, n_all: int, rules: Decided, cheaper: NDArray[np.bool_]
) -> Float64:
    """Return the chance that all questions together would decide a pair, seen what `n` of `n_all` have shown.

    The mean over all is predicted from the seen: normal about their mean, with variance s2 (1 / n - 1 / n_all)
    (stochastic curtailment; Spiegelhalter, Freedman and Blackburn 1986,
    https://doi.org/10.1016/0197-2456(86)90003-6). One more question that differs entirely is added to s2, so that arms
    that never differed are not taken to be the same.

    Args:
        totals, squares: shape (K, K), sums over the seen questions of score(row) - score(column) and of its square.
        cheaper: shape (K, K), whether the row may turn out cheaper than the column.
    Returns:
        Chances in [0, 1], shape (K, K).
    """
    from scipy.special import ndtr

    mean, variance = totals / n, (squares + 1) / (n + 1) - (totals / (n + 1)) ** 2
    spread = np.sqrt(variance * max(1 / n - 1 / n_all, 1e-12))
    error = np.sqrt(variance / n_all)
    room = rules.margin - rules.interval * error  # means closer to 0 have an interval within the margin
    apart = rules.critical * error
    high = np.where(cheaper, np.minimum(apart, -room), apart)  # from here on, the row wins
    low = np.where(cheaper.T, np.maximum(-apart, room), -apart)  # up to here, the column wins

    def within(start: Float64, end: Float64) -> Float64:
        return np.asarray(np.maximum(ndtr((end - mean) / spread) - ndtr((start - mean) / spread), 0.0))

    alike = within(np.maximum(low, -room), np.minimum(high, room))
    return np.asarray(1 - within(low, high) + alike)
