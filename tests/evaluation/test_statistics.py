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


def test_without_limits_the_interval_is_that_of_t() -> None:
    values = np.random.default_rng(0).normal(5, 2, size=400)
    interval = mean_interval(values.tolist(), limits=None)
    half = 1.9659 * values.std(ddof=1) / 20  # t of 399 degrees
    assert interval[:3] == pytest.approx((values.mean(), values.mean() - half, values.mean() + half), abs=1e-4)


def test_scores_that_vary_like_shares_have_nearly_the_interval_of_shares() -> None:
    shares = [0.0] * 30 + [1.0] * 70
    nearly = [0.001, *shares[1:]]  # not all 0 or 1 any more
    assert mean_interval(nearly)[1:3] == pytest.approx(mean_interval(shares)[1:3], abs=0.003)
    pale = [0.35] * 50 + [0.65] * 50  # these vary less, so they say more
    assert mean_interval(pale).high - mean_interval(pale).low < 0.07  # type: ignore[operator]


def test_an_interval_stays_within_the_limits_and_scales_with_them() -> None:
    values = [0.0] * 19 + [0.5]
    low, high = mean_interval(values)[1:3]
    assert low is not None and high is not None and 0 <= low < 0.025 < high < 0.25
    scaled = mean_interval([10 + 4 * value for value in values], limits=(10.0, 14.0))
    assert scaled[1:3] == pytest.approx((10 + 4 * low, 10 + 4 * high))


@pytest.mark.parametrize(("wrong", "right"), [(0.8, 0.08), (0.4, 0.35), (0.05, 0.85)])
def test_the_interval_of_a_mean_f1_covers_as_often_as_it_says(wrong: float, right: float) -> None:
    draws, partial = np.random.default_rng(3), np.array([0.33, 0.4, 0.5, 0.67, 0.8])
    truth, covered = right + (1 - wrong - right) * partial.mean(), 0
    for _ in range(600):
        kind = draws.random(80)
        values = np.where(kind < wrong, 0.0, np.where(kind < wrong + right, 1.0, draws.choice(partial, 80)))
        low, high = mean_interval(values.tolist())[1:3]
        covered += low is not None and high is not None and low <= truth <= high
    assert 0.93 <= covered / 600 <= 0.975


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
    a, b = np.random.default_rng(3).uniform(size=(2, 50)).tolist()
    first = paired_difference(a, b, seed=7)
    assert paired_difference(a, b, seed=7) == first
    assert paired_difference(a, b, seed=8).p != first.p


def test_different_lengths_nothing_and_nan_are_refused() -> None:
    with pytest.raises(ValueError, match="a has 2 values and b has 1"):
        paired_difference([1, 0], [1])
    with pytest.raises(ValueError, match="at least one"):
        mean_interval([])
    with pytest.raises(ValueError, match="1 of 2 values are not finite"):
        mean_interval([1.0, float("nan")])
