"""The findings in sentences: which arm leads a split, by how much or undecided; and how often a threshold errs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.report.figures import SCORE_NAMES, score_text
from workbench.report.rows import Summary, compare, is_control

NO_BREAK = "\u00a0"  # a name and its figure stay on one line


def lead_sentence(summary: Summary, split: str) -> str:
    """Return one sentence with arms between ** marks. Controls never lead; see `PairRow.decided`."""
    part, metric = summary["splits"][split], summary["ranked_by"]
    score = SCORE_NAMES[metric]
    means = {
        arm: figures[metric]["mean"]
        for arm, figures in part["arms"].items()
        if metric in figures and not is_control(summary, arm)
    }
    ranked = sorted(means, key=lambda arm: -means[arm])  # equal means stay in the order of the arms
    if not ranked:
        return "No question of this split was scored."
    best = ranked[0]
    if len(ranked) == 1:
        return f"**{best}** is the only ranked arm: {score}{NO_BREAK}{score_text(metric, means[best])}."
    second = ranked[1]
    pair = compare(summary, split, best, second, metric)
    if pair is None:
        return f"**{best}** has the highest {score}, but shares no question with **{second}**: nothing to compare."
    difference, interval, _ = pair.texts
    gap = f"{difference.lstrip('+')}{NO_BREAK}points {interval.replace(' ', NO_BREAK)}".rstrip()
    if pair.decided:
        return f"**{best}** leads with {score}{NO_BREAK}{score_text(metric, means[best])}, {gap} above **{second}**."
    return (
        f"Undecided between **{best}** ({score}{NO_BREAK}{score_text(metric, means[best])}) and **{second}** "
        f"({score_text(metric, means[second])}): the {gap} between them may be chance."
    )


def refusal_sentences(summary: Summary) -> list[str]:
    """Return what retrieval.threshold did, dev first; nothing where none is set."""
    refusals = summary.get("refusals")
    if not refusals:
        return []
    told = [f"Questions whose best passage scores below {refusals['threshold']:.4g} are answered without the model."]
    if dev := refusals["dev"]:
        told.append(
            f"Fitted on dev (AUROC {dev['auroc']:.3f}): {_rates(dev['fitted'])}; "
            f"cross-validated: {_rates(dev['cross_validated'])}."
        )
    return [*told, *(f"On {split} test questions: {_rates(rates)}." for split, rates in refusals["test"].items())]


def _rates(rates: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name.replace('_', NO_BREAK)} {'not measured' if rates[name] is None else _share(rates[name])}"
        for name in ("false_answers", "false_refusals")
    )


def _share(interval: Sequence[float | None]) -> str:
    mean, low, high, n = interval
    within = "" if low is None or high is None else f" [{low:.1%}, {high:.1%}]"
    return f"{mean:.1%}{within} of {n}".replace(" ", NO_BREAK)
