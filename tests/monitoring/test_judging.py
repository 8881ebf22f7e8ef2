"""By simulation: logs like what was measured raise few alarms, planted changes are found, and too few is told."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from workbench.config import MonitoringConfig
from workbench.monitoring.findings import Action, AdapterAge, DocumentChange, Staleness, State
from workbench.monitoring.judging import Count, Evidence, advise, judge
from workbench.types import Float32

CONFIG = MonitoringConfig(permutations=199)
CENTRES = np.random.default_rng(0).normal(size=(12, 16))


def topics(draw: np.random.Generator, n: int, weights: np.ndarray[Any, Any] | None = None) -> Float32:
    """Questions on twelve topics: unit vectors around twelve centres."""
    chosen = draw.choice(len(CENTRES), size=n, p=weights)
    rows = CENTRES[chosen] + 0.6 * draw.normal(size=(n, CENTRES.shape[1]))
    units: Float32 = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return units


def a_log(seed: int, *, n: int = 120, m: int = 150, **changes: Any) -> Evidence:
    """A log on which nothing changed; `changes` replace parts of it."""
    draw = np.random.default_rng([seed, 77])
    same = {
        "evaluation": topics(draw, m),
        "training": topics(draw, m),
        "logged": topics(draw, n),
        "arm": "rag",
        "scores_before": draw.beta(6, 3, m).tolist(),
        "scores_now": draw.beta(6, 3, n).tolist(),
        "refusals_before": Count(int(draw.binomial(m, 0.12)), m),
        "refusals_now": Count(int(draw.binomial(n, 0.12)), n),
        "feedback": [
            (int(week), bool(good)) for week, good in zip(draw.integers(0, 8, n), draw.random(n) < 0.8, strict=True)
        ],
        "seed": seed,
    }
    return Evidence(**(same | changes))


def alarms(evidence: Evidence) -> set[str]:
    return {check.name for check in judge(evidence, CONFIG).checks if check.state is State.ALARM}


def test_logs_on_which_nothing_changed_raise_an_alarm_in_at_most_five_reports_of_a_hundred() -> None:
    n_reports = 300
    n_false = sum(bool(alarms(a_log(seed, n=60, m=80))) for seed in range(n_reports))
    # More than this would come up in 1 of 1,000 runs of this test if the rate were 5 %; the seeds are fixed.
    assert n_false <= binom.ppf(0.999, n_reports, 0.05)
    assert n_false / n_reports <= 0.05


SKEWED = np.array([0.3, 0.2, 0.1, *[0.4 / 9] * 9])


@pytest.mark.parametrize(
    ("planted", "expected"),
    [
        (lambda draw: {"logged": topics(draw, 120, np.array([0.6, 0.2, 0.2, *[0.0] * 9]))}, "drift_evaluation"),
        (lambda draw: {"logged": -topics(draw, 120)}, "drift_training"),
        (lambda draw: {"earlier": topics(draw, 150), "logged": topics(draw, 150, SKEWED)}, "drift_earlier"),
        (lambda draw: {"scores_now": draw.beta(5, 4, 120).tolist()}, "scores"),
        (lambda draw: {"refusals_now": Count(int(draw.binomial(120, 0.35)), 120)}, "refusals"),
        (
            lambda draw: {"feedback": [(n % 8, bool(draw.random() < 0.95 - 0.08 * (n % 8))) for n in range(120)]},
            "feedback",
        ),
    ],
    ids=["other topics", "unlike all", "since a day", "worse passages", "more refusals", "less liked"],
)
def test_a_planted_change_is_found_in_nine_logs_of_ten(
    planted: Callable[[np.random.Generator], dict[str, Any]], expected: str
) -> None:
    found = [expected in alarms(a_log(seed, **planted(np.random.default_rng([seed, 5])))) for seed in range(20)]
    assert sum(found) >= 18


def test_test_questions_that_are_unlike_the_training_ones_by_design_are_no_drift() -> None:
    halves = np.array([1 / 6] * 6 + [0.0] * 6), np.array([0.0] * 6 + [1 / 6] * 6)
    found = 0
    for seed in range(40):
        draw = np.random.default_rng([seed, 8])
        split: dict[str, Any] = {
            "training": topics(draw, 100, halves[0]),
            "evaluation": topics(draw, 80, halves[1]),
        }
        found += bool(alarms(a_log(seed, logged=topics(draw, 60, halves[1]), **split)))
    assert found <= 6  # 40 reports at 5 %: more than 6 in 1 of 300


def test_a_change_for_the_better_is_no_alarm() -> None:
    draw = np.random.default_rng(3)
    better = {
        "scores_now": draw.beta(20, 2, 120).tolist(),
        "refusals_before": Count(60, 150),
        "refusals_now": Count(0, 120),
        "feedback": [(week, week > 2) for week in range(6)] * 20,
    }
    checks = {check.name: check for check in judge(a_log(3, **better), CONFIG).checks}
    for name in ("scores", "refusals", "feedback"):
        adjusted = checks[name].p_adjusted
        assert adjusted is not None and adjusted < 0.05
        assert checks[name].state is not State.ALARM


def test_too_few_questions_say_how_many_are_needed_and_that_many_are_enough() -> None:
    few = {check.name: check for check in judge(a_log(1, n=12), CONFIG).checks}
    for name in ("drift_evaluation", "drift_training", "scores", "refusals", "feedback"):
        assert few[name].state is State.TOO_FEW, name
        assert few[name].n == 12
        needed = few[name].needed
        assert needed is not None and needed > 12
    checks = judge(a_log(1, n=1500, m=1500), MonitoringConfig(permutations=119, most_compared=150)).checks
    assert {check.state for check in checks} == {State.QUIET}
    assert all(check.needed is not None and check.n >= check.needed for check in checks)


def test_a_needed_number_finds_what_it_promises_eight_times_of_ten() -> None:
    first = judge(a_log(0, m=300), CONFIG).checks
    needed = next(check.needed for check in first if check.name == "refusals")
    assert needed is not None
    found = 0
    for seed in range(40):
        draw = np.random.default_rng([seed, 9])
        before = Count(36, 300)
        now = Count(int(draw.binomial(needed, 0.12 + CONFIG.rate_change)), needed)
        found += "refusals" in alarms(a_log(seed, n=40, m=300, refusals_before=before, refusals_now=now))
    assert found >= 26  # 80 % of 40, less three standard errors; Fisher's test is a little careful


def test_nothing_logged_and_nothing_measured_is_nothing_to_compare() -> None:
    none = np.empty((0, 16), dtype=np.float32)
    empty = Evidence(evaluation=none, training=none, logged=none)
    assert {check.state for check in judge(empty, CONFIG).checks} == {State.NOTHING}
    unlogged = a_log(0, logged=none, scores_now=[], refusals_now=Count(0, 0), feedback=[])
    states = {check.name: check.state for check in judge(unlogged, CONFIG).checks}
    assert states["drift_evaluation"] is State.TOO_FEW
    assert states["scores"] is State.TOO_FEW
    assert states["feedback"] is State.NOTHING


def test_permutations_too_few_for_an_alarm_are_refused() -> None:
    with pytest.raises(ValueError, match=r"smallest p over 6 checks is 0\.006, .*set permutations: 5999 or more"):
        MonitoringConfig(false_alarms=0.001)
    assert MonitoringConfig(false_alarms=0.001, permutations=5999)


def test_a_question_asked_again_counts_once() -> None:
    draw = np.random.default_rng(2)
    once = topics(draw, 30)
    checks = judge(a_log(2, logged=np.concatenate([once] * 4)), CONFIG).checks
    assert checks[0].n == 30


def test_advice_follows_documents_adapters_and_alarms_in_that_order() -> None:
    quiet = judge(a_log(1), CONFIG).checks
    assert advise(quiet, Staleness(), CONFIG, command="c.yaml") == ()
    grown = DocumentChange(n_before=10, added=2, changed=1, removed=0)
    stale = Staleness(
        since_index=grown,
        since_run=grown,
        collection_before="a",
        collection_now="b",
        adapters=(
            AdapterAge(name="old", trained_on="x", same_weights=True, documents=grown),
            AdapterAge(name="other", trained_on="x", same_weights=False, documents=DocumentChange(
                n_before=100, added=1, changed=0, removed=0)),
        ),
    )  # fmt: skip
    advice = advise(quiet, stale, CONFIG, command="c.yaml --out r")
    assert [one.action for one in advice] == [Action.INDEX, Action.TRAIN, Action.MEASURE]
    assert advice[0].because == ("documents on disk that the collection does not show: 2 added, 1 changed, 0 removed",)
    assert len(advice[1].because) == 1 and "'old'" in advice[1].because[0] and "30%" in advice[1].because[0]
    assert "adapter 'other' is not the one that was measured" in advice[2].because
    assert advice[2].command == "workbench run c.yaml --out r"
    shifted = judge(a_log(1, logged=-topics(np.random.default_rng(0), 120)), CONFIG).checks
    assert [one.action for one in advise(shifted, Staleness(), CONFIG, command="c")] == [Action.MEASURE]
    with_adapter = Staleness(adapters=(AdapterAge(name="a", trained_on="x", same_weights=True, documents=None),))
    assert [one.action for one in advise(shifted, with_adapter, CONFIG, command="c")] == [Action.TRAIN, Action.MEASURE]
