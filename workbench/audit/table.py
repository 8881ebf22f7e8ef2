"""The audit for the terminal: the issues as a table, the counts in a line, rows token by token in colour."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from workbench.audit.page import lead_sentence
from workbench.audit.verdict import AuditReport, Severity

_STYLES = {Severity.BLOCKING: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "dim"}
_N_SHOWN = 3  # rows shown token by token; the page shows more
_LAST_OF_PROMPT = 60  # tokens of the prompt shown before what is learned


def print_audit(report: AuditReport, console: Console | None = None) -> None:
    """Print the audit. A pipe gets the same without colour; learned tokens then stand between « and »."""
    out = console or Console()
    mixture = report.mixture
    out.print(f"\n[bold]{lead_sentence(report)}[/bold]", highlight=False)
    for name, counts in (
        ("tasks", mixture.tasks),
        ("generators", mixture.generators),
        ("languages", mixture.languages),
    ):
        out.print(Text(f"{name}: " + ", ".join(f"{label} {count:,}" for label, count in counts.items())))
    for line in _figures(report):
        out.print(Text(line))
    if report.issues:
        out.print(_table(report), highlight=False)
    for reason in report.not_checked:
        out.print(Text(f"not checked: {reason}", style="dim"))
    for row in report.shown[:_N_SHOWN]:
        out.print(Text(f"\n{row.row_id}: {row.n_learned} of {len(row.pieces)} tokens are learned", style="bold"))
        out.print(_masked(report, row.row_id, colour=out.is_terminal))


def _figures(report: AuditReport) -> list[str]:
    lines = [f"rows: {report.mixture.n_rows:,}"]
    if (lengths := report.lengths) is not None:
        lines.append(
            f"tokens a row (median, 95 %, longest): prompt {lengths.prompt.p50}, {lengths.prompt.p95}, "
            f"{lengths.prompt.longest}; learned {lengths.completion.p50}, {lengths.completion.p95}, "
            f"{lengths.completion.longest}; {lengths.n_loss_tokens:,} of {lengths.n_tokens:,} carry loss"
        )
    if (coverage := report.coverage) is not None:
        share = coverage.n_touched_characters / max(1, coverage.n_characters)
        lines.append(
            f"coverage: {coverage.n_touched_documents} of {coverage.n_documents} documents, "
            f"{coverage.n_touched_chunks} of {coverage.n_chunks} chunks, {share:.0%} of the characters"
        )
    return lines


def _table(report: AuditReport) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for name in ("weight", "what", "rows", "where"):
        table.add_column(name, justify="right" if name == "rows" else "left", no_wrap=name != "where", overflow="fold")
    for issue in report.issues:
        first = f" ({'; '.join(issue.examples[:3])}{' …' if issue.count > 3 else ''})" if issue.examples else ""
        style = _STYLES[issue.severity]
        cells = (issue.severity.value, issue.kind.replace("_", " "), f"{issue.count:,}", issue.message + first)
        table.add_row(*(Text(cell, style=style if place < 2 else "") for place, cell in enumerate(cells)))
    return table


def _masked(report: AuditReport, row_id: str, *, colour: bool) -> Text:
    row = next(row for row in report.shown if row.row_id == row_id)
    first = next((place for place, piece in enumerate(row.pieces) if piece.learned), len(row.pieces))
    start = max(0, first - _LAST_OF_PROMPT)
    text = Text("… " if start else "", style="dim")
    for before, piece in zip((None, *row.pieces[start:]), row.pieces[start:], strict=False):
        was_learned = before is not None and before.learned
        if piece.learned != was_learned and not colour:
            text.append("«" if piece.learned else "»")
        text.append(piece.text, style="bold black on yellow" if piece.learned else "dim")
    if row.pieces and row.pieces[-1].learned and not colour:
        text.append("»")
    return text
