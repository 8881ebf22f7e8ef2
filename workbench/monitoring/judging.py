"""From what was logged and what was measured to checks and advice. Pure: nothing is read, nothing is asked for.

The rule, with its error rate: each check has a p of "nothing changed" that holds for any sample size; Holm's procedure
over all checks of a report raises an alarm in at most `false_alarms` of the reports where nothing changed. Who reports
every week looks fifty times a year and will see false ones: lower it to 0.05 / 50 for one in a year's reports.
A check without an alarm is `quiet` only where it would have found a change worth finding 8 times of 10; else it says
how many values it has and how many that takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from workbench.config import MonitoringConfig
from workbench.config.monitoring import MOST_CHECKS
from workbench.monitoring.drift import EXPECTED, Drift, compare_questions, compare_reach, distinct, draw_rows
from workbench.monitoring.findings import Action, Advice, Check, Figure, Staleness, State
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
from workbench.types import Float32

ENERGY = (
    "energy distance of embeddings, permuted (Székely and Rizzo 2013); share farther from every known question than "
    "95 % of these from each other, Newcombe's interval"
)
REACH = (
    "mean distance to the nearest question trained on, of those logged and those measured with, permuted; share "
    "farther than 95 % of those measured with, Newcombe's interval"
)
WELCH = "means of the best score, Welch's test and interval"
FISHER = "shares, Wilson's intervals; their difference, Newcombe's interval, Fisher's exact p"
ARMITAGE = "least-squares slope a week, Armitage's interval, p by permutation"
FEW_SCORES = 10  # below it a mean of skewed scores is not near enough to normal for Welch's test


class Count(NamedTuple):
    """So many of `n` met something."""

    met: int
    n: int


class Compared(NamedTuple):
    """How many distinct questions each side has, and how they compare; None: that takes two a side."""

    n_known: int
    n_logged: int
    drift: Drift | None


NONE = Count(0, 0)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the checks look at. Embeddings are of one embedder, shape (·, D); an empty part says nothing."""

    evaluation: Float32  # of the run's test questions
    training: Float32  # of its train and dev questions
    logged: Float32
    earlier: Float32 | None = None  # logged before the time that is looked at; None: all times are looked at
    arm: str | None = None  # whose scores and refusals are compared; None: no arm of the run was asked
    scores_before: Sequence[float] = ()  # best score of each test question
    scores_now: Sequence[float] = ()
    refusals_before: Count = NONE
    refusals_now: Count = NONE
    feedback: Sequence[tuple[int, bool]] = ()  # week, and whether the rating was positive
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Judged:
    """The checks, and of the evaluation questions the distances behind them."""

    checks: tuple[Check, ...]
    drift: Drift | None = None


def judge(evidence: Evidence, config: MonitoringConfig) -> Judged:
    """Make every check and decide which raise an alarm."""
    error = config.false_alarms / (MOST_CHECKS - (evidence.earlier is None))  # what Holm leaves the last at worst
    logged = distinct(evidence.logged)
    measured = _compare(evidence.evaluation, logged, evidence.seed, config)
    reach = _compare_reach(evidence, logged, config)
    checks = [
        _drift_check("drift_evaluation", "questions asked, against those measured with", measured, config, error),
        _drift_check("drift_training", "their distance from those trained on", reach, config, error),
    ]
    if evidence.earlier is not None:
        before = _compare(evidence.earlier, logged, evidence.seed, config)
        checks.append(
            _drift_check("drift_earlier", "questions asked, against those asked earlier", before, config, error)
        )
    checks += [_score_check(evidence, config, error), _refusal_check(evidence, config, error)]
    checks.append(_feedback_check(evidence, config, error))
    return Judged(_decide(checks, config.false_alarms), measured.drift)


def advise(
    checks: Sequence[Check],
    stale: Staleness,
    config: MonitoringConfig,
    *,
    command: str,
    questions: str = "questions.path",
) -> tuple[Advice, ...]:
    """Return what to do, in order; nothing is an empty tuple.

    Args:
        command: the config and folder that the commands are given, for example "configs/quickstart.yaml".
        questions: the file the run's questions come from.
    """
    alarms = {check.name: check for check in checks if check.state is State.ALARM}
    index = stale.since_index is not None and stale.since_index.n_touched > 0
    reasons = {
        Action.INDEX: [f"documents on disk that the collection does not show: {stale.since_index}"] if index else [],
        Action.TRAIN: _old_adapters(stale, config),
    }
    if stale.adapters and "drift_training" in alarms:
        reasons[Action.TRAIN].append(_say(alarms["drift_training"]))
    followed = [f"after the {action.value} above" for action, because in reasons.items() if because]
    reasons[Action.MEASURE] = [
        *_not_as_measured(stale),
        *(_say(check) for name, check in alarms.items() if name != "drift_training"),
        *followed,
    ]
    asked = any(name.startswith("drift") for name in alarms)
    first = [f"add questions like those logged to {questions}"] if asked else []
    first += [f"see whether answers in {questions} changed with their documents"] if _documents_changed(stale) else []
    hint = "; ".join(first) + ": what its files say again is not done again" if first else ""
    verbs = {Action.INDEX: "index", Action.TRAIN: "train", Action.MEASURE: "run"}
    return tuple(
        Advice(
            action=action,
            because=tuple(because),
            command=f"workbench {verbs[action]} {command}",
            first="" if action is Action.INDEX else hint,
        )
        for action, because in reasons.items()
        if because
    )


def _old_adapters(stale: Staleness, config: MonitoringConfig) -> list[str]:
    return [
        f"adapter {one.name!r}: {one.documents} of {one.documents.n_before} documents since its training "
        f"({one.documents.share:.0%}, the limit is {config.retrain_share:.0%})"
        for one in stale.adapters
        if one.documents is not None and one.documents.share >= config.retrain_share
    ]


def _not_as_measured(stale: Staleness) -> list[str]:
    moved = stale.collection_before is not None and stale.collection_before != stale.collection_now
    change = f": {stale.since_run}" if stale.since_run is not None else ""
    return ([f"the collection is not the one that was measured{change}"] if moved else []) + [
        f"adapter {one.name!r} is not the one that was measured" for one in stale.adapters if one.same_weights is False
    ]


def _documents_changed(stale: Staleness) -> bool:
    return any(change is not None and change.n_touched for change in (stale.since_index, stale.since_run))


def _say(check: Check) -> str:
    return f"{check.title}: p = {check.p_adjusted:.3g} over all checks"


def _compare(known: Float32, logged: Float32, seed: int, config: MonitoringConfig) -> Compared:
    known = distinct(known)
    if min(len(known), len(logged)) < 2:
        return Compared(len(known), len(logged), None)
    sides = [draw_rows(rows, config.most_compared, seed=seed) for rows in (known, logged)]
    drift = compare_questions(*sides, permutations=config.permutations, seed=seed)
    return Compared(len(known), len(logged), drift)


def _compare_reach(evidence: Evidence, logged: Float32, config: MonitoringConfig) -> Compared:
    training, evaluation = distinct(evidence.training), distinct(evidence.evaluation)
    if not len(training):
        return Compared(0, len(logged), None)
    if min(len(evaluation), len(logged)) < 2:
        return Compared(len(evaluation), len(logged), None)
    sides = [draw_rows(rows, config.most_compared, seed=evidence.seed) for rows in (evaluation, logged)]
    drift = compare_reach(training, *sides, permutations=config.permutations, seed=evidence.seed)
    return Compared(len(evaluation), len(logged), drift)


def _drift_check(name: str, title: str, compared: Compared, config: MonitoringConfig, error: float) -> Check:
    m, n, drift = compared
    method = REACH if name == "drift_training" else ENERGY
    needed = needed_for_share(m, EXPECTED, config.outlying_share, error=error)
    if drift is None:
        state = State.NOTHING if m < 2 else State.TOO_FEW
        return Check(name=name, title=title, state=state, n=n, needed=needed, unit="share", method=method)
    outlying = drift.n_outlying
    before, now = share(outlying[0], len(drift.known)), share(outlying[1], len(drift.logged))
    assert before is not None and now is not None
    return Check(
        name=name,
        title=title,
        state=State.QUIET,
        n=n,
        needed=needed,
        before=before,
        now=now,
        change=share_change(before, now),
        p=drift.p,
        unit="share",
        method=method,
        alarming=name != "drift_training" or bool(drift.logged.mean() > drift.known.mean()),
    )


def _score_check(evidence: Evidence, config: MonitoringConfig, error: float) -> Check:
    before, now = evidence.scores_before, evidence.scores_now
    worth = config.score_deviations * float(np.std(before, ddof=1)) if len(before) > 1 else 0.0
    needed = needed_for_mean(before, worth, error=error) if worth else None
    bare = Check(
        name="scores",
        title="best retrieval score",
        state=_state_without_test(evidence, len(before)),
        n=len(now),
        needed=None if needed is None else max(needed, FEW_SCORES),
        unit="score",
        method=WELCH,
        note=_arm_note(evidence),
    )
    if bare.state is not State.NOTHING and not np.ptp(before):  # rank fusion gives the best hit one score or another
        return bare.model_copy(
            update={"state": State.NOTHING, "note": "all measured questions have the same best score"}
        )
    if bare.state is State.NOTHING or min(len(before), len(now)) < FEW_SCORES:
        return bare
    change, p = mean_change(before, now)
    return _tested(bare, mean(before), mean(now), change, p=p, bad=change.value < 0)


def _refusal_check(evidence: Evidence, config: MonitoringConfig, error: float) -> Check:
    before, now = evidence.refusals_before, evidence.refusals_now
    rate = before.met / before.n if before.n else 0.0
    bare = Check(
        name="refusals",
        title="questions refused",
        state=_state_without_test(evidence, before.n),
        n=now.n,
        needed=needed_for_share(before.n, rate, config.rate_change, error=error),
        unit="share",
        method=FISHER,
        note=_arm_note(evidence),
    )
    then, since = share(*before), share(*now)
    if bare.state is State.NOTHING or then is None or since is None:
        return bare
    change, p = share_change(then, since), share_change_p(*before, *now)
    return _tested(bare, then, since, change, p=p, bad=change.value > 0)


def _state_without_test(evidence: Evidence, n_before: int) -> State:
    return State.NOTHING if evidence.arm is None or n_before == 0 else State.TOO_FEW


def _arm_note(evidence: Evidence) -> str:
    return f"arm {evidence.arm}" if evidence.arm else "no logged question was answered by a retrieving arm of the run"


def _feedback_check(evidence: Evidence, config: MonitoringConfig, error: float) -> Check:
    weeks, ratings = [week for week, _ in evidence.feedback], [good for _, good in evidence.feedback]
    now = share(sum(ratings), len(ratings))
    bare = Check(
        name="feedback",
        title="positive ratings, change a week",
        state=State.TOO_FEW if now else State.NOTHING,
        n=len(weeks),
        needed=needed_for_trend(now.value, config.rate_change, error=error) if now else None,
        now=now,
        unit="share",
        method=ARMITAGE,
        note="no feedback on logged questions" if now is None else "one week only" if len(set(weeks)) < 2 else "",
    )
    if bare.note:
        return bare
    change, p = trend(weeks, ratings, permutations=config.permutations, seed=evidence.seed)
    return _tested(bare, None, now, change, p=p, bad=change.value < 0)


def _tested(bare: Check, before: Figure | None, now: Figure | None, change: Figure, *, p: float, bad: bool) -> Check:
    return bare.model_copy(update={"before": before, "now": now, "change": change, "p": p, "alarming": bad})


def _decide(checks: Sequence[Check], false_alarms: float) -> tuple[Check, ...]:
    tested = [check for check in checks if check.p is not None]
    adjusted = dict(
        zip([check.name for check in tested], adjust([check.p for check in tested if check.p is not None]), strict=True)
    )
    decided = []
    for check in checks:
        if check.name not in adjusted:
            decided.append(check)
            continue
        state = State.QUIET if check.needed is not None and check.n >= check.needed else State.TOO_FEW
        if check.alarming and adjusted[check.name] <= false_alarms:
            state = State.ALARM
        decided.append(check.model_copy(update={"state": state, "p_adjusted": adjusted[check.name]}))
    return tuple(decided)
