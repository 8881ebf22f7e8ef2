"""A sweep in the report: each arm's score and costs in every variant, what was done once, how to confirm the winner.

Nothing is judged here: scores, costs and the recommended arm are the decision's own.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from workbench.config import ArmConfig
from workbench.decision import Decision
from workbench.measured import SweepReport, VariantRow
from workbench.report.data import ReportData
from workbench.report.figures import MISSING, SCORE_NAMES, amount_text, estimate_text, score_text
from workbench.report.series import SeriesTable

TAKEN = "✓ "  # before the recommended arm's figure
RARE, MOST_PICKED = 0.01, 4  # share of the draws below which an arm is not named; arms named
HERE = "SWEEP"  # stands for the sweep's folder in a command


def sweep_tables(data: ReportData) -> list[SeriesTable]:
    """Return the scores and the costs, a row a variant and a column an arm; none for a run."""
    if data.sweep is None or data.decision is None:
        return []
    return [_scores(data.sweep, data.decision, data.summary), _costs(data.sweep, data.decision)]


def _scores(sweep: SweepReport, decision: Decision, summary: Mapping[str, Any]) -> SeriesTable:
    found = {one.arm: one.score for one in decision.recommendation.standings}

    def tell(arm: str) -> str:
        mark = TAKEN if arm == decision.recommendation.arm else ""
        score = score_text(decision.metric, found[arm].value)
        return f"{mark}{score} {estimate_text(decision.metric, found[arm])}".strip()

    arm = decision.recommendation.arm
    command = None if arm is None else confirm_command(sweep, arm, summary["settings"][arm])
    return SeriesTable(
        title=f"Variants: {SCORE_NAMES[decision.metric]} of each arm",
        note=(
            f"{', '.join(sweep.keys)}; {TAKEN.strip()} is recommended, = was answered from equal inputs: one arm. "
            f"Each variant is a run of its own: workbench report {HERE}/{sweep.variants[0].folder}"
        ),
        header=_header(sweep),
        rows=_rows(sweep, tell),
        sentences=(*_stability(decision), *([f"To confirm it, {command}"] if command else [])),
    )


def _costs(sweep: SweepReport, decision: Decision) -> SeriesTable:
    found = {one.arm: one for one in decision.costs}

    def tell(arm: str) -> str:
        if arm not in found:
            return MISSING
        costs = found[arm]
        return f"{amount_text('seconds', costs.seconds_mean)} + {amount_text('seconds', costs.build_seconds)}"

    return SeriesTable(
        title="Variants: seconds a question + seconds to build",
        note=f"Each stage was done once and lent to the variants that it is the same for. {_told_lent(sweep)}".strip(),
        header=_header(sweep),
        rows=_rows(sweep, tell),
    )


def _header(sweep: SweepReport) -> tuple[str, ...]:
    return ("variant", *dict.fromkeys(arm for row in sweep.variants for arm in row.arms))


def _rows(sweep: SweepReport, tell: Callable[[str], str]) -> tuple[tuple[str, ...], ...]:
    """Return a row a variant; an arm that an earlier variant has, too, is told there."""
    met: dict[str, VariantRow] = {}
    rows = []
    for variant in sweep.variants:
        cells = []
        for arm in _header(sweep)[1:]:
            name = variant.arms.get(arm)
            first = met.setdefault(name, variant) if name is not None else None
            cells.append(MISSING if name is None else tell(name) if first is variant else f"= {first and first.name}")
        rows.append((variant.name, *cells))
    return tuple(rows)


def _told_lent(sweep: SweepReport) -> str:
    told = []
    for variant in sweep.variants:
        by_lender: dict[str, list[str]] = {}
        for what, lender in variant.lent.items():
            by_lender.setdefault(lender, []).append(what)
        told += [f"{variant.name} took from {lender}: {', '.join(whats)}." for lender, whats in by_lender.items()]
    return " ".join(told)


def _stability(decision: Decision) -> list[str]:
    """Say how often each arm scores highest on a part of the questions."""
    selection = decision.selection
    if selection is None:
        return []
    often = [(arm, share) for arm, share in selection.picked.items() if share >= RARE][:MOST_PICKED]
    told = ", ".join(f"{arm} in {share:.0%}" for arm, share in often)
    return [f"On random four fifths of the {selection.n} questions the highest score is that of {told} of the draws."]


def confirm_command(sweep: SweepReport, arm: str, settings: Mapping[str, Any], *, folder: str = HERE) -> str:
    """Return the command that asks fresh questions of one arm, its adapter taken as it is.

    Args:
        arm: its name in the sweep.
        settings: the arm's, as in the config.
    """
    variant = sweep.variant_of(arm)
    own = next(name for name, joint in variant.arms.items() if joint == arm)
    place = f"{folder}/{variant.folder}"
    arms = {own: ArmConfig.model_validate(settings).model_dump(mode="json", exclude_defaults=True)}
    sets = ["questions.path=FRESH.jsonl", f"arms={json.dumps(arms)}"]
    if (adapter := settings.get("adapter")) is not None:
        taken = {"examples": "trained", "folder": f"{place}/train-{adapter}/adapter"}
        sets.append(f"training.adapters.{adapter}={json.dumps(taken)}")
    told = " ".join(f"--set {shlex.quote(one)}" for one in sets)
    return (
        f"write questions that nobody has chosen by into FRESH.jsonl, each with split: new, and ask them: "
        f"workbench run {place}/config.yaml --out {folder}/confirmed {told}"
    )
