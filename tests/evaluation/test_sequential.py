"""The sequential test: its error by simulation where it is hardest to hold, and what it makes of a few numbers."""

import numpy as np
import pytest

from workbench.evaluation.sequential import BETS, Decided, bet, chance_to_decide, log_wealth


def wealth(differences: np.ndarray, worst: float) -> np.ndarray:
    """Return the logarithm of the wealth after each question; shapes (R, N) to (R, N)."""
    return log_wealth(bet(differences, worst=worst).cumsum(axis=-1))


def crossing(differences: np.ndarray, worst: float, alpha: float) -> float:
    """Return the share of the rows that are ever beyond doubt, looked at after every question."""
    return float((wealth(differences, worst).max(axis=1) >= np.log(1 / alpha)).mean())


def test_wealth_is_what_the_bets_make_of_it() -> None:
    # One question won (+1) and one lost (-1) of at most 1: each bet b has (1 + b) (1 - b) = 1 - b^2.
    after = np.exp(wealth(np.array([[1.0, -1.0]]), 1.0))
    assert after[0] == pytest.approx([1 + np.mean(BETS), np.mean([1 - b * b for b in BETS])])


def test_order_does_not_matter() -> None:
    leads = np.random.default_rng(0).uniform(-1, 1, (1, 50))
    assert wealth(leads, 1.0)[0, -1] == pytest.approx(wealth(leads[:, ::-1], 1.0)[0, -1])


def test_six_wins_of_six_are_not_beyond_doubt_at_one_percent_and_twelve_are() -> None:
    # By hand: the largest bet, of 0.9, makes 1.9^6 = 47 of itself, and a fifth of that is 9.4; 1.9^12 / 5 = 442.
    six, twelve = (np.exp(wealth(np.ones((1, n)), 1.0))[0, -1] for n in (6, 12))
    assert 9.4 < six < 100
    assert twelve > 442


@pytest.mark.parametrize("allowance", [0.0, 0.02, 0.05, -0.05])
@pytest.mark.parametrize("adverse", [0.05, 0.2, 0.5])
def test_a_true_null_is_rejected_no_more_often_than_stated(allowance: float, adverse: float) -> None:
    """The mean lead is exactly what is allowed: small gains on most questions, or ties, and few lost wholly."""
    draws = np.random.default_rng(1)
    gain = (allowance + adverse) / (1 - adverse)
    leads = np.where(draws.random((2000, 200)) < adverse, -1.0, gain)
    assert crossing(leads - allowance, 1 + allowance, 0.05) <= 0.05 + 0.01  # two standard errors of 2,000


def test_a_lead_is_found() -> None:
    draws = np.random.default_rng(2)
    leads = (draws.random((200, 160)) < 0.6).astype(float) - (draws.random((200, 160)) < 0.2)
    assert crossing(leads, 1.0, 0.01) > 0.95


def chance(lead: float, *, n: int, cheaper: bool = False, margin: float = 0.02) -> float:
    """Of a pair whose mean difference is `lead` after `n` of 100 questions, a fifth of which differ."""
    totals = np.array([[0.0, lead * n], [-lead * n, 0.0]])
    squares = np.array([[0.0, 0.2 * n], [0.2 * n, 0.0]])
    may = np.array([[False, cheaper], [False, False]])
    rules = Decided(margin, 1.96, 1.96)
    return float(chance_to_decide(totals, squares, n=n, n_all=100, rules=rules, cheaper=may)[0, 1])


def test_a_tie_late_in_the_day_is_hardly_decided_any_more_and_an_early_one_may_be() -> None:
    # 50 of 100 seen, lead 0: the mean over all is normal with variance s2 (1/50 - 1/100) = s2 / 100, and is significant
    # beyond 1.96 s / 10: two tails of 1.96.
    assert chance(0.0, n=50) == pytest.approx(0.05, abs=1e-3)
    assert chance(0.0, n=20) == pytest.approx(0.327, abs=1e-3)  # variance s2 / 25: two tails of 0.98
    assert chance(0.2, n=50) > 0.98


def test_a_cheaper_arm_need_only_be_shown_not_to_be_worse() -> None:
    # s2 = (10 + 1) / 51 = 0.2157, spread s / 10 = 0.0464. Not worse by 0.1: the mean over all is above
    # 1.96 x 0.0464 - 0.1 = -0.009, that is -0.19 spreads: 0.577; or worse beyond doubt: below -1.96 spreads: 0.025.
    assert chance(0.0, n=50, cheaper=True, margin=0.1) == pytest.approx(0.602, abs=2e-3)
    # Otherwise alike, within 0.1 - 1.96 x 0.0464 = 0.009 of 0: 0.153; or apart: two tails of 1.96.
    assert chance(0.0, n=50, cheaper=False, margin=0.1) == pytest.approx(0.203, abs=2e-3)


def test_when_nothing_is_left_to_ask_the_chance_is_all_or_nothing() -> None:
    assert chance(0.0, n=100) == pytest.approx(0.0, abs=1e-6)
    assert chance(0.2, n=100) == pytest.approx(1.0, abs=1e-6)
