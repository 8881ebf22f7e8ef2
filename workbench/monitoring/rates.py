"""Shares, means and their changes, with intervals and with the sample that a change worth finding takes. Pure.

Sources: Wilson 1927 (one share); Newcombe 1998, https://doi.org/10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I,
method 10 (a difference of two); Fisher's exact test (its p); Welch 1947 (two means); Armitage 1955 (trend in shares),
its p by permutation; Holm 1979 (several checks at once).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from workbench.evaluation.statistics import mean_interval
from workbench.monitoring.findings import Figure

POWER = 0.8
CONFIDENCE = 0.95
NEVER = 10**7  # no log holds so many


def share(n_met: int, n: int) -> Figure | None:
    """Return a share with Wilson's interval; None: of nothing."""
    if not n:
        return None
    interval = mean_interval([1.0] * n_met + [0.0] * (n - n_met), confidence=CONFIDENCE)
    return Figure(value=interval.mean, low=interval.low, high=interval.high, n=n)


def share_change(before: Figure, now: Figure) -> Figure:
    """Return now minus before with Newcombe's interval, made of the two Wilson intervals."""
    change = now.value - before.value
    assert None not in (before.low, before.high, now.low, now.high)
    below = math.hypot(now.value - (now.low or 0.0), (before.high or 0.0) - before.value)
    above = math.hypot((now.high or 0.0) - now.value, before.value - (before.low or 0.0))
    return Figure(value=change, low=change - below, high=change + above, n=now.n)


def share_change_p(met_before: int, n_before: int, met_now: int, n_now: int) -> float:
    """Return Fisher's two-sided p of "the share did not change"."""
    from scipy.stats import fisher_exact

    return float(fisher_exact([[met_before, n_before - met_before], [met_now, n_now - met_now]]).pvalue)


def mean(values: Sequence[float]) -> Figure | None:
    """Return a mean with t's interval; None: of nothing. Of fewer than two values, or equal ones, without interval."""
    if not values:
        return None
    interval = mean_interval(values, confidence=CONFIDENCE, limits=None)
    return Figure(value=interval.mean, low=interval.low, high=interval.high, n=interval.n)


def mean_change(before: Sequence[float], now: Sequence[float]) -> tuple[Figure, float]:
    """Return the mean now minus the mean before with Welch's interval, and its two-sided p; two values each at least.

    Where all are equal, p is 1, or 0 where the two samples differ all the same.
    """
    from scipy.stats import t

    change = float(np.mean(now) - np.mean(before))
    parts = [float(np.var(values, ddof=1)) / len(values) if np.ptp(values) else 0.0 for values in (before, now)]
    error = math.sqrt(sum(parts))
    if error == 0:
        return Figure(value=change, low=None, high=None, n=len(now)), float(change == 0)
    degrees = sum(parts) ** 2 / sum(part**2 / (len(v) - 1) for part, v in zip(parts, (before, now), strict=True))
    half = float(t.ppf((1 + CONFIDENCE) / 2, degrees)) * error
    p = float(2 * t.sf(abs(change) / error, degrees))
    return Figure(value=change, low=change - half, high=change + half, n=len(now)), p


def trend(places: Sequence[int], met: Sequence[bool], *, permutations: int, seed: int) -> tuple[Figure, float]:
    """Return the change of a share a step of `places`, with its interval, and the p of "no trend".

    The slope is least squares', its interval Armitage's; p permutes which value stands at which place, so it is exact.

    Raises:
        ValueError: all stand at one place.
    """
    x = np.asarray(places, dtype=np.float64) - float(np.mean(places))
    y = np.asarray(met, dtype=np.float64)
    spread = float(x @ x)
    if spread == 0:
        raise ValueError("a trend needs two places")
    slope = float(x @ y) / spread
    error = math.sqrt(float(y.mean()) * (1 - float(y.mean())) / spread)
    draw = np.random.default_rng([seed, 3])
    drawn = np.array([x @ draw.permutation(y) for _ in range(permutations)]) / spread
    hits = int((np.abs(drawn) >= abs(slope) - 1e-12).sum())
    half = _z(CONFIDENCE) * error
    return Figure(value=slope, low=slope - half, high=slope + half, n=len(y)), (1 + hits) / (1 + permutations)


def needed_for_share(n_before: int, share_before: float, change: float, *, error: float) -> int | None:
    """Return how many values find a share grown by `change` with 80 % power, beside `n_before`; None: never.

    Two-sided, after the normal approximation, rounded up.
    """
    now = min(share_before + change, 1.0)
    spread = share_before * (1 - share_before) / n_before if n_before else math.inf
    return _needed(now * (1 - now), spread, change, error)


def needed_for_trend(share_now: float, change: float, *, error: float) -> int:
    """Return how many ratings find a share that falls by `change` from their first half to their second."""
    from scipy.stats import norm

    after = max(share_now - change, 0.0)
    variance = share_now * (1 - share_now) + after * (1 - after)
    half = variance * ((_z(1 - error) + float(norm.ppf(POWER))) / change) ** 2
    return max(4, 2 * math.ceil(half))


def needed_for_mean(before: Sequence[float], change: float, *, error: float) -> int | None:
    """Return how many values find a mean moved by `change` with 80 % power; None: never with so few before."""
    if len(before) < 2:
        return None
    variance = float(np.var(before, ddof=1))
    return _needed(variance, variance / len(before), change, error)


def adjust(ps: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p of each: an alarm at `alpha` or below is false in at most a share `alpha` of reports."""
    order = sorted(range(len(ps)), key=lambda place: ps[place])
    adjusted, highest = [0.0] * len(ps), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[place]))
        adjusted[place] = highest
    return adjusted


def _needed(variance: float, spread_before: float, change: float, error: float) -> int | None:
    """Solve change / sqrt(variance / n + spread_before) = z(error) + z(power) for n."""
    from scipy.stats import norm

    allowed = (change / (_z(1 - error) + float(norm.ppf(POWER)))) ** 2 - spread_before
    if allowed <= variance / NEVER:
        return None
    return max(2, math.ceil(variance / allowed))


def _z(confidence: float) -> float:
    from scipy.stats import norm

    return float(norm.ppf((1 + confidence) / 2))
