"""A paired test that may be looked at again and again: when is one arm's lead over another beyond doubt?

Group-sequential, with alpha spending: the boundary at each look is the one under which, with no true lead, the chance
to have crossed it by then is alpha x the share of questions seen (Lan and DeMets 1983,
https://doi.org/10.1093/biomet/70.3.659; this spending is rho = 1 of Kim and DeMets 1987,
https://doi.org/10.1093/biomet/74.1.149; the integration is that of Armitage, McPherson and Rowe 1969,
https://doi.org/10.2307/2343787). What is held against it is the sign-flip statistic in its normal limit, which is
cautious where few questions differ: six questions of six in favour are 2.45, not infinity.

Not an anytime test: the number of questions is fixed beforehand. Betting confidence sequences (Waudby-Smith and Ramdas
2023) need no such number, but on scores like ours they stop later; docs/LOG.md has the figures.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
N_GRID = 301  # points of the density below the boundary: boundaries are exact to three digits
REACH = 8.0  # standard deviations: what lies beyond has no weight


class _Look(NamedTuple):
    """The score process B at one look, where it has not crossed before: density on a grid, and the boundary as z."""

    grid: Float64
    mass: Float64  # chance of each grid point
    boundary: float


class Decided(NamedTuple):
    """When a verdict on all questions calls a pair decided.

    The mean difference is `critical` standard errors from 0, or its interval of `interval` standard errors to each side
    lies within the margin; where one arm is cheaper it is enough that the dearer is not better by more than the margin.
    """

    margin: float
    critical: float
    interval: float


def boundary(alpha: float, fractions: tuple[float, ...]) -> float:
    """Return how large z has to be at the last of these looks to be a discovery, one-sided.

    Args:
        alpha: chance, over all looks together, that z crosses although there is no lead.
        fractions: share of the questions seen at each look so far, rising, in (0, 1].
    Raises:
        ValueError: alpha or the fractions are out of range, or do not rise.
    """
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha must lie in (0, 0.5), and is {alpha}")
    if not fractions or fractions[0] <= 0 or fractions[-1] > 1 + 1e-9:
        raise ValueError(f"shares of the questions seen must lie in (0, 1], and are {fractions}")
    if any(later <= earlier for earlier, later in pairwise(fractions)):
        raise ValueError(f"shares of the questions seen must rise from look to look, and are {fractions}")
    return _look(alpha, fractions).boundary


@lru_cache(maxsize=4096)
def _look(alpha: float, fractions: tuple[float, ...]) -> _Look:
    from scipy.optimize import brentq
    from scipy.special import ndtr, ndtri

    now, before = fractions[-1], fractions[-2] if len(fractions) > 1 else 0.0
    spent, step = alpha * (now - before), float(np.sqrt(now - before))
    if len(fractions) == 1:
        crossing = float(-ndtri(spent)) * step
        start, mass = np.zeros(1), np.ones(1)
    else:
        last = _look(alpha, fractions[:-1])
        start, mass = last.grid, last.mass
        crossing = brentq(
            lambda level: float(mass @ ndtr((start - level) / step)) - spent, 0.0, 2 * REACH * np.sqrt(now)
        )
    grid, width = np.linspace(-REACH * np.sqrt(now), crossing, N_GRID, retstep=True)
    steps = (grid[:, None] - start[None, :]) / step  # (G, earlier G)
    density = (np.exp(-0.5 * steps**2) / (step * np.sqrt(2 * np.pi))) @ mass
    weights = np.full(N_GRID, float(width))
    weights[[0, -1]] /= 2  # trapezoid
    return _Look(grid, density * weights, crossing / float(np.sqrt(now)))


def flip_z(totals: Float64, squares: Float64) -> Float64:
    """Return sum / sqrt(sum of squares): the sum in standard deviations of its sign-flip distribution; 0 where no data.

    Args:
        totals: sums of the paired differences, less what the null hypothesis allows them; any shape.
        squares: sums of their squares, same shape.
    """
    return np.divide(totals, np.sqrt(squares), out=np.zeros_like(totals), where=squares > 0)


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
