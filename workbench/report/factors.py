"""The decision table: eight factors people argue about, each as it was measured for each arm.

What a run does not measure is a dash, and the row says so; nothing is filled in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workbench.decision import ArmCosts, Compliance, Decision
from workbench.measured import FreshnessReport, ScalingReport
from workbench.report.data import ReportData
from workbench.report.figures import MISSING, SCORE_NAMES, amount_text, score_text
from workbench.report.rows import Summary

STYLE_KINDS = ("style", "format")


@dataclass(frozen=True, slots=True)
class Factor:
    """One row: the factor, how it is measured, one text an arm; `missing` says why there is none."""

    name: str
    measured_as: str
    cells: tuple[str, ...]
    missing: str = ""


def decision_table(data: ReportData) -> tuple[list[str], list[Factor]]:
    """Return the arms with costs and the eight rows; no rows for a run without a decision."""
    decision = data.decision
    if decision is None or not decision.costs:
        return [], []
    costs = {one.arm: one for one in decision.costs}
    arms = [arm for arm in data.summary["settings"] if arm in costs]
    rows = [
        _setup(arms, costs),
        _ongoing(arms, costs, decision),
        _updates(arms, costs),
        _speed(arms, costs),
        _freshness(arms, data.freshness),
        _specialisation(arms, data.summary, decision.compliance),
        _complexity(arms, costs, data.summary),
        _scaling(arms, data.scaling),
    ]
    return arms, rows


def _setup(arms: Sequence[str], costs: Mapping[str, ArmCosts]) -> Factor:
    cells = []
    for arm in arms:
        one = costs[arm]
        parts = [f"{amount_text('seconds', one.build_seconds)} s"]
        parts += [f"{one.build_joules:,.0f} J"] if one.build_joules is not None else []
        parts += [f"{one.build_money:,.2f}"] if one.build_money is not None else []
        cells.append(", ".join(parts))
    return Factor("Set-up cost", "seconds (joules, money) to the first answer", tuple(cells))


def _ongoing(arms: Sequence[str], costs: Mapping[str, ArmCosts], decision: Decision) -> Factor:
    cells = []
    for arm in arms:
        one = costs[arm]
        parts = [f"{amount_text('seconds', one.seconds_mean)} s", f"{one.tokens_mean:,.0f} tokens"]
        parts += [f"{one.joules_mean:,.1f} J"] if one.joules_mean is not None else []
        parts += [f"{one.money_per_1000:,.2f} per 1,000"] if one.money_per_1000 is not None else []
        cells.append(", ".join(parts))
    return Factor("Ongoing cost", "seconds, tokens (joules, money) a question, mean", tuple(cells))


def _updates(arms: Sequence[str], costs: Mapping[str, ArmCosts]) -> Factor:
    cells = tuple(f"{amount_text('seconds', costs[arm].update_seconds)} s" for arm in arms)
    return Factor("Update ease", "seconds from changed documents to new answers", cells)


def _speed(arms: Sequence[str], costs: Mapping[str, ArmCosts]) -> Factor:
    cells = tuple(
        f"{amount_text('seconds', costs[arm].seconds_p50)} / {amount_text('seconds', costs[arm].seconds_p95)} s"
        for arm in arms
    )
    return Factor("Response speed", "seconds to the whole answer, median / p95", cells)


def _freshness(arms: Sequence[str], report: FreshnessReport | None) -> Factor:
    how = "changed facts answered as they are now / as they were; facts of deleted documents still told, %"
    if report is None:
        return Factor("Knowledge freshness", how, (MISSING,) * len(arms), "workbench freshness CONFIG")
    cells = []
    for arm in arms:
        rows = [row for row in report.rows if row.arm == arm and row.share]
        # Of an arm with an adapter trained again: that one, after the largest update.
        row = max(rows, key=lambda one: (one.share, one.trained_again), default=None)
        rates = [] if row is None else [row.changed_right, row.changed_stale, row.deleted_leaked]
        known = [f"{100 * rate.value:.0f}" if rate is not None else MISSING for rate in rates]
        cells.append(f"{known[0]} / {known[1]}; {known[2]}" if known else MISSING)
    return Factor("Knowledge freshness", how, tuple(cells))


def _scaling(arms: Sequence[str], report: ScalingReport | None) -> Factor:
    how = "score and median seconds, smallest → largest corpus"
    if report is None:
        return Factor("Scaling with knowledge", how, (MISSING,) * len(arms), "workbench scaling CONFIG")
    cells = []
    for arm in arms:
        rows = sorted((row for row in report.rows if row.arm == arm), key=lambda row: row.factor)
        scores = " → ".join(f"{100 * row.score.value:.1f}" for row in (rows[0], rows[-1])) if rows else MISSING
        seconds = " → ".join(amount_text("seconds", row.seconds_p50) for row in (rows[0], rows[-1])) if rows else ""
        cells.append(f"{SCORE_NAMES[report.metric]} {scores}; {seconds} s" if rows else MISSING)
    factors = sorted({row.factor for row in report.rows})
    return Factor("Scaling with knowledge", f"{how} ({factors[0]}× → {factors[-1]}×)", tuple(cells))


def _specialisation(arms: Sequence[str], summary: Summary, compliance: Sequence[Compliance]) -> Factor:
    how = "answers that meet the declared checks, %; score on questions of kind style or format"
    metric, cells = summary["ranked_by"], []
    for arm in arms:
        parts = [f"{one.check} {100 * one.share.value:.0f}" for one in compliance if one.arm == arm]
        for kind in STYLE_KINDS:
            figure = summary["kinds"].get(kind, {}).get(arm, {}).get(metric)
            parts += [f"{SCORE_NAMES[metric]} {score_text(metric, figure['mean'])} ({kind})"] if figure else []
        cells.append(", ".join(parts) or MISSING)
    missing = (
        "" if any(cell != MISSING for cell in cells) else "declare evaluation.checks, or ask questions of such a kind"
    )
    return Factor("Specialisation", how, tuple(cells), missing)


def _complexity(arms: Sequence[str], costs: Mapping[str, ArmCosts], summary: Summary) -> Factor:
    cells = []
    for arm in arms:
        settings, size = summary["settings"][arm], costs[arm].artefact_bytes
        ships = ["index"] if settings["strategy"] != "closed_book" else []
        ships += ["adapter"] if settings.get("adapter") else []
        ships += ["the arms' adapters", "router"] if settings["strategy"] == "routed" else []
        amount = "" if not size else f", {size / 2**20:,.1f} MiB"
        cells.append((" + ".join(ships) or "nothing") + amount)
    return Factor("Implementation complexity", "artefacts to ship beside the base model", tuple(cells))
