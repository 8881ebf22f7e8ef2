"""The prior for the terminal: its sentence, the criteria, what is excluded, and the command that measures."""

from __future__ import annotations

from rich import box
from rich.markup import escape
from rich.table import Table

from workbench.expected import Figures, Prior
from workbench.report.advice import plain
from workbench.report.table import wide_console

HOW_OFTEN = 'How often such a prior names the best arm of worlds where it is known: docs/LOG.md, "The prior".'


def print_prior(prior: Prior, figures: Figures, *, config: str) -> None:
    """Print one screen; `config` is the file that `workbench run` takes."""
    console = wide_console()
    console.print(f"\n[bold]{escape(plain(prior.sentence))}[/bold]", highlight=False)
    languages = ", ".join(f"{code} {n}" for code, n in figures.languages.items())
    console.print(
        f"{figures.documents:,} documents, {figures.characters:,} characters ({languages}); "
        f"{figures.train_questions:,} training and {figures.test_questions:,} test questions "
        f"on {figures.documents_asked:,} documents",
        highlight=False,
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for name in ("criterion", "seen", "speaks for", "weight", "because"):
        table.add_column(name, justify="right" if name == "weight" else "left")
    for one in prior.criteria:
        arms = ", ".join(one.arms)
        weight = f"{one.weight:g}" if one.weight else "–"
        table.add_row(one.name, escape(one.figure), arms if one.weight else f"excludes {arms}", weight, one.reason)
    console.print(table, highlight=False)
    for sentence in prior.not_told:
        console.print(f"  - {sentence}", highlight=False)
    console.print(f"  - {HOW_OFTEN}", highlight=False)
    console.print(f"measure it: workbench run {escape(config)}", highlight=False)
