"""The verbs that make several runs of one experiment, for what a single run cannot measure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.app import Overrides
from workbench.cli.experiments import Config, Out, open_bench, print_decision
from workbench.errors import ConfigError

if TYPE_CHECKING:
    from workbench.bench import Bench
    from workbench.report.series import SeriesTable


def freshness(config: Config, out: Out = None, overrides: Overrides = []) -> None:  # noqa: B006
    """Add, change and delete documents, and measure how each arm follows: time, stale answers, leaks."""
    bench = open_bench(config, out, overrides)
    from workbench.report.series import freshness_table
    from workbench.series import measure_freshness

    _show(bench, freshness_table(measure_freshness(bench)))


def scaling(config: Config, out: Out = None, overrides: Overrides = []) -> None:  # noqa: B006
    """Ask the same questions as the corpus grows, and measure score and seconds of each arm."""
    bench = open_bench(config, out, overrides)
    from workbench.report.series import scaling_table
    from workbench.series import measure_scaling

    _show(bench, scaling_table(measure_scaling(bench)))


def learning_curve(config: Config, out: Out = None, overrides: Overrides = []) -> None:  # noqa: B006
    """Train each adapter on parts of its examples, and say how many would be enough."""
    bench = open_bench(config, out, overrides)
    from workbench.report.series import learning_table
    from workbench.series import measure_learning_curve

    _show(bench, learning_table(measure_learning_curve(bench)))


def sweep(
    config: Config,
    out: Annotated[Path | None, typer.Option(help="the sweep's folder; default: runs/NAME-sweep")] = None,
    lend: Annotated[
        list[Path], typer.Option(help="a run of the same experiment whose stages may be taken; repeatable")
    ] = [],  # noqa: B006
    overrides: Overrides = [],  # noqa: B006
) -> None:
    """Run every combination of the values in `sweep.keys` and judge the arms of all of them together."""
    from workbench.config import load_sweep

    plan = load_sweep(config, overrides=overrides)
    if missing := [folder for folder in lend if not folder.is_dir()]:
        raise ConfigError(f"--lend {missing[0]}: there is no such folder; name the folder of a run")
    folder = out or Path("runs") / f"{plan.config.name}-sweep"
    n = len(plan.variants)
    from workbench.joint import write_folder_report
    from workbench.series import measure_sweep

    measure_sweep(
        plan,
        folder,
        lenders=lend,
        on_variant=lambda variant, number: typer.echo(f"variant {number} of {n}: {variant.name}", err=True),
    )
    path = write_folder_report(folder)
    print_decision(folder)
    typer.echo(f"report: {path}")


def _show(bench: Bench, table: SeriesTable) -> None:
    from workbench.report.series import print_series
    from workbench.reporting import is_finished, write_run_report

    print_series(table)
    if is_finished(bench.run_folder.folder):
        typer.echo(f"report: {write_run_report(bench.run_folder.folder)}")


VERBS: dict[str, Callable[..., None]] = {
    "freshness": freshness,
    "scaling": scaling,
    "learning-curve": learning_curve,
    "sweep": sweep,
}
