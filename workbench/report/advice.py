"""The recommendation for the terminal: the answer first, then why, where each arm ended, what would change it."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from workbench.decision import Decision
from workbench.report.answer import crossover_sentences, ordered_standings
from workbench.report.figures import SCORE_NAMES, estimate_text, score_text

WIDTH = 110  # columns


def print_advice(decision: Decision) -> None:
    """Print one screen: the sentence, alarms, reasons, standings, what would change it, cautions."""
    console = Console()
    console = console if console.width >= WIDTH else Console(width=WIDTH)
    advice = decision.recommendation
    console.print(f"\n[bold]{escape(plain(advice.sentence))}[/bold]", highlight=False)
    for alarm in decision.alarms:
        console.print(f"[red]{alarm.severity}[/red]: {escape(alarm.message)}", highlight=False)
    for reason in advice.reasons:
        console.print(f"  - {escape(plain(reason))}", highlight=False)
    console.print(_standings(decision), highlight=False)
    sections = (
        ("What would change it", [flip.sentence for flip in advice.flips]),
        ("Pays for itself", crossover_sentences(decision)),
        ("With care", advice.cautions),
    )
    for title, sentences in sections:
        if sentences:
            console.print(f"[bold]{title}[/bold]")
            for sentence in sentences:
                console.print(f"  - {escape(plain(sentence))}", highlight=False)


def plain(sentence: str) -> str:
    """Return a sentence without its ** marks."""
    return sentence.replace("**", "")


def _standings(decision: Decision) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("arm", no_wrap=True)
    table.add_column(SCORE_NAMES[decision.metric], justify="right", no_wrap=True)
    table.add_column("place", no_wrap=True)
    table.add_column("because")
    for one in ordered_standings(decision):
        score = f"{score_text(decision.metric, one.score.value)} {estimate_text(decision.metric, one.score)}"
        style = "bold" if one.place == "recommended" else "dim" if one.place in ("control", "excluded") else ""
        table.add_row(escape(one.arm), escape(score.rstrip()), one.place, escape(plain(one.reason)), style=style)
    return table
