"""A run's records and summary to something people read: a terminal table, report.md, report.html."""

from __future__ import annotations

from pathlib import Path

from workbench.report.data import ReportData
from workbench.report.table import print_table
from workbench.runs import write_atomically

__all__ = ["ReportData", "print_table", "write_report"]


def write_report(folder: Path, data: ReportData) -> None:
    """Write report.md and report.html into `folder`, each atomically. The same data give the same bytes."""
    # matplotlib takes a second to import; the terminal table does not need it.
    from workbench.report.markdown import render_markdown
    from workbench.report.page import render_page

    write_atomically(folder / "report.md", render_markdown(data))
    write_atomically(folder / "report.html", render_page(data))
