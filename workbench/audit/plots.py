"""The audit's figures as inline SVG: lengths of prompts and answers, and shares of a whole as bars."""

from __future__ import annotations

from matplotlib.ticker import MaxNLocator

from workbench.audit.lengths import Lengths
from workbench.report.svg import ARM_COLOURS, INK, MUTED, RULE, new_axes, to_svg

WIDTH, HEIGHT = 5.0, 2.7  # inches, as drawn; the page scales them


def plot_lengths(lengths: Lengths, *, learned: bool) -> str:
    """Return a histogram of tokens a row: of the prompt, or of what is learned. A dashed line stands at the limit."""
    counts = lengths.completion_histogram if learned else lengths.prompt_histogram
    last = max((place for place, count in enumerate(counts) if count), default=0) + 1
    width, name = (lengths.completion_bin, "learned") if learned else (lengths.prompt_bin, "read")
    with new_axes(f"audit-{name}", width=WIDTH, height=HEIGHT) as axes:
        colour = ARM_COLOURS[1 if learned else 0]
        axes.bar([width * n for n in range(last)], counts[:last], width=width * 0.92, align="edge", color=colour)
        if lengths.max_tokens < width * last:
            axes.axvline(lengths.max_tokens, color=INK, linewidth=1, linestyle=(0, (4, 3)))
            axes.annotate(
                f"limit {lengths.max_tokens}", (lengths.max_tokens, max(counts)), xytext=(5, 0), color=MUTED,
                textcoords="offset points", va="top",
            )  # fmt: skip
        axes.set_xlim(0, width * last)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        axes.set_xlabel("tokens learned" if learned else "tokens of the prompt")
        axes.set_ylabel("rows")
        axes.grid(axis="y", color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        return to_svg(axes, f"audit-{name}")
