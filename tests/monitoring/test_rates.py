"""Each number worked by hand, or taken from the paper that gives the method."""

import math

import numpy as np
import pytest

from workbench.monitoring.drift import EXPECTED, compare_questions, compare_reach, distinct, draw_rows
from workbench.monitoring.rates import (
    adjust,
    mean,
    mean_change,
    needed_for_mean,
    needed_for_share,
    needed_for_trend,
    share,
    share_change,
    share_change_p,
    trend,
)


def test_a_difference_of_shares_has_the_interval_of_newcombes_paper() -> None:
    before, now = share(48, 80), share(56, 70)
    assert before is not None and now is not None
    change = share_change(before, now)
    assert change.value == pytest.approx(0.2)
    assert change.low == pytest.approx(0.0524, abs=5e-5)  # Newcombe 1998, table II, method 10, contrast (a)
    assert change.high == pytest.approx(0.3339, abs=5e-5)


def test_no_share_of_nothing_and_one_of_none_is_not_certain() -> None:
    assert share(0, 0) is None
    none = share(0, 20)
    assert none is not None and none.high is not None
    assert none.value == 0.0
    assert none.low == pytest.approx(0.0, abs=1e-12)
    z2 = 1.959964**2
    assert none.high == pytest.approx(z2 / (20 + z2), abs=1e-6)  # Wilson's bound for 0 of n


def test_fishers_p_is_the_tea_tasters() -> None:
    assert share_change_p(3, 4, 1, 4) == pytest.approx(2 * 17 / 70)  # 16/70 + 1/70 on either side


def test_two_means_have_welchs_interval() -> None:
    before, now = [1.0, 2.0, 3.0, 4.0], [2.0, 2.0, 5.0]
    change, p = mean_change(before, now)
    error = math.sqrt(np.var(before, ddof=1) / 4 + np.var(now, ddof=1) / 3)
    assert change.value == pytest.approx(0.5)
    assert change.low is not None and change.high is not None
    assert (change.low + change.high) / 2 == pytest.approx(0.5)
    degrees = error**4 / ((np.var(before, ddof=1) / 4) ** 2 / 3 + (np.var(now, ddof=1) / 3) ** 2 / 2)
    from scipy.stats import t

    assert change.high - change.value == pytest.approx(t.ppf(0.975, degrees) * error)
    assert p == pytest.approx(2 * t.sf(0.5 / error, degrees))
    assert mean_change([1.0, 1.0], [1.0, 1.0])[1] == 1.0
    assert mean_change([1.0, 1.0], [0.0, 0.0])[1] == 0.0
    assert mean([]) is None


def test_a_trend_is_its_slope_with_armitages_interval() -> None:
    places, met = [0, 0, 1, 1, 2, 2], [True, True, True, False, False, False]
    change, p = trend(places, met, permutations=4999, seed=0)
    assert change.value == pytest.approx(-0.5)  # sum (x - 1) y / sum (x - 1)² = -2 / 4
    assert change.low is not None
    assert change.value - change.low == pytest.approx(1.959964 * math.sqrt(0.25 / 4), rel=1e-6)
    # Of the 20 ways to place three successes, two have slope -2/4 (the third is either of place 1) and two have 2/4.
    assert p == pytest.approx(4 / 20, abs=0.02)
    with pytest.raises(ValueError, match="two places"):
        trend([3, 3], [True, False], permutations=99, seed=0)


def test_holm_multiplies_by_what_is_left_and_never_falls() -> None:
    assert adjust([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert adjust([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert adjust([]) == []


def test_the_needed_number_is_the_textbooks() -> None:
    z = 1.959964 + 0.841621
    # A known share of 0.5, at infinitely many before, growing by 0.1: n = 0.6 * 0.4 * (z / 0.1)².
    assert needed_for_share(10**12, 0.5, 0.1, error=0.05) == math.ceil(0.24 * (z / 0.1) ** 2)
    assert needed_for_share(10, 0.5, 0.1, error=0.05) is None  # ten before can never tell
    assert needed_for_share(0, 0.0, 0.1, error=0.05) is None
    before = [0.0, 1.0] * 10**4  # variance 0.25
    found = needed_for_mean(before, 0.2, error=0.05)
    assert found == pytest.approx(0.25 / ((0.2 / z) ** 2 - 0.25 / len(before)), abs=1)
    assert needed_for_mean([1.0], 0.2, error=0.05) is None
    assert needed_for_trend(0.8, 0.1, error=0.05) == 2 * math.ceil((0.16 + 0.21) * (z / 0.1) ** 2)


def test_drift_is_the_energy_distance_by_hand() -> None:
    east, north = [1.0, 0.0], [0.0, 1.0]
    known = np.array([east] * 3, dtype=np.float32)
    logged = np.array([north] * 3, dtype=np.float32)
    drift = compare_questions(known, logged, permutations=9999, seed=0)
    # Of the 20 splits, 2 part east from north, and only they have the greatest distance.
    assert drift.p == pytest.approx(2 / 20, abs=0.01)
    assert drift.known.tolist() == pytest.approx([0.0] * 3, abs=1e-6)
    assert drift.logged.tolist() == pytest.approx([1.0] * 3)
    assert drift.n_outlying == (0, 3)


def test_reach_is_the_distance_to_the_training_questions_by_hand() -> None:
    training = np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    known = np.array([[2.0, 0.0], [1.0, 1.0], [1.0, 0.0]], dtype=np.float32)
    logged = -training[[0, 1, 0]]
    drift = compare_reach(training, known, logged, permutations=9999, seed=0)
    assert drift.known.tolist() == pytest.approx([0.0, 1 - math.sqrt(0.5), 0.0], abs=1e-6)
    assert drift.logged.tolist() == pytest.approx([1.0, 1.0, 1.0])  # the other axis is nearer than the opposite one
    assert drift.p == pytest.approx(2 / 20, abs=0.01)  # 2 of 20 splits part the far from the near


def test_p_is_uniform_where_nothing_differs() -> None:
    draw = np.random.default_rng(0)
    ps = [
        compare_questions(
            draw.normal(size=(15, 4)).astype(np.float32), draw.normal(size=(9, 4)).astype(np.float32),
            permutations=99, seed=seed,
        ).p
        for seed in range(400)
    ]  # fmt: skip
    for level in (0.05, 0.2, 0.5):
        assert np.mean(np.array(ps) <= level) == pytest.approx(level, abs=3.3 * math.sqrt(level * (1 - level) / 400))


def test_at_most_the_expected_share_of_known_questions_is_outlying() -> None:
    draw = np.random.default_rng(1)
    for m in (2, 19, 20, 21, 200):
        known = draw.normal(size=(m, 5)).astype(np.float32)
        drift = compare_questions(known, known[:2] + 0.1, permutations=9, seed=0)
        assert drift.n_outlying[0] <= EXPECTED * m


def test_rows_are_made_distinct_and_drawn_in_their_order() -> None:
    rows = np.array([[3.0], [1.0], [3.0], [2.0]], dtype=np.float32)
    assert distinct(rows)[:, 0].tolist() == [3.0, 1.0, 2.0]
    many = np.arange(100, dtype=np.float32)[:, None]
    drawn = draw_rows(many, 10, seed=4)[:, 0]
    assert len(drawn) == 10 and (np.diff(drawn) > 0).all()
    assert draw_rows(many, 100, seed=4) is many
