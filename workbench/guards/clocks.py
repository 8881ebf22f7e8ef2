"""Guards on the clock: times that cannot be, a pause, an adapter timed unmerged, a machine busy with other things."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from workbench.decision import Alarm
from workbench.guards.evidence import Evidence
from workbench.guards.questions import FEW
from workbench.types import StopReason

LONGEST = 0.5  # share of an arm's seconds that one answer may take
NOISE = 0.25  # cores busy with something else, on average over an arm's seconds
SLOWER = 1.3  # times, at equal new tokens


def impossible_times(evidence: Evidence) -> Iterator[Alarm]:
    """A generated answer that took no time, or less than none."""
    for name, arm in evidence.study.arms.items():
        wrong = [
            record
            for record in arm.records
            if record.costs is not None and record.stop_reason is not StopReason.REFUSED and record.costs.seconds <= 0
        ]
        if wrong:
            yield Alarm(
                guard="impossible_times",
                severity="warn",
                message=f"{name}: {len(wrong)} answers took {wrong[0].costs.seconds if wrong[0].costs else 0:g} s; its "
                "costs cannot be relied on",
                arms=(name,),
            )


def paused(evidence: Evidence) -> Iterator[Alarm]:
    """One answer took as long as half of all: the machine slept, or something else had it."""
    for name, arm in evidence.study.arms.items():
        seconds = [record.costs.seconds for record in arm.records if record.costs is not None]
        if len(seconds) >= FEW and max(seconds) > LONGEST * sum(seconds) > 0:
            yield Alarm(
                guard="paused",
                severity="warn",
                message=f"{name}: one of {len(seconds)} answers took {max(seconds):.1f} of {sum(seconds):.1f} s; its "
                "mean cost cannot be relied on",
                arms=(name,),
            )


def unmerged_timing(evidence: Evidence) -> Iterator[Alarm]:
    """At equal prompts and new tokens an adapter's answers take longer: timed beside the weights, not in them."""
    plain = {
        arm.settings.prompted_by: (name, arm)
        for name, arm in reversed(evidence.study.ranked.items())
        if arm.settings.adapter is None
    }
    for name, arm in evidence.study.ranked.items():
        base, bare = plain.get(arm.settings.prompted_by, ("", None))
        if arm.settings.adapter is None or bare is None:
            continue
        theirs = {record.question_id: record.costs for record in bare.records}
        ratios = [
            ours.seconds / other.seconds
            for record in arm.records
            if (ours := record.costs) and (other := theirs.get(record.question_id)) and other.seconds > 0
            if ours.new_tokens == other.new_tokens
        ]
        if len(ratios) >= FEW and median(ratios) > SLOWER:
            yield Alarm(
                guard="unmerged_timing",
                severity="warn",
                message=f"{name} takes {median(ratios):.1f} times as long as {base} at equal tokens: its adapter was "
                "timed unmerged; merged it costs what the base costs",
                arms=(name, base),
            )


def noisy_machine(evidence: Evidence) -> Iterator[Alarm]:
    """Other processes kept much of the machine busy while an arm answered: its seconds are not the machine's."""
    for name, arm in evidence.study.arms.items():
        told = [
            (record.costs.cores_elsewhere, record.costs.seconds)
            for record in arm.records
            if record.costs is not None and record.costs.cores_elsewhere is not None
        ]
        seconds = sum(spent for _, spent in told)
        if seconds <= 0:
            continue
        cores = sum(cores * spent for cores, spent in told) / seconds
        if cores > NOISE:
            yield Alarm(
                guard="noisy_machine",
                severity="warn",
                message=f"{name}: while it answered, other processes kept {cores:.1f} cores busy on average; measure "
                "its costs again on a quiet machine",
                arms=(name,),
            )


GUARDS = (impossible_times, paused, unmerged_timing, noisy_machine)
