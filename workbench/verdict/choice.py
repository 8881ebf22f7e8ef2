"""The rule that picks an arm, apart from its words: what is known of every pair, what arms cost, what the user wishes.

An arm is picked if against every other arm that meets the constraints it is better; or it is not dearer and either
equivalent or shown not to be worse by more than the margin (one-sided 2.5 %, as non-inferiority is tested). If no arm
is, nobody knows yet: more questions are needed. Arms that lost a race to one that meets the constraints are out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, permutations

from workbench.config import ArmConfig, DecisionConfig
from workbench.decision import ArmCosts, ArmStop, Outcome, PairRuling
from workbench.evaluation import Comparison, questions_needed
from workbench.verdict.costs import monthly_cost
from workbench.verdict.pairs import compare_arms, correct_holm, judge
from workbench.verdict.racing import losses, lost
from workbench.verdict.study import Study

MIRRORED = {Outcome.BETTER: Outcome.WORSE, Outcome.WORSE: Outcome.BETTER}


@dataclass(frozen=True, slots=True)
class Field:
    """The competitors: every ordered pair's outcome, non-inferiority and questions still missing; costs; settings."""

    arms: tuple[str, ...]
    outcomes: Mapping[tuple[str, str], Outcome]
    not_worse: frozenset[tuple[str, str]]  # (a, b): a is not worse than b by more than the margin
    missing: Mapping[tuple[str, str], int | None]  # questions beyond those asked that would decide the pair
    costs: Mapping[str, ArmCosts]
    settings: Mapping[str, ArmConfig]
    stops: Mapping[str, ArmStop] = field(default_factory=dict)  # arms that lost a race, and to which

    def monthly(self, arm: str, wishes: DecisionConfig) -> float:
        """Seconds of this machine a month; an arm whose answers were not timed costs nothing that is known."""
        return monthly_cost(self.costs[arm], wishes) if arm in self.costs else 0.0


@dataclass(frozen=True, slots=True)
class Choice:
    """What the rule says. `arm` None: undecided between `candidates`, or nothing is left."""

    arm: str | None
    candidates: tuple[str, ...]
    excluded: Mapping[str, str]  # arm → why it cannot be taken
    collect: int | None = None
    lost: Mapping[str, ArmStop] = field(default_factory=dict)  # arms that lost a race to one that meets the constraints


def line_up(study: Study, costs: Sequence[ArmCosts], *, margin: float | None = None) -> Field:
    """Compare all ranked arms over all questions, with the study's wishes for the weight of the splits.

    Args:
        margin: None: the study's own.
    """
    margin = study.evaluation.margin if margin is None else margin
    metric, arms = study.evaluation.ranked_by, tuple(study.ranked)
    found = {
        pair: comparison
        for pair in combinations(arms, 2)
        if (comparison := compare_arms(study, *pair, metric)) is not None
    }
    corrected = correct_holm([comparison.p for comparison in found.values()])
    outcomes: dict[tuple[str, str], Outcome] = dict.fromkeys(permutations(arms, 2), Outcome.UNDECIDED)
    not_worse: set[tuple[str, str]] = set()
    missing: dict[tuple[str, str], int | None] = {}
    for ((a, b), comparison), p in zip(found.items(), corrected, strict=True):
        outcome = judge(comparison, p=p, margin=margin, confidence=study.evaluation.confidence)
        outcomes[a, b], outcomes[b, a] = outcome, MIRRORED.get(outcome, outcome)
        if comparison.low is not None and comparison.high is not None:
            ends = (((a, b), comparison.low), ((b, a), -comparison.high))
            not_worse |= {pair for pair, end in ends if end > -margin}
        missing[a, b] = missing[b, a] = _still_missing(comparison, margin)
    by_arm = {one.arm: one for one in costs}
    return Field(
        arms,
        outcomes,
        frozenset(not_worse),
        missing,
        by_arm,
        {name: arm.settings for name, arm in study.ranked.items()},
        losses(study, margin=margin),
    )


def ruled(pairs: Sequence[PairRuling], metric: str, part: str = "all") -> dict[tuple[str, str], PairRuling]:
    """Return the rulings of one metric and part by their pair, in the order they were made."""
    return {(pair.a, pair.b): pair for pair in pairs if pair.metric == metric and pair.part == part}


def pick(field: Field, wishes: DecisionConfig) -> Choice:
    """Apply the rule under `wishes`."""
    excluded = {arm: reason for arm in field.arms if (reason := exclusion(field, arm, wishes)) is not None}
    able = [arm for arm in field.arms if arm not in excluded]
    beaten_early = lost(field.stops, able)
    able = [arm for arm in able if arm not in beaten_early]
    winners = [arm for arm in able if all(_holds(field, arm, other, wishes) for other in able if other != arm)]
    if winners:
        best = min(winners, key=lambda arm: (field.monthly(arm, wishes), field.arms.index(arm)))
        return Choice(best, (best,), excluded, lost=beaten_early)
    beaten = {b for a, b in permutations(able, 2) if field.outcomes[a, b] is Outcome.BETTER}
    candidates = tuple(arm for arm in able if arm not in beaten)
    open_pairs = [
        pair
        for pair in combinations(candidates, 2)
        if field.outcomes[pair] is Outcome.UNDECIDED and pair in field.missing
    ]
    lacking = [field.missing[pair] for pair in open_pairs]
    known = [n for n in lacking if n is not None]
    collect = max(known) if known and len(known) == len(lacking) else None
    return Choice(None, candidates, excluded, collect, beaten_early)


def exclusion(field: Field, arm: str, wishes: DecisionConfig) -> str | None:
    """Return which constraint an arm breaks, with both figures; None: it meets them all."""
    settings, costs = field.settings[arm], field.costs.get(arm)
    if wishes.sources_needed and settings.strategy in ("closed_book", "routed"):
        return "answers must show their passages, and it reads none, or not for every question"
    if not wishes.weights_may_hold_corpus and (settings.adapter is not None or settings.strategy == "routed"):
        return f"the documents may not be trained into weights, and it needs adapter {settings.adapter or 'of others'}"
    limits = (
        ("seconds_p95", wishes.max_seconds, 1.0, "s an answer (p95)"),
        ("peak", wishes.max_memory_gib, 2.0**30, "GiB of memory"),
        ("build_seconds", wishes.max_build_hours, 3600.0, "hours to build"),
    )
    for name, limit, unit, words in limits:
        if limit is None:
            continue
        value = _figure(costs, name)
        if value is None:
            return f"at most {limit:g} {words} are allowed, and it was not measured"
        if value / unit > limit:
            return f"it takes {value / unit:.3g} {words}, and at most {limit:g} are allowed"
    return None


def _figure(costs: ArmCosts | None, name: str) -> float | None:
    if costs is None:
        return None
    if name == "peak":
        return costs.peak_gpu_bytes or costs.peak_bytes
    value: float | None = getattr(costs, name)
    return value


def _holds(field: Field, arm: str, other: str, wishes: DecisionConfig) -> bool:
    outcome = field.outcomes[arm, other]
    if outcome is Outcome.BETTER:
        return True
    if outcome is Outcome.WORSE:
        return False
    dearer = field.monthly(arm, wishes) > field.monthly(other, wishes)
    return not dearer and (outcome is Outcome.EQUIVALENT or (arm, other) in field.not_worse)


def _still_missing(comparison: Comparison, margin: float) -> int | None:
    needed = questions_needed(comparison, effect=max(abs(comparison.difference), margin))
    return None if needed is None else max(1, needed - comparison.n)
