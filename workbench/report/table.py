"""The result table for the terminal: one table a split, rows are arms."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from workbench.report.figures import SPLIT_NAMES
from workbench.report.findings import lead_sentence
from workbench.report.rows import Row, Summary, score_table

WIDTH = 110  # columns
WITH_INTERVAL = "F1"  # the terminal has room for one interval; the report shows all
LEFT_OUT = "over-refusal"


def print_table(summary: Summary) -> None:
    """Print both splits' tables and, above each, who leads."""
    console = wide_console()
    for split, name in SPLIT_NAMES.items():
        console.print(f"\n[bold]{name}[/bold]  {_plain(lead_sentence(summary, split))}", highlight=False)
        if summary["splits"][split]["arms"]:
            console.print(_table(summary, split), highlight=False)


def wide_console() -> Console:
    """The terminal; a pipe or a narrow window gets full rows that wrap, rather than figures cut to dots."""
    console = Console()
    return console if console.width >= WIDTH else Console(width=WIDTH)


def _table(summary: Summary, split: str) -> Table:
    header, rows = score_table(summary, split)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("arm", no_wrap=True)
    for name in header:
        if name != LEFT_OUT:
            table.add_column(name.replace(" ", "\n"), justify="right", vertical="bottom", no_wrap=True)
    for row in rows:
        table.add_row(*_line(row, header), style="dim" if row.control else "")
    return table


def _line(row: Row, header: list[str]) -> list[str]:
    cells = []
    for name, cell in zip(header, row.cells, strict=True):
        if name == LEFT_OUT:
            continue
        text = f"{cell.text} {cell.interval}".rstrip() if name == WITH_INTERVAL else cell.text
        cells.append(f"[bold]{text}[/bold]" if cell.best else text)
    return [row.arm + (" *" if row.control else ""), *cells]


def _plain(sentence: str) -> str:
    return sentence.replace("**", "").replace("[", r"\[")
