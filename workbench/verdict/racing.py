"""What a race means for the verdict: an arm that lost it needs no more questions, while what it lost to may be taken.

The race itself is evaluation/racing.py. Arms that it stopped undecided, or because it was over, are judged like any
other, by the questions they answered.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from workbench.decision import ArmStop
from workbench.verdict.study import Study


def losses(study: Study, *, margin: float) -> dict[str, ArmStop]:
    """Return arm → how it lost the race, where that still holds under this metric, mix of splits and margin.

    Worse by more than a margin is worse by more than a smaller one; within a margin is within a larger one.
    """
    race = study.race
    if race is None or race.metric != study.evaluation.ranked_by or race.seen_share != study.wishes.seen_share:
        return {}
    holds = {"worse": margin <= race.margin, "dominated": True, "dearer": margin >= race.margin}
    return {stop.arm: stop for stop in race.stops if holds.get(stop.rule, False)}


def lost(stops: Mapping[str, ArmStop], able: Collection[str]) -> dict[str, ArmStop]:
    """Return those of the `able` arms that lost to an able arm, or to one that lost to an able arm, and so on."""
    return {arm: stops[arm] for arm in able if arm in stops and _lost_to_able(arm, stops, able)}


def _lost_to_able(arm: str, stops: Mapping[str, ArmStop], able: Collection[str]) -> bool:
    # An arm loses to one that still raced, so the chain ends.
    rival = stops[arm].by
    while rival is not None and rival not in able:
        rival = stops[rival].by if rival in stops else None
    return rival is not None
