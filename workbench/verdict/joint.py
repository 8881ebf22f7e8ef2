"""Several runs as one study: the arms of all of them, paired on the same questions, each shown once.

For variants of one experiment, which share its questions, documents and wishes. An arm that the swept values do not
touch answered from equal inputs in several runs: it is one arm, under one name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from workbench.decision import Alarm, Interaction
from workbench.errors import RunMismatchError
from workbench.verdict.interaction import find_interactions
from workbench.verdict.study import ArmRun, Study

Values = Mapping[str, str]  # swept key → its value's name
Tell = Callable[[Values], str]  # values in one line


@dataclass(frozen=True, slots=True)
class Part:
    """One run of several: `arms` maps its arms to their names in the whole."""

    name: str
    study: Study
    arms: Mapping[str, str]


def name_arms(variants: Sequence[tuple[Values, Mapping[str, str]]], tell: Tell) -> list[dict[str, str]]:
    """Return for each variant arm → its name in the whole: "rag", "rag · 5e-4"; equal inputs, equal names.

    Args:
        variants: the values of each, and arm → what decides its answers (a fingerprint). Every combination is there.
        tell: puts the values that an arm depends on into one line.
    """
    arms = dict.fromkeys(arm for _, inputs in variants for arm in inputs)
    relevant = {arm: _matters([(values, inputs.get(arm)) for values, inputs in variants]) for arm in arms}
    by_inputs: dict[tuple[str, str], str] = {}
    named: list[dict[str, str]] = []
    for values, inputs in variants:
        names = {}
        for arm, decides in inputs.items():
            told = tell({key: value for key, value in values.items() if key in relevant[arm]})
            names[arm] = by_inputs.setdefault((arm, decides), f"{arm} · {told}" if told else arm)
        named.append(names)
    return named


def _matters(rows: Sequence[tuple[Values, str | None]]) -> set[str]:
    """Return the keys without which the others do not tell an arm's inputs."""
    keys = list(rows[0][0])
    for key in list(keys):
        fewer = [one for one in keys if one != key]
        by_rest = sorted(([values[one] for one in fewer], inputs or "") for values, inputs in rows)
        if all(len({inputs for _, inputs in same}) == 1 for _, same in groupby(by_rest, key=lambda row: row[0])):
            keys = fewer
    return set(keys)


def join_studies(parts: Sequence[Part]) -> Study:
    """Return one study of all arms. An arm of several parts is taken from the first.

    Raises:
        RunMismatchError: the parts asked different questions.
    """
    first = parts[0]
    for part in parts[1:]:
        ours, theirs = first.study.questions, part.study.questions
        if ours != theirs:
            n = sum(ours.get(id_) != theirs.get(id_) for id_ in ours.keys() | theirs.keys())
            raise RunMismatchError(
                f"{first.name!r} and {part.name!r} asked different questions ({n} of {len(ours)} and {len(theirs)} "
                "differ), so they may not be compared; run the sweep again: workbench sweep CONFIG"
            )
    arms: dict[str, ArmRun] = {}
    for arm in first.study.arms:  # an arm's variants side by side
        for part in parts:
            _take(arms, part, arm)
    for part in parts:
        for arm in part.study.arms:
            _take(arms, part, arm)
    return replace(first.study, arms=arms, race=None, _scores={})


def _take(arms: dict[str, ArmRun], part: Part, arm: str) -> None:
    if arm not in part.study.arms or part.arms[arm] in arms:
        return
    name, run = part.arms[arm], part.study.arms[arm]
    records = [record.model_copy(update={"arm": name}) for record in run.records]
    arms[name] = replace(run, name=name, records=records)


def join_interactions(parts: Sequence[Part]) -> tuple[Interaction, ...]:
    """Return the interactions within each part, under the arms' names in the whole; those of equal arms once."""
    found: dict[tuple[str, ...], Interaction] = {}
    for part in parts:
        for one in find_interactions(part.study):
            names = {role: part.arms[getattr(one, role)] for role in ("base", "rag", "lora", "both")}
            found.setdefault((*names.values(), one.part), one.model_copy(update=names))
    return tuple(found.values())


def join_alarms(alarms: Sequence[tuple[Part, Sequence[Alarm]]]) -> tuple[Alarm, ...]:
    """Return what the guards found in each part, refusals first; the same of all parts, or of equal arms, once."""
    everywhere = {one for one in alarms[0][1] if all(one in found for _, found in alarms)}
    joined: dict[object, Alarm] = {}
    for part, found in alarms:
        for one in found:
            named = one.model_copy(update={"arms": tuple(part.arms.get(arm, arm) for arm in one.arms)})
            same = one if one in everywhere else named if one.arms else (part.name, one)
            said = one.message if one in everywhere else f"{part.name}: {one.message}"
            joined.setdefault(same, named.model_copy(update={"message": said}))
    return tuple(sorted(joined.values(), key=lambda alarm: alarm.severity != "refuse"))
