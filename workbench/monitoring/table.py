"""A monitor's report for the terminal."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from workbench.monitoring.findings import MonitorReport, State
from workbench.monitoring.wording import (
    HEADER,
    describe_log,
    describe_staleness,
    lead_sentence,
    methods_of,
    row_of,
    rule_of,
)

STYLES = {State.ALARM: "bold red", State.QUIET: "green", State.TOO_FEW: "yellow", State.NOTHING: "dim"}


def print_monitor(report: MonitorReport, console: Console | None = None) -> None:
    """Print the report. A pipe gets the same without colour."""
    out = console or Console()
    out.print(Text(f"\n{lead_sentence(report)}", style="bold"))
    out.print(Text(describe_log(report)))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for place, name in enumerate(HEADER):
        table.add_column(name, justify="left" if place < 2 else "right", overflow="fold")
    for check in report.checks:
        cells = row_of(check)
        table.add_row(*(Text(cell, style=STYLES[check.state] if n == 1 else "") for n, cell in enumerate(cells)))
    out.print(table)
    for line in describe_staleness(report):
        out.print(Text(line))
    for one in report.advice:
        out.print(Text(f"\n{one.action.value}: {one.command}", style="bold"))
        for reason in one.because:
            out.print(Text(f"  because {reason}"))
        if one.first:
            out.print(Text(f"  first: {one.first}"))
    for event in report.events:
        out.print(Text(f"note: {event}", style="dim"))
    for line in (rule_of(report), *methods_of(report.checks)):
        out.print(Text(line, style="dim"))
