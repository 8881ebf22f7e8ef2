"""The verb `workbench doctor`: is this machine fit for this experiment?"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.app import Overrides

MARKS = {"ok": "ok     ", "warn": "warn   ", "blocker": "BLOCKER"}


def doctor(
    config: Annotated[Path | None, typer.Argument(help="the experiment's YAML file; none: the machine alone")] = None,
    *,
    out: Annotated[Path | None, typer.Option(help="the run's folder; default: runs/NAME")] = None,
    deep: Annotated[bool, typer.Option("--deep", help="hash large models, verify large collections")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print the findings as JSON")] = False,
    overrides: Overrides = [],  # noqa: B006  (typer copies defaults)
) -> None:
    """Check machine, packages, models, collection, config and permissions; 1 if something would fail."""
    from workbench.doctor import Level, examine
    from workbench.doctor.finding import worst

    findings = examine(config, out=out, overrides=overrides, deep=deep)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=1, ensure_ascii=False))
    else:
        for finding in findings:
            typer.echo(f"{MARKS[finding.level]}  {finding.check}: {finding.found}")
            if finding.advice:
                typer.echo(f"         -> {finding.advice}")
    if worst(findings) is Level.BLOCKER:
        raise typer.Exit(1)


VERBS: dict[str, Callable[..., None]] = {"doctor": doctor}
