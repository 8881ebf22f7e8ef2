"""The line over the logarithm of examples: slope, target, and what it refuses to say."""

import numpy as np
import pytest

from workbench.decision import Estimate
from workbench.verdict.learning import fit_line


def covers(estimate: Estimate | None, value: float) -> bool:
    assert estimate is not None and estimate.low is not None and estimate.high is not None
    return estimate.low <= value <= estimate.high


def grown(slope: float, *, noise: float = 0.05, n: int = 200) -> dict[int, list[float]]:
    draws = np.random.default_rng(0)
    level = draws.normal(0.3, 0.1, n)
    return {size: list(level + slope * np.log2(size / 40) + draws.normal(0, noise, n)) for size in (40, 80, 160, 320)}


def test_the_slope_and_the_place_of_the_target_are_found() -> None:
    scores = grown(0.05)
    line = fit_line(scores, [0.5] * 200)
    assert covers(line.per_doubling, 0.05) and line.grows
    # 0.3 + 0.05 log2(n / 40) = 0.5 at n = 640
    assert covers(line.needed, 640)
    assert covers(fit_line(scores, [0.35] * 200).needed, 80)


def test_beyond_four_times_the_examples_nothing_is_promised() -> None:
    assert fit_line(grown(0.05), [0.9] * 200).needed is None


def test_no_growth_promises_nothing() -> None:
    line = fit_line(grown(0.0, noise=0.2), [0.9] * 200)
    assert not line.grows and line.needed is None
    flat = fit_line({10: [0.0] * 9, 20: [0.0] * 9}, [0.5] * 9)
    assert flat.per_doubling.low is None and not flat.grows
    with pytest.raises(ValueError, match="needs 2 sizes"):
        fit_line({10: [0.1, 0.2]})


def test_the_interval_of_the_slope_covers_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(400):
        draws = np.random.default_rng(seed)
        level = draws.uniform(0, 0.6, 60)
        scores = {n: (draws.random(60) < level + 0.1 * np.log2(n)).astype(float).tolist() for n in (1, 2, 4, 8)}
        covered += covers(fit_line(scores).per_doubling, 0.1)
    assert 0.92 <= covered / 400 <= 0.98
