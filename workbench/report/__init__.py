"""A run's records, summary and decision to something people read: a terminal table, report.md, report.html, CSV."""

from __future__ import annotations

from pathlib import Path

from workbench.report.advice import print_advice
from workbench.report.data import ReportData
from workbench.report.table import print_table
from workbench.runs import write_atomically

__all__ = ["ReportData", "print_advice", "print_table", "write_report"]


def write_report(folder: Path, data: ReportData) -> None:
    """Write report.md, report.html and the CSV files into `folder`, each atomically. Same data, same bytes."""
    # matplotlib takes a second to import; the terminal table does not need it.
    from workbench.report.exports import csv_files
    from workbench.report.markdown import render_markdown
    from workbench.report.page import render_page

    write_atomically(folder / "report.md", render_markdown(data))
    write_atomically(folder / "report.html", render_page(data))
    for name, content in csv_files(data).items():
        write_atomically(folder / name, content)
