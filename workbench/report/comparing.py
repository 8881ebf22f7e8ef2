"""Two runs side by side for the terminal: whether they may be compared, what differs, and each arm in both."""

from __future__ import annotations

from rich import box
from rich.markup import escape
from rich.table import Table

from workbench.decision import Decision, RunPair
from workbench.report.advice import plain
from workbench.report.figures import SCORE_NAMES, difference_text, interval_text, p_text, score_text
from workbench.report.table import wide_console

MOST_SETTINGS = 20  # lines


def print_pair(pair: RunPair, names: tuple[str, str], decisions: tuple[Decision, Decision]) -> None:
    """Print one screen; `names` are what the user called the two runs."""
    console = wide_console()
    differing = ", ".join(pair.differing) or "nothing"
    console.print("\n[bold]Both asked the same questions: scores may be compared.[/bold]", highlight=False)
    console.print(f"differing: {differing}", highlight=False)
    for caution in pair.cautions:
        console.print(f"  - with care: {escape(caution)}", highlight=False)
    for key, first, second in pair.settings[:MOST_SETTINGS]:
        console.print(f"  - {escape(f'{key}: {first} → {second}')}", highlight=False)
    if len(pair.settings) > MOST_SETTINGS:
        console.print(f"  - and {len(pair.settings) - MOST_SETTINGS} more settings", highlight=False)
    console.print(_changes(pair), highlight=False)
    for name, decision in zip(names, decisions, strict=True):
        console.print(f"{escape(name)}: {escape(plain(decision.recommendation.sentence))}", highlight=False)


def _changes(pair: RunPair) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for column in ("questions", "arm"):
        table.add_column(column, no_wrap=True)
    for column in (f"{SCORE_NAMES[pair.metric]}, first", "second", "second − first", "interval", "p (Holm)", "n"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("the second is", no_wrap=True)
    for change in pair.changes:
        found = change.difference
        table.add_row(
            change.part,
            escape(change.arm),
            *(score_text(pair.metric, score) for score in (change.first, change.second)),
            difference_text(pair.metric, found.value),
            escape(interval_text(pair.metric, {"low": found.low, "high": found.high})),
            p_text(change.p_holm),
            str(change.n),
            change.outcome.value,
        )
    return table
