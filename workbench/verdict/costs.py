"""What each arm costs: to build, to keep up to date, to ask, and for each right answer.

Cost of pass: mean cost of an answer over the share of right ones (Erol et al. 2025, https://arxiv.org/abs/2504.13359);
right means that it contains an accepted answer, or rightly abstains. What was not measured is None, never 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workbench.config import DecisionConfig
from workbench.decision import ArmCosts, Estimate
from workbench.evaluation.summary import counted_scores
from workbench.types import CaseCosts, CaseRecord
from workbench.verdict.study import ArmRun, Study

SECONDS_AN_HOUR = 3600


def price_arms(study: Study) -> tuple[ArmCosts, ...]:
    """Return the costs of every arm with measured answers, controls included, in the order of the arms."""
    return tuple(costs for arm in study.arms.values() if (costs := _price(study, arm)) is not None)


def monthly_cost(costs: ArmCosts, wishes: DecisionConfig) -> float:
    """Return what an arm costs a month over the horizon: building, updates, questions. In seconds of this machine.

    Money is these seconds at the hourly rate, so both order arms alike.
    """
    return (
        costs.build_seconds / wishes.months
        + wishes.updates_per_month * costs.update_seconds
        + wishes.questions_per_month * costs.seconds_mean
    )


def in_money(seconds: float, wishes: DecisionConfig) -> float | None:
    """Return seconds of this machine in money; None: no rate was given."""
    return None if wishes.hourly_rate is None else seconds / SECONDS_AN_HOUR * wishes.hourly_rate


def _price(study: Study, arm: ArmRun) -> ArmCosts | None:
    spent = [record.costs for record in arm.records if record.costs is not None]
    if not spent:
        return None
    seconds = np.array([costs.seconds for costs in spent])
    build = arm.build.get("build_seconds", 0.0)
    mean = float(seconds.mean())
    thousand = in_money(1000 * mean, study.wishes)
    return ArmCosts(
        arm=arm.name,
        build_seconds=build,
        update_seconds=arm.build.get("update_seconds", build),
        seconds_p50=float(np.percentile(seconds, 50)),
        seconds_p95=float(np.percentile(seconds, 95)),
        seconds_mean=mean,
        tokens_mean=float(np.mean([costs.prompt_tokens + costs.new_tokens for costs in spent])),
        joules_mean=_mean_joules(spent),
        build_joules=arm.build.get("build_joules"),
        peak_bytes=max(costs.peak_bytes for costs in spent) or None,
        peak_gpu_bytes=max(costs.peak_gpu_bytes for costs in spent) or None,
        artefact_bytes=arm.build.get("artefact_bytes"),
        build_money=in_money(build, study.wishes),
        money_per_1000=thousand,
        seconds_of_pass=_cost_of_pass(study, arm.records),
    )


def _mean_joules(spent: Sequence[CaseCosts]) -> float | None:
    joules = [costs.joules for costs in spent if costs.joules is not None]
    return float(np.mean(joules)) if len(joules) == len(spent) else None


def _cost_of_pass(study: Study, records: Sequence[CaseRecord]) -> Estimate | None:
    """Return mean seconds over the share of right answers; the interval is the delta method's on the logarithm."""
    from scipy.stats import t

    pairs = [
        (record.costs.seconds, right)
        for record in records
        if record.costs is not None and (right := _is_right(study, record)) is not None
    ]
    seconds, passed = np.array([pair[0] for pair in pairs]), np.array([float(pair[1]) for pair in pairs])
    n = len(pairs)
    if n < 2 or not passed.any() or not seconds.mean():
        return None
    value = float(seconds.mean() / passed.mean())
    scaled = seconds / seconds.mean() - passed / passed.mean()  # the log ratio's influence, question by question
    half = float(t.ppf((1 + study.evaluation.confidence) / 2, n - 1) * scaled.std(ddof=1) / np.sqrt(n))
    return Estimate(value=value, low=value * float(np.exp(-half)), high=value * float(np.exp(half)))


def _is_right(study: Study, record: CaseRecord) -> bool | None:
    scores = counted_scores(record, study.questions[record.question_id])
    name = "contains" if study.questions[record.question_id].answerable else "abstention"
    value = scores.get(name)
    return None if value is None else value == 1.0
