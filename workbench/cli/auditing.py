"""The verb `workbench dataset audit`: a dataset, and the experiment it is for → table, page, exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.app import Overrides


def audit(
    dataset: Annotated[Path, typer.Argument(help="a dataset's folder, or a file of rows of any format")],
    *,
    config: Annotated[
        Path | None,
        typer.Option(help="the experiment it is for: adds leakage, coverage, lengths and loss masks"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="the page; audit figures go beside it as .json; default: DATASET-audit.html")
    ] = None,
    allow: Annotated[
        list[str], typer.Option(metavar="KIND", help="a kind of finding that stops nothing, e.g. email; repeatable")
    ] = [],  # noqa: B006  (typer copies defaults)
    strict: Annotated[bool, typer.Option("--strict", help="warnings count as blocking")] = False,
    overrides: Overrides = [],  # noqa: B006
) -> None:
    """Check a training dataset: secrets, personal data, copies, contradictions, leaks, lengths, masks.

    Exits with 1 where something would stop a training.
    """
    from workbench.config import load_config

    loaded = load_config(config, overrides=overrides) if config else None
    from workbench.audit import Severity
    from workbench.audit.table import print_audit
    from workbench.auditing import audit_rows, parts_to_audit, read_rows, write_audit

    rows = read_rows(dataset)
    parts = parts_to_audit(loaded, Path("runs") / loaded.name) if loaded else None
    report = audit_rows(rows, source=str(dataset), allow=allow, parts=parts)
    page = out or dataset.with_name(f"{dataset.stem}-audit.html")
    record = write_audit(report, page)
    print_audit(report)
    typer.echo(f"page: {page}\nfigures: {record}")
    if report.count(Severity.BLOCKING) or (strict and report.count(Severity.WARNING)):
        raise typer.Exit(1)
