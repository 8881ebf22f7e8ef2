"""Intervals for means, and the draws that they and paired comparisons (paired.py) share.

Questions are the unit: the spread between training seeds is in the interval of a difference, not in that of a mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Limits = tuple[float, float]
SHARE: Limits = (0.0, 1.0)
BLOCK = 4_000_000  # draws held at once: 32 MB as float64


class Interval(NamedTuple):
    """A mean over `n` values. `low` and `high` are None where the data cannot tell (see `mean_interval`)."""

    mean: float
    low: float | None
    high: float | None
    n: int


def mean_interval(values: Sequence[float], *, confidence: float = 0.95, limits: Limits | None = SHARE) -> Interval:
    """Return the mean of `values` with its interval.

    - shares, all 0 or 1: Wilson's score interval, honest at 0 % and 100 %
      (Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953);
    - scores within `limits`: the same, as if of so many fewer or more shares as their variance is larger or smaller
      than that of shares with this mean, with t in place of z. Where most scores are 0 or 1, t's own interval and the
      bootstrap are too narrow (scripts/prove_statistics.py: 92 % in place of 95);
    - all equal: the bound of `constant_bound`; without `limits` (log-probabilities) there is none: low and high None;
    - else, without limits: t's.

    Args:
        limits: between which a value can lie at all; None: anywhere.
    Raises:
        ValueError: no values, or one outside the limits.
    """
    from scipy.stats import binomtest, t

    array = checked(values, limits)
    n, mean = len(array), float(array.mean())
    if limits == SHARE and np.isin(array, SHARE).all():
        bound = binomtest(int(array.sum()), n).proportion_ci(confidence, method="wilson")
        return Interval(mean, float(bound.low), float(bound.high), n)
    if np.ptp(array) == 0:
        low, high = constant_bound(float(array[0]), n, limits, confidence)
        return Interval(float(array[0]), low, high, n)
    quantile, variance = float(t.ppf((1 + confidence) / 2, n - 1)), float(array.var(ddof=1))
    if limits is None:
        half = quantile * (variance / n) ** 0.5
        return Interval(mean, mean - half, mean + half, n)
    return Interval(mean, *_scaled_wilson(mean, variance, n, quantile, limits), n)


def _scaled_wilson(mean: float, variance: float, n: int, quantile: float, limits: Limits) -> tuple[float, float]:
    """Solve |mean - m| = quantile sqrt(r v(m) / n) for m: v(m) is the variance of shares of mean m, r as observed."""
    width = limits[1] - limits[0]
    share = (mean - limits[0]) / width
    shares = n * share * (1 - share) / (variance / width**2)  # so many shares vary as these values do
    z = quantile**2 / shares
    middle = (share + z / 2) / (1 + z)
    half = (z * share * (1 - share) + z * z / 4) ** 0.5 / (1 + z)
    return limits[0] + width * max(middle - half, 0.0), limits[0] + width * min(middle + half, 1.0)


def checked(values: Sequence[float] | Float64, limits: Limits | None) -> Float64:
    """Return the values as an array. Raises ValueError for none, for one outside the limits or not finite."""
    array = np.asarray(values, dtype=np.float64)
    if not len(array):
        raise ValueError("a mean needs at least one value")
    if not np.isfinite(array).all():
        raise ValueError(f"{int((~np.isfinite(array)).sum())} of {len(array)} values are not finite")
    margin = 1e-9  # a measure may come out as 1.0000000000000002
    if limits is not None and (array.min() < limits[0] - margin or array.max() > limits[1] + margin):
        raise ValueError(f"values from {array.min()} to {array.max()} are outside their limits {limits}")
    return array


def constant_bound(value: float, n: int, limits: Limits | None, confidence: float) -> tuple[float | None, float | None]:
    """Bound the mean of values in `limits` of which `n` were seen, all equal to `value`; None without limits.

    At most a share u of the population can differ: Clopper and Pearson's upper bound for 0 of n (the "rule of three",
    https://doi.org/10.1093/biomet/26.4.404). That share may lie anywhere within the limits.
    """
    from scipy.stats import binomtest

    if limits is None:
        return None, None
    u = float(binomtest(0, n).proportion_ci(confidence, method="exact").high)
    return (1 - u) * value + u * limits[0], (1 - u) * value + u * limits[1]


def sign_flip_p(differences: Float64, flips: int, seed: int) -> float:
    """Return the two-sided p of "no difference" by flipping signs, shape (Q,); (1 + hits) / (1 + flips), never 0."""
    observed = abs(differences.sum())
    sums = np.concatenate([signs @ differences for signs in _signs(len(differences), flips, seed)])  # (R,)
    # The margin keeps flips that give the same sum in another order of addition on the side of "as extreme".
    hits = int((np.abs(sums) >= observed - 1e-9 * max(observed, 1.0)).sum())
    return (1 + hits) / (1 + flips)


@lru_cache(maxsize=4)
def _signs(n: int, flips: int, seed: int) -> tuple[Float64, ...]:
    draws = np.random.default_rng([seed, 1])
    return tuple(2 * draws.integers(0, 2, size=(rows, n)).astype(np.float64) - 1 for rows in _block_sizes(n, flips))


def _block_sizes(n: int, resamples: int) -> list[int]:
    rows = max(1, BLOCK // n)
    return [min(rows, resamples - done) for done in range(0, resamples, rows)]
