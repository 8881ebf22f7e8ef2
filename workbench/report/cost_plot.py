"""What each arm costs in all, over the number of questions: where two lines cross, the other arm becomes the cheaper.

Not a judgement: build and mean seconds (or money) are the decision's own figures.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from workbench.decision import ArmCosts, Decision
from workbench.report.plots import HEIGHT, WIDTH
from workbench.report.svg import INK, RULE, new_axes, to_svg

QUESTIONS = (1.0, 1e6)  # from, to


def plot_total_cost(decision: Decision, colours: Mapping[str, str]) -> str:
    """Return one panel: questions asked (log) against hours spent, build included (log), a line an arm."""
    with new_axes("total-cost", width=WIDTH * 1.15, height=HEIGHT) as axes:
        volume = np.geomspace(*QUESTIONS, 121)
        ends: list[tuple[float, str]] = []
        for costs in decision.costs:
            hours = (costs.build_seconds + volume * costs.seconds_mean) / 3600
            axes.plot(volume, hours, color=colours.get(costs.arm, INK), linewidth=1.8)
            ends.append((float(hours[-1]), costs.arm))
        for crossover in decision.crossovers:
            if crossover.unit == "seconds" and crossover.questions is not None:
                later = next(costs for costs in decision.costs if costs.arm == crossover.later)
                x = crossover.questions.value
                if QUESTIONS[0] < x < QUESTIONS[1]:
                    axes.plot([x], [_hours(later, x)], marker="o", ms=5, color=INK, markerfacecolor="none")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.xaxis.set_major_locator(LogLocator(numticks=7))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set_xlabel("questions asked (logarithmic)")
        axes.set_ylabel("hours of this machine")
        axes.grid(axis="y", color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        _label_ends(axes, ends, colours)
        return to_svg(axes, "total-cost")


def _hours(costs: ArmCosts, questions: float) -> float:
    return (costs.build_seconds + questions * costs.seconds_mean) / 3600


def _label_ends(axes: object, ends: list[tuple[float, str]], colours: Mapping[str, str]) -> None:
    """Write each arm's name at its line's right end, apart from the others by at least a line's height."""
    from matplotlib.axes import Axes

    assert isinstance(axes, Axes)
    axes.set_xlim(right=QUESTIONS[1])
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.canvas.draw()
    scale = figure.dpi / 72
    taken = -np.inf
    for hours, arm in sorted(ends):
        y = float(axes.transData.transform((QUESTIONS[1], hours))[1]) / scale
        placed = max(y, taken + 11)
        taken = placed
        axes.annotate(
            arm,
            (QUESTIONS[1], hours),
            xytext=(6, placed - y),
            textcoords="offset points",
            va="center",
            color=colours.get(arm, INK),
            annotation_clip=False,
        )
