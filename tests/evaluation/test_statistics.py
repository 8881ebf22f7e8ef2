"""Intervals and paired differences: known values, coverage, and honesty where the data are constant."""

import numpy as np
import pytest

from workbench.evaluation import mean_interval, paired_difference


def test_shares_get_wilson_by_hand() -> None:
    interval = mean_interval([1.0] * 8 + [0.0] * 2)
    # Wilson, n = 10, p = .8, z = 1.96: centre (p + z²/2n) / (1 + z²/n) = .7167, half width .2266
    assert interval == pytest.approx((0.8, 0.4902, 0.9433, 10), abs=1e-3)


def test_wilson_is_honest_at_both_ends() -> None:
    none, every = mean_interval([0.0] * 20), mean_interval([1.0] * 20)
    assert none.low == pytest.approx(0) and none.high == pytest.approx(0.161, abs=1e-3)  # z² / (n + z²)
    assert every.low == pytest.approx(0.839, abs=1e-3) and every.high == pytest.approx(1)


def test_constants_between_are_not_certain_and_constants_without_bounds_have_no_interval() -> None:
    interval = mean_interval([0.5] * 10)
    u = 1 - 0.025 ** (1 / 10)  # Clopper and Pearson, 0 of 10
    assert interval == pytest.approx((0.5, 0.5 * (1 - u), 0.5 * (1 - u) + u, 10))
    assert mean_interval([-3.0] * 10, limits=None)[1:3] == (None, None)


def test_limits_are_told_and_never_guessed_from_the_values() -> None:
    # log-probabilities that happen to lie in [-1, 1]: nothing bounds what other questions would give
    assert mean_interval([0.0] * 10, limits=None)[1:3] == (None, None)
    assert paired_difference([-0.5] * 10, [-0.7] * 10, limits=None)[1:3] == (None, None)
    with pytest.raises(ValueError, match="outside their limits"):
        paired_difference([-0.5] * 10, [-0.7] * 10)


def test_the_bootstrap_agrees_with_the_normal_interval() -> None:
    values = np.random.default_rng(0).normal(5, 2, size=400)
    interval = mean_interval(values.tolist(), resamples=4000, limits=None)
    half = 1.96 * values.std(ddof=1) / 20
    assert interval.low == pytest.approx(values.mean() - half, abs=0.03)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.03)


def test_a_paired_gain_is_found_that_unpaired_noise_would_hide() -> None:
    draws = np.random.default_rng(1)
    b = draws.uniform(0, 0.9, size=60)
    a = b + draws.uniform(0.0, 0.1, size=60)
    difference = paired_difference(a.tolist(), b.tolist())
    assert difference.difference == pytest.approx((a - b).mean())
    assert difference.low is not None and difference.low > 0
    assert difference.p == pytest.approx(1 / 2001)  # no flip is as extreme: add-one keeps p above 0


def test_exchanging_the_arms_mirrors_everything_but_p() -> None:
    draws = np.random.default_rng(2)
    a, b = draws.uniform(size=(2, 30)).tolist()
    there, back = paired_difference(a, b), paired_difference(b, a)
    assert there.p == back.p
    assert [there.difference, there.low, there.high] == pytest.approx(
        [-back.difference, -(back.high or 0), -(back.low or 0)]
    )


def test_the_p_of_three_equal_gains_by_hand() -> None:
    # of the 8 sign patterns only +++ and --- are as extreme: p near 2/8
    assert paired_difference([1, 1, 1], [0.5, 0.5, 0.5], resamples=20000).p == pytest.approx(0.25, abs=0.02)


def test_arms_that_answer_alike_are_not_proven_equal() -> None:
    difference = paired_difference([0, 1, 0, 1] * 5, [0, 1, 0, 1] * 5)
    u = 1 - 0.025 ** (1 / 20)
    assert difference == pytest.approx((0.0, -u, u, 1.0))


def test_the_same_seed_gives_the_same_figures() -> None:
    values = np.random.default_rng(3).uniform(size=50).tolist()
    first = mean_interval(values, seed=7)
    assert first == mean_interval(values, seed=7)
    assert first != mean_interval(values, seed=8)


def test_different_lengths_nothing_and_nan_are_refused() -> None:
    with pytest.raises(ValueError, match="a has 2 values and b has 1"):
        paired_difference([1, 0], [1])
    with pytest.raises(ValueError, match="at least one"):
        mean_interval([])
    with pytest.raises(ValueError, match="1 of 2 values are not finite"):
        mean_interval([1.0, float("nan")])
