"""Criteria → what they lean to together, among the kinds of arms that the config compares."""

from __future__ import annotations

from collections.abc import Mapping

from workbench.config import DecisionConfig
from workbench.expected import Arm, Criterion, Figures, Prior
from workbench.prior.criteria import find_criteria

ARMS: tuple[Arm, ...] = ("base", "rag", "lora", "rag_reader", "routed")
CLEAR = 1.5  # weight by which an arm has to lead


def weigh(
    figures: Figures,
    wishes: DecisionConfig,
    *,
    n_checks: int = 0,
    compared: Mapping[Arm, tuple[str, ...]] | None = None,
    training_hours: Mapping[Arm, float] | None = None,
) -> Prior:
    """Return the prior.

    Args:
        n_checks: checks of form that the config declares.
        compared: the config's arms by their kind; None: one of each but a router.
        training_hours: kind of arm → hours that its training takes at least; absent: not known.
    """
    compared = {arm: (arm,) for arm in ARMS if arm != "routed"} if compared is None else compared
    criteria = find_criteria(figures, wishes, n_checks=n_checks, training_hours=training_hours or {})
    excluded = {arm for one in criteria if one.weight == 0 for arm in one.arms}
    every = _add_up(criteria, excluded, compared)
    weights = {arm: weight for arm, weight in every.items() if arm in compared}
    ranked = sorted(weights, key=lambda arm: -weights[arm])
    clear = bool(ranked) and (len(ranked) == 1 or weights[ranked[0]] - weights[ranked[1]] >= CLEAR)
    arm = ranked[0] if clear else None
    named = compared[arm] if arm is not None else ()
    most = weights[ranked[0]] if ranked else 0.0
    missing = [other for other in every if other not in compared and every[other] >= most + CLEAR]
    return Prior(
        arm=arm,
        named=named,
        sentence=" ".join([_sentence(arm, named, ranked, weights), *_not_compared(missing, every)]),
        weights={str(name): weights[name] for name in ranked},
        excluded=tuple(sorted(excluded)),
        criteria=criteria,
        not_told=(
            "What the base model knows already, so whether it needs help at all, no count tells: it has to be asked.",
            "Whether retrieval finds the right passage, and whether an adapter learns, only a run shows.",
        ),
    )


def _add_up(
    criteria: tuple[Criterion, ...], excluded: set[Arm], compared: Mapping[Arm, tuple[str, ...]]
) -> dict[Arm, float]:
    """Return the weights. A router is worth the best arm it can choose and what the mixture adds; else nothing."""
    sums = {arm: sum(one.weight for one in criteria if arm in one.arms) for arm in ARMS if arm not in excluded}
    extra = sums.pop("routed", 0)
    choices = [weight for arm, weight in sums.items() if arm in compared]
    if "routed" not in excluded and len(choices) > 1 and (extra or "routed" in compared):
        sums["routed"] = extra and max(choices) + extra
    return sums


def _sentence(arm: Arm | None, named: tuple[str, ...], ranked: list[Arm], weights: dict[Arm, float]) -> str:
    told = ", ".join(f"{name} {weights[name]:g}" for name in ranked)
    if not ranked:
        return "A prior, not a measurement: your wishes exclude every arm that this config compares."
    if arm is None:
        between = " and ".join(name for name in ranked if weights[ranked[0]] - weights[name] < CLEAR)
        return f"A prior, not a measurement: **undecided** between {between} (weights: {told})."
    which = f"; which of {', '.join(named)}, no criterion tells" if len(named) > 1 else ""
    return f"A prior, not a measurement: the criteria lean to **{arm}** (weights: {told}){which}."


def _not_compared(missing: list[Arm], weights: dict[Arm, float]) -> list[str]:
    if not missing:
        return []
    told = " and ".join(f"{arm} ({weights[arm]:g})" for arm in missing)
    return [f"More would speak for {told}, which this config does not compare."]
