"""From how many questions on an arm dearer to build and cheaper to ask has paid for itself; "never" is an answer.

N* = (build of the later - build of the earlier) / (seconds a question of the earlier - of the later). The interval is
that of the paired difference of seconds, turned over: where it holds 0, the upper end is "never" (None).
"""

from __future__ import annotations

from itertools import permutations
from statistics import fmean

from workbench.decision import Crossover, Estimate
from workbench.evaluation import compare_columns
from workbench.evaluation.paired import as_column
from workbench.verdict.study import ArmRun, Study


def find_crossovers(study: Study) -> tuple[Crossover, ...]:
    """Return one crossover for each two ranked arms of which one is dearer to build; updates count into building."""
    found = [
        _cross(study, study.ranked[earlier], study.ranked[later]) for earlier, later in permutations(study.ranked, 2)
    ]
    return tuple(one for one in found if one is not None)


def _cross(study: Study, earlier: ArmRun, later: ArmRun) -> Crossover | None:
    """Compare the costs of two arms; None: `later` is not dearer to build, or no question was timed for both."""
    dearer = _build(study, later) - _build(study, earlier)
    ours, theirs = _seconds(earlier), _seconds(later)
    shared = [id_ for id_ in ours if id_ in theirs]
    if dearer <= 0 or len(shared) < 2:
        return None
    saved = compare_columns(
        as_column([ours[id_] for id_ in shared]),
        as_column([theirs[id_] for id_ in shared]),
        flips=1,  # p is not asked for
        confidence=study.evaluation.confidence,
        limits=None,
    )
    if saved.difference <= 0:
        return Crossover(earlier=earlier.name, later=later.name, questions=None)
    low = dearer / saved.high if saved.high else None
    high = dearer / saved.low if saved.low is not None and saved.low > 0 else None
    questions = Estimate(value=dearer / saved.difference, low=low, high=high)
    return Crossover(earlier=earlier.name, later=later.name, questions=questions)


def _build(study: Study, arm: ArmRun) -> float:
    """Seconds before and beside the questions over the horizon: building, and the updates of all its months."""
    build = arm.build.get("build_seconds", 0.0)
    updates = study.wishes.months * study.wishes.updates_per_month
    return build + updates * arm.build.get("update_seconds", build)


def _seconds(arm: ArmRun) -> dict[str, float]:
    """Return question id → mean seconds over training seeds."""
    by_question: dict[str, list[float]] = {}
    for record in arm.records:
        if record.costs is not None:
            by_question.setdefault(record.question_id, []).append(record.costs.seconds)
    return {id_: fmean(values) for id_, values in by_question.items()}
