"""The verbs that make several runs of one experiment, for what a single run cannot measure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from workbench.cli.app import Overrides
from workbench.cli.experiments import Config, Out, open_bench

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
}
