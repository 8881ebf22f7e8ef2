"""The verb `workbench monitor`: an experiment, its run and what a server logged → table, JSON, page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.app import Overrides
from workbench.cli.experiments import Config, Out


def monitor(
    config: Config,
    *,
    out: Out = None,
    log: Annotated[
        Path | None, typer.Option(help="folder of queries.jsonl; default: where the experiment's server logs")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="only questions of then or later, compared with those before: 2026-05-01, 30d")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the whole report as JSON")] = False,
    html: Annotated[Path | None, typer.Option(help="also write it as one self-contained page")] = None,
    overrides: Overrides = [],  # noqa: B006  (typer copies defaults)
) -> None:
    """Say whether to re-index, re-train or re-measure: logged questions and documents against what a run measured."""
    from workbench.config import load_config

    loaded = load_config(config, overrides=overrides)
    from workbench.watching import read_since, watch_run, write_page

    report = watch_run(
        loaded,
        out or Path("runs") / loaded.name,
        log=log,
        since=None if since is None else read_since(since),
        command=" ".join([str(config), *(["--out", str(out)] if out else [])]),
    )
    if html is not None:
        write_page(report, html)
    if as_json:
        typer.echo(report.model_dump_json(indent=1))
        return
    from workbench.monitoring.table import print_monitor

    print_monitor(report)
    if html is not None:
        typer.echo(f"page: {html}")


VERBS: dict[str, Callable[..., None]] = {"monitor": monitor}
