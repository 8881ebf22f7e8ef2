"""What series of runs measured, as figures: how arms change with an update, with the corpus, with their examples.

Every interval is the series' own; nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.ticker import NullLocator

from workbench.measured import FreshnessReport, LearningReport, Rate, ScalingReport
from workbench.report.figures import SCORE_NAMES
from workbench.report.svg import MUTED, RULE, new_axes, to_svg

WIDTH, HEIGHT = 5.0, 3.2  # inches, as drawn; the page scales them
APART = 11.0  # points of height between two names at the right edge


@dataclass(frozen=True, slots=True)
class SeriesPlot:
    """An inline SVG with its caption."""

    caption: str
    svg: str


Points = Sequence[tuple[float, Rate]]


def plot_freshness(report: FreshnessReport, colours: Mapping[str, str]) -> list[SeriesPlot]:
    """Return changed facts told as they are now, and facts of deleted documents still told, over the update's size."""
    plots = []
    for field, caption in (
        ("changed_right", "Changed facts answered as they are now, by the share of the corpus that changed"),
        ("deleted_leaked", "Facts of deleted documents still told (at 0: they were true)"),
    ):
        lines: dict[str, list[tuple[float, Rate]]] = {}
        for row in report.rows:
            rate = getattr(row, field)
            if rate is not None:
                name = f"{row.arm}, again" if row.trained_again else row.arm
                lines.setdefault(name, []).append((100 * row.share, rate))
        again = {f"{arm}, again": colour for arm, colour in colours.items()}
        found = _plot(field, lines, {**colours, **again}, x="documents changed, %", y="answers, %", log=False)
        plots += [SeriesPlot(caption, found)] if found else []
    return plots


def plot_scaling(report: ScalingReport, colours: Mapping[str, str]) -> list[SeriesPlot]:
    """Return the ranked score over the size of the corpus."""
    lines: dict[str, list[tuple[float, Rate]]] = {}
    for row in report.rows:
        lines.setdefault(row.arm, []).append((row.factor, row.score))
    y = f"{SCORE_NAMES[report.metric]}, points"
    found = _plot("scaling", lines, colours, x="size of the corpus, times the smallest (logarithmic)", y=y, log=True)
    return [SeriesPlot("Score as the corpus grows", found)] if found else []


def plot_learning(report: LearningReport, colours: Mapping[str, str]) -> list[SeriesPlot]:
    """Return the ranked score over the number of examples; the best arm without an adapter is a dashed line."""
    lines = {curve.arm: [(point.examples, point.score) for point in curve.points] for curve in report.curves}
    targets = {curve.target: curve.target_score for curve in report.curves if curve.target and curve.target_score}
    y = f"{SCORE_NAMES[report.metric]}, points"
    found = _plot("learning", lines, colours, x="training examples (logarithmic)", y=y, log=True, targets=targets)
    return [SeriesPlot("Score as the examples grow", found)] if found else []


def _plot(
    name: str,
    lines: Mapping[str, Points],
    colours: Mapping[str, str],
    *,
    x: str,
    y: str,
    log: bool,
    targets: Mapping[str, float] | None = None,
) -> str:
    """Return one panel, "" where no line has two points; arms without a colour (controls) are grey."""
    drawn = {arm: sorted(points, key=lambda point: point[0]) for arm, points in lines.items() if len(points) > 1}
    if not drawn:
        return ""
    places = sorted({place for points in drawn.values() for place, _ in points})
    # Sizes of updates lie too far apart for a line and begin at 0: they stand side by side.
    at_x = {place: place if log else float(number) for number, place in enumerate(places)}
    ends: list[tuple[str, float, str]] = []
    with new_axes(f"series-{name}", width=WIDTH, height=HEIGHT) as axes:
        for number, (arm, points) in enumerate(drawn.items()):
            colour = colours.get(arm, MUTED)
            beside = 0.012 * (number - len(drawn) / 2)  # intervals side by side, not one on another
            xs = [at_x[place] * (1 + beside) if log else at_x[place] + 2 * beside for place, _ in points]
            style = "dashed" if arm.endswith(", again") else "solid"
            axes.plot(xs, [100 * rate.value for _, rate in points], color=colour, linestyle=style, marker="o", ms=4.5)
            axes.vlines(
                xs, [100 * rate.low for _, rate in points], [100 * rate.high for _, rate in points],
                color=colour, linewidth=1.4, alpha=0.45,
            )  # fmt: skip
            ends.append((arm, 100 * points[-1][1].value, colour))
        for target, score in (targets or {}).items():
            axes.axhline(100 * score, color=MUTED, linewidth=1, linestyle="dotted")
            ends.append((target, 100 * score, MUTED))
        if log:
            axes.set_xscale("log")
            axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticks(list(at_x.values()), [f"{place:,.4g}" for place in places])
        axes.set_ylim(-2, 102)
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        axes.grid(axis="y", color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        for arm, height, at, colour in _spread(ends):
            axes.annotate(
                arm, (at_x[places[-1]], height), xytext=(9, at), textcoords="offset points", va="center", color=colour,
                annotation_clip=False,
            )  # fmt: skip
        return to_svg(axes, f"series-{name}")


def _spread(ends: Sequence[tuple[str, float, str]]) -> list[tuple[str, float, float, str]]:
    """Return (name, score, points above it, colour): names from below upwards, never closer than APART."""
    a_score = HEIGHT * 72 * 0.72 / 104  # points of height a point of score takes, the axes' share of the figure
    told, last = [], -1e9
    for name, score, colour in sorted(ends, key=lambda end: end[1]):
        at = max(score * a_score, last + APART)
        told.append((name, score, at - score * a_score, colour))
        last = at
    return told
