"""Log-odds and thresholds, worked by hand, and their laws."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from workbench.errors import ConfigError
from workbench.evaluation import mean_interval
from workbench.evaluation.calibration import ThresholdFit, fit_log_odds, fit_threshold, rate_errors

LOW = [0.1 * place for place in range(10)]  # 0.0 ... 0.9
HIGH = [score + 2 for score in LOW]


def test_kinds_that_do_not_overlap_are_cut_midway() -> None:
    fit = fit_threshold(HIGH, LOW)
    assert fit.threshold == pytest.approx((0.9 + 2.0) / 2)
    assert fit.auroc == 1.0
    assert fit.fitted.false_answers == fit.cross_validated.false_refusals == mean_interval([0.0] * 10)
    assert fit.fitted.false_answers.high == pytest.approx(0.2775, abs=1e-4)  # Wilson: 3.8415 / (10 + 3.8415)


def test_rates_and_area_by_hand() -> None:
    # One answerable question among the low scores, one unanswerable above all.
    fit = fit_threshold([*HIGH, 0.55], [*LOW, 5.0])
    assert fit.threshold == pytest.approx(1.45)
    assert fit.fitted.false_answers is not None
    assert fit.fitted.false_refusals is not None
    assert fit.fitted.false_answers.mean == fit.fitted.false_refusals.mean == pytest.approx(1 / 11)
    # Of 121 pairs: 10 high answerable each beat 10; 0.55 beats 0.0 ... 0.5, six.
    assert fit.auroc == pytest.approx(106 / 121)


def test_the_cross_validated_rates_are_of_thresholds_that_never_saw_the_question() -> None:
    close = fit_threshold(HIGH, [*LOW[:-1], 1.99])
    assert close.fitted.false_answers is not None
    assert close.cross_validated.false_answers is not None
    assert close.fitted.false_answers.mean == 0.0
    assert close.cross_validated.false_answers.mean == pytest.approx(
        0.1
    )  # without it the threshold is (0.8 + 2.0) / 2, below 1.99


def test_the_cross_validated_rates_are_about_those_of_new_questions() -> None:
    draw = np.random.default_rng(3)
    fitted: list[float] = []
    validated: list[float] = []
    for _ in range(60):
        fit = fit_threshold(draw.normal(1.2, 1, 50).tolist(), draw.normal(0, 1, 50).tolist())
        for rates, sums in ((fit.fitted, fitted), (fit.cross_validated, validated)):
            assert rates.false_answers is not None
            assert rates.false_refusals is not None
            sums.append((rates.false_answers.mean + rates.false_refusals.mean) / 2)
    # The threshold of least error, 0.6, errs on Phi(-0.6) = 0.274 of new questions; a fitted one on a little more.
    assert np.mean(fitted) < 0.26
    assert np.mean(validated) == pytest.approx(0.28, abs=0.015)


def test_the_cost_of_a_false_answer_moves_the_threshold_up() -> None:
    answerable = [*HIGH, *[0.95] * 4]
    unanswerable = [*LOW, 1.0, 1.5]
    cheap, dear = (fit_threshold(answerable, unanswerable, cost_ratio=ratio) for ratio in (0.5, 8.0))
    assert cheap.threshold == pytest.approx(0.925)
    assert dear.threshold == pytest.approx(1.75)


def test_nothing_found_is_refused_by_every_threshold() -> None:
    fit = fit_threshold(HIGH, [None] * 10)
    assert fit.threshold == HIGH[0]  # below the first score is nothing to stand between
    assert fit.auroc == 1.0
    assert fit.fitted.false_answers is not None
    assert fit.fitted.false_answers.mean == 0.0


def test_too_few_of_a_kind_are_refused_with_their_counts() -> None:
    with pytest.raises(ConfigError, match=r"10 answerable and 10 unanswerable dev questions, there are 10 and 9; "):
        fit_threshold(HIGH, LOW[:9])


@pytest.mark.parametrize("answerable", [LOW, [score - 5 for score in LOW], [None] * 10, [0.5] * 10], ids=str)
def test_scores_that_tell_nothing_are_refused(answerable: list[float | None]) -> None:
    unanswerable: list[float | None] = [*LOW] if answerable != [0.5] * 10 else [0.5] * 10
    with pytest.raises(ConfigError, match=r"does not tell 10 answerable from 10 .* \(AUROC 0\.\d\d\); .* null"):
        fit_threshold(answerable, unanswerable)


def test_errors_are_counted_kind_for_kind_and_a_split_may_lack_one() -> None:
    both = rate_errors([False, True, True, True, True, False], [True, True, True, True, False, False])
    assert both.false_refusals is not None
    assert both.false_answers is not None
    assert (both.false_refusals.mean, both.false_answers.mean) == (0.25, 0.5)
    assert rate_errors([True], [True]).false_answers is None


def test_what_is_no_score_is_refused() -> None:
    with pytest.raises(ValueError, match="2 of 20 scores are not finite"):
        fit_threshold([*HIGH[:-1], math.nan], [*LOW[:-1], math.inf])
    with pytest.raises(ValueError, match="cost_ratio is 0"):
        fit_threshold(HIGH, LOW, cost_ratio=0)


def test_a_fit_crosses_the_disk_unchanged() -> None:
    fit = fit_threshold([*HIGH, 0.55], [*LOW, None])
    assert ThresholdFit.model_validate(json.loads(json.dumps(fit.model_dump(mode="json")))) == fit


scores = st.lists(st.one_of(st.none(), st.integers(-6, 6).map(lambda n: n / 4)), min_size=10, max_size=25)


@settings(max_examples=50)
@given(scores, scores, st.sampled_from([0.5, 1.0, 3.0]))
def test_no_threshold_errs_less(
    answerable: list[float | None], unanswerable: list[float | None], cost_ratio: float
) -> None:
    def error(threshold: float) -> float:
        refused = np.mean([score is None or score < threshold for score in answerable])
        answered = np.mean([score is not None and score >= threshold for score in unanswerable])
        return float(cost_ratio * answered + refused)

    everywhere = min(error(step / 8) for step in range(-16, 17))
    try:
        fit = fit_threshold(answerable, unanswerable, cost_ratio=cost_ratio)
    except ConfigError:
        assert everywhere >= min(cost_ratio, 1.0) - 1e-9
        return
    assert error(fit.threshold) == pytest.approx(everywhere)
    pairs = [(a if a is not None else -9, b if b is not None else -9) for a in answerable for b in unanswerable]
    assert fit.auroc == pytest.approx(np.mean([(a > b) + 0.5 * (a == b) for a, b in pairs]))


@settings(max_examples=20)
@given(st.lists(st.floats(-1e3, 1e3), min_size=10, max_size=12, unique=True), st.randoms(use_true_random=False))
def test_the_order_of_the_questions_does_not_matter(values: list[float], order: object) -> None:
    answerable, unanswerable = [value + 500 for value in values], list(values)
    try:
        fit = fit_threshold(answerable, unanswerable)
    except ConfigError:
        assume(False)
    order.shuffle(answerable)  # type: ignore[attr-defined]
    order.shuffle(unanswerable)  # type: ignore[attr-defined]
    assert fit_threshold(answerable, unanswerable) == fit


def test_log_odds_are_found_again() -> None:
    random = np.random.default_rng(0)
    x = random.normal(3.0, 2.0, 20_000)
    relevant = random.random(20_000) < 1 / (1 + np.exp(-(1.5 * x - 6.0)))
    slope, intercept = fit_log_odds(x.tolist(), relevant.tolist())
    assert slope == pytest.approx(1.5, abs=0.06)
    assert intercept == pytest.approx(-6.0, abs=0.25)


def test_a_flat_score_gives_the_base_rate() -> None:
    # Platt's targets: 3 of 4 at (1 + 1)/(1 + 2), the one relevant; the others at 1/(3 + 2).
    slope, intercept = fit_log_odds([2.0] * 4, [True, False, False, False])
    assert slope * 2.0 + intercept == pytest.approx(math.log(0.3166667 / 0.6833333), abs=1e-4)
    falling, _ = fit_log_odds([0.0, 1.0, 2.0, 3.0], [True, True, False, False])
    assert falling == 0.0  # never that a worse score were better


def test_separable_scores_keep_a_finite_slope() -> None:
    slope, _ = fit_log_odds([0.0, 1.0, 2.0, 3.0] * 10, [False, False, True, True] * 10)
    assert 0 < slope < 100


@pytest.mark.parametrize("relevant", [[True] * 3, [False] * 3, [True, False]], ids=str)
def test_log_odds_need_both_kinds(relevant: list[bool]) -> None:
    with pytest.raises(ValueError, match="both kinds are needed"):
        fit_log_odds([1.0, 2.0, 3.0], relevant)
