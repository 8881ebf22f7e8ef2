"""A monitor's report in words and cells: what the terminal and the page both lay out. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.monitoring.findings import Action, Check, Figure, MonitorReport, State
from workbench.report.figures import MISSING

HEADER = ("what", "state", "values", "needed", "when measured", "logged", "change", "p")
COMMANDS = {Action.INDEX: "re-index", Action.TRAIN: "re-train", Action.MEASURE: "re-measure"}


def lead_sentence(report: MonitorReport) -> str:
    """Return what a person needs to know first."""
    if report.advice:
        return f"It is time to {', then '.join(COMMANDS[one.action] for one in report.advice)}."
    if alarms := [check.title for check in report.checks if check.state is State.ALARM]:
        return f"Nothing has to be trained for it here, but an alarm was raised: {'; '.join(alarms)}."
    few = [check for check in report.checks if check.state is State.TOO_FEW]
    tested = [check for check in report.checks if check.state is State.QUIET]
    if few:
        return (
            f"Nothing calls for action, but {len(few)} of {len(report.checks)} checks have not enough data to say so."
        )
    return f"Nothing calls for action; {len(tested)} checks would have seen a change worth finding."


def describe_log(report: MonitorReport) -> str:
    """Return in one line what was looked at."""
    if report.first is None or report.last is None:
        return f"no question in {report.log}; a server logs them with serving.query_log: measures or content"
    return (
        f"{report.n_logged:,} questions from {report.first:%Y-%m-%d} to {report.last:%Y-%m-%d}, {report.n_errors} of "
        f"them failed; {report.n_distinct:,} distinct ones with an embedding"
    )


def describe_staleness(report: MonitorReport) -> list[str]:
    """Return a line for each thing that may have become old, and why some of it cannot be told."""
    stale, lines = report.stale, []
    if stale.since_index is not None:
        lines.append(f"on disk since the last index: {stale.since_index} of {stale.since_index.n_before} documents")
    if stale.collection_now is not None:
        same = stale.collection_now == stale.collection_before
        change = f": {stale.since_run} of {stale.since_run.n_before} documents" if stale.since_run is not None else ""
        lines.append(f"collection since the run: {'the same' if same else 'another' + change}")
    for one in stale.adapters:
        if one.same_weights is None:
            lines.append(f"adapter {one.name}: not there")
            continue
        weights = "as measured" if one.same_weights else "trained again since it was measured"
        grown = f"{one.documents} since its training" if one.documents is not None else "documents then not recorded"
        lines.append(f"adapter {one.name} (rows {one.trained_on[:12]}): {weights}; {grown}")
    return [*lines, *stale.notes]


def row_of(check: Check) -> tuple[str, ...]:
    """Return a check's cells, in the order of HEADER."""
    return (
        check.title + (f" ({check.note})" if check.note else ""),
        check.state.value,
        f"{check.n:,}",
        MISSING if check.needed is None else f"{check.needed:,}",
        figure_text(check.before, check.unit),
        figure_text(check.now, check.unit),
        figure_text(check.change, check.unit, signed=True),
        MISSING if check.p_adjusted is None else f"{check.p_adjusted:.3f}" if check.p_adjusted >= 0.001 else "< 0.001",
    )


def figure_text(figure: Figure | None, unit: str, *, signed: bool = False) -> str:
    """Return a figure with its interval; shares in percent, their changes in points."""
    if figure is None:
        return MISSING
    scale, digits = (100, 1) if unit == "share" else (1, 3)
    sign = "+" if signed else ""

    def write(value: float) -> str:
        return f"{scale * value:{sign}.{digits}f}".replace("-", "−")

    end = "" if unit != "share" else " points" if signed else " %"
    interval = "" if figure.low is None or figure.high is None else f" [{write(figure.low)}, {write(figure.high)}]"
    return f"{write(figure.value)}{end}{interval}"


def methods_of(checks: Sequence[Check]) -> list[str]:
    """Return how the checks were made, each way once."""
    return list(dict.fromkeys(check.method for check in checks))


def rule_of(report: MonitorReport) -> str:
    """Return the rule and its error rate."""
    return (
        f"A check raises an alarm where its p, adjusted for all checks by Holm's procedure, is at most "
        f"{report.false_alarms:g} and the change is for the worse: of reports where nothing changed, at most "
        f"{report.false_alarms:.0%} raise any. Who reports every week looks fifty times a year: lower "
        "monitoring.false_alarms accordingly. A check without an alarm is quiet where it has as many values as are "
        "needed to find a change worth finding (section monitoring) 8 times of 10; a dash: none suffices beside so "
        "few measured ones. The p shown are the adjusted ones; intervals are of 95 % each."
    )
