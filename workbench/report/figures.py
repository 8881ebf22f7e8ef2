"""How numbers are written, the same way in the terminal, in Markdown and on the page.

Scores in [0, 1] are written as points, 0 to 100, one decimal; log-probabilities in nats; a missing figure is a dash.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from workbench.decision import Estimate

MISSING = "–"
SCORE_NAMES = {
    "exact_match": "EM",
    "contains": "contains",
    "f1": "F1",
    "gold_logprob": "gold log-prob",
    "abstention": "abstention",
    "over_refusal": "over-refusal",
}
SPLIT_NAMES = {"seen": "Seen documents", "new": "New documents"}
SPLIT_NOTES = {
    "seen": "Training used these documents; the questions are others. Can the weights hold the facts?",
    "new": "No training row came from these documents; they are only indexed. Can the arm use new knowledge?",
}


def unplaced_note(counts: Mapping[str, Any]) -> str:
    """Say that some test questions name neither documents nor a group; empty where all of them do."""
    n = counts.get("unplaced", 0)  # runs of before it was counted do not have it
    if not n:
        return ""
    return (
        f"{n} of {counts['asked']} test questions name neither a document nor a group: whether training used their "
        "documents cannot be checked, so what is said of seen and new documents may not hold for them."
    )


def score_text(name: str, value: float | None) -> str:
    """Write a score: points for shares, nats for log-probabilities."""
    if value is None:
        return MISSING
    return _true_minus(f"{value:.2f}" if name == "gold_logprob" else f"{100 * value:.1f}")


def interval_text(name: str, figure: Mapping[str, Any]) -> str:
    """Write "[low, high]"; empty where the data cannot tell an interval."""
    if figure.get("low") is None or figure.get("high") is None:
        return ""
    return f"[{score_text(name, figure['low'])}, {score_text(name, figure['high'])}]"


def estimate_text(name: str, estimate: Estimate) -> str:
    """Write an estimate's "[low, high]"; empty where the data cannot tell an interval."""
    return interval_text(name, {"low": estimate.low, "high": estimate.high})


def difference_text(name: str, value: float) -> str:
    """Write a difference with its sign."""
    text = score_text(name, value)
    return text if text.startswith("−") or not float(text) else f"+{text}"


def p_text(p: float) -> str:
    """Write a p-value to three decimals."""
    return "< .001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def amount_text(name: str, value: float | None) -> str:
    """Write a cost in the unit its name ends or is qualified with: seconds, bytes (as GiB), tokens and other counts."""
    if value is None:
        return MISSING
    if "bytes" in name:
        return f"{value / 2**30:.2f} GiB"
    if "seconds" in name:
        decimals = 0 if value >= 100 or not value else 1 if value >= 10 else 2 if value >= 0.1 else 3
        return f"{value:,.{decimals}f}"
    return f"{value:,.0f}"


def arm_note(settings: Mapping[str, Any]) -> str:
    """Say in words what an arm does."""
    how = {"closed_book": "closed book", "rag": "retrieved passages", "oracle": "the right passage, given"}
    how |= {"wrong_passages": "passages of other documents", "routed": "one of the other arms, chosen per question"}
    shots = f", {settings['shots']} worked examples" if settings.get("shots") else ""
    own = f", retrieval of its own: {json.dumps(settings['retrieval'])}" if settings.get("retrieval") else ""
    adapter = f" + adapter {settings['adapter']}" if settings.get("adapter") else ""
    control = " (control, never ranked)" if settings.get("control") else ""
    return f"{how[settings['strategy']]}{shots}{own}{adapter}{control}"


def _true_minus(text: str) -> str:
    if text.startswith("-") and not float(text):
        text = text[1:]  # -0.0 is 0.0
    return text.replace("-", "−")
