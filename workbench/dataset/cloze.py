"""A fact's statement with its value left out, as a question: four wordings."""

from __future__ import annotations

import random

from workbench.config import GeneratorName
from workbench.dataset.facts import Fact, Form
from workbench.dataset.words import upper_first
from workbench.rows import Task

GAP = "____"
_FILLS = ("Fill the gap", "What belongs in the gap", "Which words are left out")


def cloze_forms(fact: Fact, rng: random.Random) -> tuple[Form, ...]:
    """Return four statements with a gap, answered by the value."""
    gapped = f"{fact.before}{GAP}{fact.after}"
    fill = rng.choice(_FILLS)
    open_ended = f"{fact.place}: {upper_first(fact.before.rstrip())} ..." if len(fact.before.split()) >= 3 else None
    texts = (
        ("gap", f"{fill}. {fact.place}: {gapped}"),
        ("titled_gap", f"Complete the sentence from “{fact.source.title}”: {gapped}"),
        ("goes_on", f"{open_ended} How does it go on?" if open_ended else f"{gapped} ({fact.place}). What is missing?"),
        ("stands", f"What stands at {GAP}? {gapped} It is about {fact.source.about}."),
    )
    return tuple(Form(GeneratorName.CLOZE, template, Task.CLOSED_BOOK, text, fact.value) for template, text in texts)
