"""Threats to validity: what this run's figures cannot say, each told only where it holds for this run."""

from __future__ import annotations

from workbench.report.data import ReportData
from workbench.report.race import race_threat
from workbench.types import Split

FEW = 100  # questions; below it, differences of ten points are often undecided


def threats(data: ReportData) -> list[str]:
    """Return the sentences that apply, the gravest first."""
    summary, told = data.summary, []
    counts = summary["counts"]
    trained = [arm for arm, settings in summary["settings"].items() if settings.get("adapter")]
    seeds = {record.training_seed for record in data.records if record.arm in trained}
    if trained and len(seeds) < 2:
        told.append(
            "Each adapter was trained with one seed, so the intervals cover the choice of questions and not of "
            "trainings; `training.seeds` adds them."
        )
    for split in (Split.SEEN, Split.NEW):
        n = counts["questions"].get(split.value, 0)
        if 0 < n < FEW:
            told.append(f"Only {n} questions are on {split.value} documents: small differences stay undecided.")
    if counts.get("unplaced"):
        told.append(
            f"{counts['unplaced']} test questions name no document, so seen and new cannot be told apart there."
        )
    if not any(
        part.get("arms", {}).get(arm, {}).get("abstention") for part in [summary] for arm in summary["settings"]
    ):
        told.append("No question is unanswerable, so whether an arm makes things up was not measured.")
    if data.sweep is not None:
        told.append(
            f"{len(data.sweep.variants)} variants were compared on the test questions, which chooses among them: the "
            "highest score is too high by what chance added to it, and only fresh questions tell by how much."
        )
    raced = race_threat(data.race)
    told += [raced] if raced else []
    dropped = data.manifest.get("dropped_as_copies") or ()
    if dropped:
        told.append(f"{len(dropped)} training questions were left out because a test question copies them.")
    if data.failures:
        told.append(f"{len(data.failures)} files could not be read; what they hold no arm could know.")
    told.append(
        "Answers are compared with the accepted ones word by word; a right answer in other words counts as wrong."
    )
    told.append("All figures are of this corpus, these questions, this model and this machine, and of no other.")
    return told
