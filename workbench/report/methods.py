"""How a run was measured, in sentences: what a reader needs to repeat it or to doubt it."""

from __future__ import annotations

from workbench.report.data import ReportData
from workbench.report.figures import SCORE_NAMES
from workbench.types import Split


def methods(data: ReportData) -> list[str]:
    """Return the sentences that hold for this run."""
    summary, manifest = data.summary, data.manifest
    counts, models = summary["counts"]["questions"], manifest.get("models", {})
    told = []
    if models:
        told.append("Models: " + ", ".join(f"{role} {name}" for role, name in models.items()) + ".")
    told.append(
        f"Questions: {counts.get(Split.TRAIN.value, 0)} to train on, {counts.get(Split.DEV.value, 0)} to choose by, "
        f"{counts.get(Split.SEEN.value, 0)} tested on documents that training saw, {counts.get(Split.NEW.value, 0)} on "
        f"documents kept from all training. They were divided by document, and training questions that copy a test "
        f"question were left out."
    )
    told.append(
        "Every arm got the same questions, system text, prompt layout and limits; answers are greedy, without "
        "sampling, in batches fixed before the first question. Seconds are an answer's share of its "
        "batch, retrieval included."
    )
    told.append(
        f"Arms are ranked by {SCORE_NAMES[summary['ranked_by']]}. A mean's interval is Wilson's at the scores' own "
        f"variance; a difference is paired over questions and training seeds, with a t interval (two made-up questions "
        f"more where fewer than 15 differ), a sign-flip permutation p and Holm's correction over all pairs."
    )
    if data.sweep is not None:
        told.append(
            f"{len(data.sweep.variants)} variants, every combination of {', '.join(data.sweep.keys)}, are runs of "
            f"their own on the same questions. An arm whose answers none of their values decides (equal prompts, model "
            f"and adapter) is one arm; Holm's correction is over all pairs of all variants."
        )
    if data.decision is not None:
        told.append(
            f"Equivalent: two one-sided tests at 5 % put the difference within {100 * data.decision.margin:g} points. "
            f"Recommended: the arm that is better than, or neither dearer nor worse by more than that margin than, "
            f"every other arm the constraints allow."
        )
    return told
