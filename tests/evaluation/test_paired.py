"""Two arms on the same questions: numbers by hand, honesty at the ends, questions and training seeds together."""

import numpy as np
import pytest
from scipy.stats import t

from workbench.evaluation import compare_columns, questions_needed
from workbench.evaluation.paired import as_column


def column(*parts: tuple[int, float]) -> np.ndarray:
    return as_column([value for count, value in parts for _ in range(count)])


def test_the_interval_is_paired_t_where_many_questions_differ() -> None:
    a, b = column((30, 1.0), (10, 0.0)), column((10, 1.0), (30, 0.0))
    found = compare_columns(a, b)
    d = (a - b)[:, 0]  # 20 times 1, 20 times 0
    half = t.ppf(0.975, 39) * d.std(ddof=1) / np.sqrt(40)
    assert found.difference == 0.5
    assert (found.low, found.high) == pytest.approx((0.5 - half, 0.5 + half))
    assert found.inner is not None and found.inner[0] > 0.5 - half  # 90 %: narrower


def test_few_differing_questions_get_two_made_up_ones() -> None:
    a, b = column((3, 1.0), (77, 0.0)), column((80, 0.0))
    found = compare_columns(a, b)
    d = np.array([1.0] * 3 + [0.0] * 77 + [1.0, -1.0])  # Bonett and Price: one more on each side
    half = t.ppf(0.975, 81) * d.std(ddof=1) / np.sqrt(82)
    assert (found.low, found.high) == pytest.approx((d.mean() - half, d.mean() + half))
    assert found.low is not None and found.low < 0  # three questions of 80 prove nothing
    assert found.p == pytest.approx(0.25, abs=0.05)  # 2 of the 8 sign patterns


def test_equal_answers_are_bounded_by_the_rule_of_three_and_not_certain() -> None:
    found = compare_columns(column((60, 1.0)), column((60, 1.0)))
    u = 1 - 0.025 ** (1 / 60)
    assert (found.low, found.high) == pytest.approx((-u, u))
    assert found.inner == pytest.approx((-(1 - 0.05 ** (1 / 60)), 1 - 0.05 ** (1 / 60)))
    assert found.mde is None and questions_needed(found, effect=0.1) is None


def test_training_seeds_that_disagree_widen_the_interval() -> None:
    draws = np.random.default_rng(0)
    base = draws.uniform(0, 0.5, size=(100, 1))
    steady = base + 0.2 + draws.normal(0, 0.05, size=(100, 3))
    shaken = steady + np.array([[-0.2, 0.0, 0.2]])
    calm, shaky = (compare_columns(one, base, limits=None) for one in (steady, shaken))
    assert calm.difference == pytest.approx(shaky.difference)
    assert calm.low is not None and shaky.low is not None and calm.high is not None and shaky.high is not None
    assert (shaky.high - shaky.low) > 5 * (calm.high - calm.low)
    assert calm.p < 0.01 < shaky.p  # three seeds of -0.2, 0, +0.2 beside their mean of 0.2


def test_seeds_of_two_trained_arms_are_paired() -> None:
    """What a seed does to both arms cancels out of their difference."""
    draws = np.random.default_rng(1)
    luck = np.array([[-0.3, 0.0, 0.3]])
    a = draws.uniform(0.4, 0.6, size=(60, 3)) + luck
    paired = compare_columns(a + 0.1, a + draws.normal(0, 0.02, size=(60, 3)), limits=None)
    assert paired.low is not None and paired.high is not None and paired.high - paired.low < 0.03
    with pytest.raises(ValueError, match="3 and 2 training seeds"):
        compare_columns(a, a[:, :2], limits=None)


def test_splits_weigh_as_told() -> None:
    a = as_column([1.0] * 20 + [0.0] * 20)
    b = as_column([0.0] * 40)
    strata = ["seen"] * 20 + ["new"] * 20
    assert compare_columns(a, b).difference == 0.5
    weighed = compare_columns(a, b, strata=strata, shares={"seen": 0.9, "new": 0.1})
    assert weighed.difference == pytest.approx(0.9)


def test_the_questions_needed_grow_with_the_square() -> None:
    draws = np.random.default_rng(2)
    a, b = (as_column(draws.uniform(size=100)) for _ in range(2))
    found = compare_columns(a, b)
    assert found.mde is not None and found.degrees is not None and found.error is not None
    assert found.mde == pytest.approx((t.ppf(0.975, 99) + t.ppf(0.8, 99)) * found.error)
    needed = questions_needed(found, effect=found.mde / 2)
    assert needed == pytest.approx(400, abs=1)
