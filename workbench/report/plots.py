"""The report's figures as inline SVG: one small panel each, so that the page can stack them on a narrow screen.

Every interval is the summary's own; nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from matplotlib.transforms import Bbox

from workbench.report.data import Curve
from workbench.report.figures import SCORE_NAMES
from workbench.report.rows import RETRIEVAL_NAMES, Summary, is_control
from workbench.report.svg import ARM_COLOURS, INK, MUTED, RULE, SPLIT_COLOURS, new_axes, to_svg

WIDTH, HEIGHT = 5.0, 3.5  # inches, as drawn; the page scales them
SHORTEST_SECONDS = 1e-4  # a logarithmic axis has no 0


def arm_colours(summary: Summary) -> dict[str, str]:
    """Return each arm's colour, the same in all figures; controls are grey."""
    ranked = [arm for arm in summary["settings"] if not is_control(summary, arm)]
    colours = {arm: ARM_COLOURS[number % len(ARM_COLOURS)] for number, arm in enumerate(ranked)}
    return {arm: colours.get(arm, MUTED) for arm in summary["settings"]}


def plot_quality_against_cost(summary: Summary, split: str) -> str:
    """Return one panel: median seconds a question (log) against the ranked score, with its interval."""
    name, metric = f"cost-{split}", summary["ranked_by"]
    colours = arm_colours(summary)
    with new_axes(name, width=WIDTH, height=HEIGHT) as axes:
        points: dict[str, tuple[float, float]] = {}
        intervals: list[tuple[float, float, float]] = []  # x, low, high: names should not lie on them
        for arm, figures in summary["splits"][split]["arms"].items():
            seconds = summary["costs"].get(arm, {}).get("seconds_p50")
            if seconds is not None and metric in figures:
                x, figure = max(seconds, SHORTEST_SECONDS), figures[metric]
                _draw_interval(axes, x, figure, colours[arm], vertical=True, hollow=is_control(summary, arm))
                points[arm] = (x, 100 * figure["mean"])
                intervals += [(x, 100 * figure["low"], 100 * figure["high"])] if figure["low"] is not None else []
        axes.set_xscale("log")
        axes.margins(x=0.14)
        axes.set_ylim(*_score_limits(summary["splits"][split]["arms"], metric))
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set_xlabel("seconds a question (median, logarithmic)")
        axes.set_ylabel(f"{SCORE_NAMES[metric]}, points")
        axes.grid(axis="y", color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        _label_points(axes, points, intervals, colours)
        return to_svg(axes, name)


def plot_forest(summary: Summary, split: str) -> str:
    """Return one panel: a row an arm, the ranked score as a dot on its interval."""
    name, metric = f"forest-{split}", summary["ranked_by"]
    colours = arm_colours(summary)
    arms = {arm: figures for arm, figures in summary["splits"][split]["arms"].items() if metric in figures}
    with new_axes(name, width=WIDTH, height=0.75 + 0.36 * len(arms)) as axes:
        for row, (arm, figures) in enumerate(arms.items()):
            _draw_interval(axes, row, figures[metric], colours[arm], vertical=False, hollow=is_control(summary, arm))
        axes.set_yticks(range(len(arms)), list(arms), color=INK)
        axes.set_ylim(len(arms) - 0.5, -0.5)
        axes.set_xlim(*_score_limits(arms, metric))
        axes.set_xlabel(f"{SCORE_NAMES[metric]}, points")
        axes.grid(axis="x", color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        return to_svg(axes, name)


def plot_loss(adapter: str, curve: Curve) -> str:
    """Return one adapter's losses in nats a token: the training loss of each step, the held-out loss where measured."""
    name = f"loss-{adapter}"
    with new_axes(name, width=WIDTH, height=HEIGHT * 0.8) as axes:
        steps, held_out = curve.get("steps", ()), curve.get("held_out", ())
        axes.plot([row["step"] for row in steps], [row["loss"] for row in steps], color=MUTED, linewidth=1, alpha=0.8)
        axes.plot([row["step"] for row in held_out], [row["loss"] for row in held_out], color=INK, marker="o", ms=4.5)
        above = bool(steps and held_out) and held_out[-1]["loss"] > steps[-1]["loss"]
        for rows, label, colour in ((steps, "training", MUTED), (held_out, "held out", INK)):
            if rows:
                raised = above if label == "held out" else not above
                axes.annotate(
                    label,
                    (rows[-1]["step"], rows[-1]["loss"]),
                    xytext=(7, 6 if raised else -6),
                    textcoords="offset points",
                    va="center",
                    color=colour,
                    annotation_clip=False,
                )
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        axes.set_xlabel("step")
        axes.set_ylabel("loss, nats a token")
        axes.grid(axis="y", color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        return to_svg(axes, name)


def plot_retrieval(summary: Summary) -> str:
    """Return one panel: every retrieval measure as bars, a bar a split, with intervals."""
    found = {split: part["retrieval"] for split, part in summary["splits"].items() if part["retrieval"]}
    names = list(dict.fromkeys(name for figures in found.values() for name in figures))
    width = 0.64 / max(len(found), 1)
    with new_axes("retrieval", width=WIDTH * 1.2, height=HEIGHT * 0.8) as axes:
        for number, (split, figures) in enumerate(found.items()):
            for place, name in enumerate(names):
                x = place + (number - (len(found) - 1) / 2) * width
                figure = figures[name]
                axes.bar(x, 100 * figure["mean"], width * 0.9, color=SPLIT_COLOURS[split])
                if figure["low"] is not None:
                    axes.vlines(x, 100 * figure["low"], 100 * figure["high"], color=INK, linewidth=1.2)
        axes.set_xticks(range(len(names)), [RETRIEVAL_NAMES.get(name, name) for name in names], color=INK)
        axes.set_ylim(0, 100)
        axes.set_ylabel("points")
        axes.grid(axis="y", color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        return to_svg(axes, "retrieval")


def _draw_interval(
    axes: Axes, place: float, figure: Mapping[str, Any], colour: str, *, vertical: bool, hollow: bool
) -> None:
    """Draw a score in points as a dot on its interval, upright at x = place or lying at y = place."""
    mean = 100 * figure["mean"]
    if figure["low"] is not None:
        draw = axes.vlines if vertical else axes.hlines
        draw(place, 100 * figure["low"], 100 * figure["high"], color=colour, linewidth=2.2, alpha=0.55)
    at = ([place], [mean]) if vertical else ([mean], [place])
    face = "none" if hollow else colour
    axes.plot(*at, marker="o", markersize=7, color=colour, markerfacecolor=face, markeredgewidth=1.6, linestyle="none")


def _score_limits(arms: Mapping[str, Any], metric: str) -> tuple[float, float]:
    """Return axis limits in points from 0 to a little above the highest interval, at most 102."""
    highs = [figures[metric]["high"] or figures[metric]["mean"] for figures in arms.values() if metric in figures]
    return -2.0, min(102.0, 100 * max(highs, default=1.0) + 6)


def _label_points(
    axes: Axes,
    points: Mapping[str, tuple[float, float]],
    intervals: Sequence[tuple[float, float, float]],
    colours: Mapping[str, str],
) -> None:
    """Write each arm's name beside its point, on the side that hides least of the other names and points."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.canvas.draw()  # the layout must stand before places in pixels are known
    scale = figure.dpi / 72
    at = {arm: axes.transData.transform(point) for arm, point in points.items()}
    taken = [Bbox.from_bounds(x - 5 * scale, y - 5 * scale, 10 * scale, 10 * scale) for x, y in at.values()]
    for place, low, high in intervals:
        (left, bottom), (right, top) = axes.transData.transform([(place, low), (place, high)])
        taken.append(Bbox.from_extents(left - 2 * scale, bottom, right + 2 * scale, top))
    for arm, (x, y) in at.items():
        width, height = 6.2 * scale * len(arm), 11 * scale  # DejaVu Sans at 10 points is about 6.2 points a letter
        sides = [(dx, dy, side) for dy in (0, 11, -11, 22, -22) for dx, side in ((9, "left"), (-9, "right"))]
        boxes = [_label_box(x + dx * scale, y + dy * scale, width, height, side) for dx, dy, side in sides]
        costs = [_hidden(box, taken, axes.get_window_extent()) for box in boxes]
        best = costs.index(min(costs))
        dx, dy, side = sides[best]
        taken.append(boxes[best])
        axes.annotate(
            arm, points[arm], xytext=(dx, dy), textcoords="offset points", ha=side, va="center", color=colours[arm]
        )


def _label_box(x: float, y: float, width: float, height: float, side: str) -> Bbox:
    left = {"left": x, "right": x - width, "center": x - width / 2}[side]
    return Bbox.from_bounds(left, y - height / 2, width, height)


def _hidden(box: Bbox, taken: Sequence[Bbox], inside: Bbox) -> float:
    """Return how many square pixels of `box` cover others or stick out of the axes."""
    overlaps = [Bbox.intersection(box, other) for other in taken]
    covered = sum(overlap.width * overlap.height for overlap in overlaps if overlap is not None)
    shown = Bbox.intersection(box, inside)
    return covered + box.width * box.height - (shown.width * shown.height if shown is not None else 0.0)
