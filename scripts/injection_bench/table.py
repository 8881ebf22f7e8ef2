"""What each arm says of facts in a wording it was not trained in, and whether more forms say more."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise

from injection_bench.experiment import TEXT
from workbench.bench import Bench

SHOWN = ("exact_match", "contains", "f1", "gold_logprob")


def print_table(bench: Bench) -> None:
    """Print a line an arm, with intervals, the ratio to the text's F1, and whether log-probability and F1 rise."""
    summary = json.loads((bench.run_folder.folder / "summary.json").read_text(encoding="utf-8"))
    arms = summary["splits"]["seen"]["arms"]
    text = arms[TEXT]["f1"]["mean"]
    print(f"{'arm':10} " + " ".join(f"{name:>24}" for name in SHOWN) + "   F1 over the text's")
    for name, figures in arms.items():
        cells = " ".join(f"{_cell(figures[metric]):>24}" for metric in SHOWN)
        print(f"{name:10} {cells}   {figures['f1']['mean'] / text if text else float('inf'):.1f}")
    for metric in ("f1", "gold_logprob"):
        print(f"{metric}: {tell_trend([arms[name][metric]['mean'] for name in sorted(arms) if name != TEXT])}")


def tell_trend(values: Sequence[float]) -> str:
    """Return whether figures rise from the base over more and more forms; equal ones do not rise."""
    steps = [later - earlier for earlier, later in pairwise(values)]
    if all(step > 0 for step in steps):
        return "rises with every step"
    return "never falls, but does not rise with every step" if min(steps) >= 0 else "falls somewhere"


def _cell(figure: dict[str, float]) -> str:
    return f"{figure['mean']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]"
