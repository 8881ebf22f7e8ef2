"""The monitor's figures as inline SVG: distances, scores, and rates by week. Nothing is computed but what is drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from workbench.monitoring.findings import Week
from workbench.monitoring.rates import share
from workbench.report.svg import INK, MUTED, RULE, SPLIT_COLOURS, new_axes, to_svg

FEWEST_WEEKS = 6  # room is left for, so that one bar does not fill the figure
WIDTH, HEIGHT = 5.0, 2.9  # inches, as drawn; the page scales them
BEFORE, NOW = SPLIT_COLOURS["seen"], SPLIT_COLOURS["new"]
FAILED_OR_LIKED = {"refused": "questions refused, %", "liked": "positive ratings, %"}


def plot_shift(name: str, before: Sequence[float], now: Sequence[float], *, label: str) -> str:
    """Return two cumulative shares: of the measured questions, and of the logged ones. Both rising, not empty."""
    with new_axes(f"monitor-{name}", width=WIDTH, height=HEIGHT) as axes:
        for values, colour in ((before, BEFORE), (now, NOW)):
            heights = [100 * (place + 1) / len(values) for place in range(len(values))]
            axes.step([values[0], *values], [0.0, *heights], where="post", color=colour, linewidth=1.8)
        for place, words, colour in ((0.0, "measured", BEFORE), (0.22, "logged", NOW)):
            axes.text(place, 1.03, words, transform=axes.transAxes, color=colour, fontweight="bold")
        axes.set_ylim(0, 101)
        axes.set_xlabel(label)
        axes.set_ylabel("questions up to it, %")
        axes.grid(axis="y", color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        return to_svg(axes, f"monitor-{name}")


def plot_weeks(weeks: Sequence[Week]) -> str:
    """Return bars: questions a week."""
    with new_axes("monitor-weeks", width=WIDTH, height=HEIGHT) as axes:
        axes.bar(range(len(weeks)), [week.n for week in weeks], width=0.8, color=NOW)
        _name_weeks(axes, weeks)
        axes.set_ylabel("questions")
        return to_svg(axes, "monitor-weeks")


def plot_rate(name: str, weeks: Sequence[Week]) -> str:
    """Return the share refused, or rated positive, of each week with Wilson's interval; a week of none has no dot."""
    counts: Callable[[Week], tuple[int, int]] = (
        (lambda week: (week.n_refused, week.n)) if name == "refused" else (lambda week: (week.n_positive, week.n_rated))
    )
    with new_axes(f"monitor-{name}", width=WIDTH, height=HEIGHT) as axes:
        for place, week in enumerate(weeks):
            if (figure := share(*counts(week))) is not None:
                axes.vlines(
                    place, 100 * (figure.low or 0), 100 * (figure.high or 0), color=NOW, linewidth=2.2, alpha=0.55
                )
                axes.plot([place], [100 * figure.value], marker="o", markersize=6, color=NOW, linestyle="none")
        _name_weeks(axes, weeks)
        axes.set_ylim(0, 102)
        axes.set_ylabel(FAILED_OR_LIKED[name])
        return to_svg(axes, f"monitor-{name}")


def _name_weeks(axes: Axes, weeks: Sequence[Week]) -> None:
    step = -(-len(weeks) // 4)  # four dates fit side by side
    axes.set_xticks(range(0, len(weeks), step), [week.monday for week in weeks[::step]], color=INK)
    axes.tick_params(axis="x", labelsize=8, labelcolor=MUTED)
    axes.set_xlim(-0.6, max(len(weeks), FEWEST_WEEKS) - 0.4)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axes.grid(axis="y", color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)
