"""A monitor's report as one self-contained HTML page, in the look of the report: no outside URL, no script."""

from __future__ import annotations

from functools import cache

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from workbench.monitoring.findings import MonitorReport
from workbench.monitoring.plots import plot_rate, plot_shift, plot_weeks
from workbench.monitoring.wording import (
    HEADER,
    describe_log,
    describe_staleness,
    lead_sentence,
    methods_of,
    row_of,
    rule_of,
)


def render_monitor(report: MonitorReport) -> str:
    """Return the page. Pure: the same report gives the same bytes. No word of a question stands in it."""
    return (
        _environment()
        .get_template("monitor.html.jinja")
        .render(
            report=report,
            lead=lead_sentence(report),
            log=describe_log(report),
            header=HEADER,
            rows=[(check.state.name.lower(), row_of(check)) for check in report.checks],
            stale=describe_staleness(report),
            rule=rule_of(report),
            methods=methods_of(report.checks),
            plots=[(caption, Markup(plot)) for caption, plot in _plots(report)],
        )
    )


def _plots(report: MonitorReport) -> list[tuple[str, str]]:
    plots = []
    if report.distances_before and report.distances_now:
        distances = (report.distances_before, report.distances_now)
        plots.append(
            (
                "How far a question is from the nearest one measured with",
                plot_shift("distances", *distances, label="cosine distance to the nearest test question"),
            )
        )
    if report.scores_before and report.scores_now:
        scores = (report.scores_before, report.scores_now)
        plots.append(("How well retrieval finds", plot_shift("scores", *scores, label="score of the best passage")))
    if report.weeks:
        plots.append(("Questions a week", plot_weeks(report.weeks)))
        plots.append(("Refused", plot_rate("refused", report.weeks)))
    if any(week.n_rated for week in report.weeks):
        plots.append(("Liked", plot_rate("liked", report.weeks)))
    return plots


@cache
def _environment() -> Environment:
    loader = ChoiceLoader([PackageLoader("workbench.monitoring", "."), PackageLoader("workbench.report", ".")])
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
