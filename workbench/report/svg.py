"""matplotlib figures as SVG for inlining: the same bytes for the same figure, colours and font taken from the page.

Figures are drawn with placeholder colours; here they become CSS variables, so one SVG fits light and dark pages.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

INK, MUTED, RULE = "#1b1b1f", "#6f6f78", "#d5d5dc"
ARM_COLOURS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#b07c00",
    "#56b4e9",
    "#7a5cc0",
    "#8a8a30",
)  # Okabe-Ito, mended
SPLIT_COLOURS = {"seen": "#40698c", "new": "#c58a2b"}
VARIABLES = (
    {INK: "currentColor", MUTED: "var(--muted)", RULE: "var(--rule)"}
    | {colour: f"var(--arm-{number})" for number, colour in enumerate(ARM_COLOURS, start=1)}
    | {colour: f"var(--{split})" for split, colour in SPLIT_COLOURS.items()}
)
SETTINGS: dict[Any, Any] = {
    "text.parse_math": False,  # an arm's name may hold a dollar sign
    "svg.fonttype": "none",
    "font.size": 10.0,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
    "axes.linewidth": 0.8,
}


@contextmanager
def new_axes(name: str, *, width: float, height: float) -> Iterator[Axes]:
    """Yield empty axes in inches, only the bottom line drawn. `name` salts the ids, so that figures do not collide."""
    with mpl.rc_context(SETTINGS | {"svg.hashsalt": name}):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.patch.set_visible(False)
        figure.patch.set_visible(False)
        yield axes


def to_svg(axes: Axes, name: str) -> str:
    """Return the inline SVG of the figure that holds `axes`; call it inside `new_axes`. No URL, no date, no size."""
    stream = io.StringIO()
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = stream.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*|<style.*?</style>\s*|<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    head, body = svg.split(">", 1)
    svg = re.sub(r'\s(xmlns(:xlink)?|version|width|height)="[^"]*"', "", head) + ">" + body
    svg = re.sub(r" font-family: [^;\"]*;?", "", svg)  # the page's own font
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # figure_1, axes_1: alike in every figure, and nothing points at them
    for colour, variable in VARIABLES.items():
        svg = re.sub(colour, variable, svg, flags=re.IGNORECASE)
    return svg.strip()
