"""What would change the recommendation: the rule asked again under other wishes, and where its answer turns.

Volumes and update rates are searched on a logarithmic scale; constraints turn at the recommended arm's own figures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from workbench.config import DecisionConfig
from workbench.decision import ArmCosts, Flip
from workbench.verdict.choice import Field, line_up, pick
from workbench.verdict.study import Study

VOLUMES = np.geomspace(1, 1e9, 181)  # questions a month
UPDATES = np.concatenate([[0.0], np.geomspace(0.01, 1e5, 141)])  # a month
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
MARGINS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1)
SEARCHED = {
    "questions_per_month": ("volume", "questions a month"),
    "updates_per_month": ("updates", "updates a month"),
}
STEPS = 40  # of bisection


def find_flips(study: Study, costs: Sequence[ArmCosts], field: Field) -> tuple[Flip, ...]:
    """Return the nearest change of each knob, both ways; nothing while the recommendation is undecided."""
    chosen, wishes = pick(field, study.wishes).arm, study.wishes
    if chosen is None:
        return ()

    def picked(**changes: float) -> str | None:
        return pick(field, wishes.model_copy(update=changes)).arm

    flips = [
        *_search(wishes, chosen, picked, key="questions_per_month", grid=VOLUMES),
        *_search(wishes, chosen, picked, key="updates_per_month", grid=UPDATES),
        *_constraints(field, wishes, chosen),
        *_mixes(study, costs, chosen),
        *_margins(study, costs, chosen),
    ]
    return tuple(flips)


def _search(
    wishes: DecisionConfig, chosen: str, picked: Callable[..., str | None], *, key: str, grid: np.ndarray
) -> list[Flip]:
    """Find, going up and down from the user's own value, the first one that picks another arm."""
    own, found = float(getattr(wishes, key)), []
    knob, unit = SEARCHED[key]
    for direction, values in (("above", grid[grid > own]), ("below", grid[grid < own][::-1])):
        before = own
        for value in values:
            other = picked(**{key: float(value)})
            if other != chosen:
                turn = _bisect(before, float(value), lambda x: picked(**{key: x}) == chosen)
                if other is not None:
                    found.append(_flip(knob, turn, unit, direction, other))
                break
            before = float(value)
    return found


def _bisect(same: float, other: float, is_same: Callable[[float], bool]) -> float:
    for _ in range(STEPS):
        middle = (same * other) ** 0.5 if same > 0 and other > 0 else (same + other) / 2
        if is_same(middle):
            same = middle
        else:
            other = middle
    return other


def _constraints(field: Field, wishes: DecisionConfig, chosen: str) -> list[Flip]:
    """Say which arm would follow if the recommended one were too slow or too large."""
    costs, found = field.costs.get(chosen), []
    if costs is None:
        return []
    peak = costs.peak_gpu_bytes or costs.peak_bytes
    limits = [("seconds", "max_seconds", costs.seconds_p95, "s an answer (p95)", 1.0)]
    limits += [("memory", "max_memory_gib", peak, "GiB of memory", 2.0**30)] if peak else []
    for knob, key, value, unit, scale in limits:
        tighter = wishes.model_copy(update={key: value / scale * 0.999})
        other = pick(field, tighter).arm
        if other is not None:
            found.append(_flip(knob, value / scale, unit, "below", other))
    return found


def _mixes(study: Study, costs: Sequence[ArmCosts], chosen: str) -> list[Flip]:
    """Find at which share of questions on trained documents another arm is picked: both splits must have been asked."""
    splits = {str(question.split) for question in study.questions.values()}
    if not {"seen", "new"} <= splits:
        return []
    picked = {}
    for share in SHARES:
        mixed = replace(study, wishes=study.wishes.model_copy(update={"seen_share": share}))  # keeps the counted scores
        picked[share] = pick(line_up(mixed, costs), study.wishes).arm
    others = {share: arm for share, arm in picked.items() if arm not in (chosen, None)}
    found = []
    for share, arm in others.items():
        assert arm is not None
        if share in (0.0, 1.0):
            direction = "below" if share == 0.0 else "above"
            same = [one for one in picked if picked[one] == arm]
            edge = max(same) if share == 0.0 else min(same)
            found.append(_flip("seen_share", 100 * edge, "% of questions on documents trained on", direction, arm))
    return found


def _margins(study: Study, costs: Sequence[ArmCosts], chosen: str) -> list[Flip]:
    """Find the nearest margin, either way, at which another arm is picked."""
    own, found = study.evaluation.margin, []
    for direction, values in (
        ("above", [margin for margin in MARGINS if margin > own]),
        ("below", [margin for margin in reversed(MARGINS) if margin < own]),
    ):
        for margin in values:
            other = pick(line_up(study, costs, margin=margin), study.wishes).arm
            if other not in (chosen, None):
                assert other is not None
                found.append(_flip("margin", 100 * margin, "points of difference that do not matter", direction, other))
                break
    return found


def _flip(knob: str, value: float, unit: str, direction: str, arm: str) -> Flip:
    text = f"{value:,.0f}" if value >= 100 else f"{value:.2g}"
    words = {"above": "From {} {} on", "below": "With {} {} or less"}[direction]
    if knob in ("seconds", "memory"):
        words = "With less than {} {}"
    sentence = f"{words.format(text, unit)}, take **{arm}**."
    return Flip.model_validate(
        {"knob": knob, "value": value, "unit": unit, "direction": direction, "arm": arm, "sentence": sentence}
    )
