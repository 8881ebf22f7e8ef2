"""A fact asked for: five wordings, answered in the document's own words. The evaluation's format."""

from __future__ import annotations

import random
from collections.abc import Mapping
from types import MappingProxyType

from workbench.config import GeneratorName
from workbench.dataset.facts import Fact, Form
from workbench.dataset.words import content_words, upper_first
from workbench.rows import Task

# What people ask instead of "What is the price of ...?"; {s} is the subject.
USUAL: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "price": ("What does {s} cost?", "How much is {s}?", "What is charged for {s}?"),
        "cost": ("What does {s} cost?", "How much is {s}?", "What is charged for {s}?"),
        "meaning": ("What does {s} mean?", "What is meant by {s}?", "What does {s} stand for?"),
        "remedy": ("What helps against {s}?", "What is to be done about {s}?", "How is {s} remedied?"),
        "first action": ("What is to be done first about {s}?", "What comes first with {s}?", "First step on {s}?"),
        "owner": ("Who owns {s}?", "To whom does {s} belong?", "Whose is {s}?"),
        "weight": ("How much does {s} weigh?", "How heavy is {s}?", "What is the mass of {s}?"),
        "warranty": (
            "How long is {s} under warranty?",
            "For how long is {s} covered?",
            "How long does the warranty on {s} last?",
        ),
    }
)
_LEADS = ("On {a}: ", "For {a}: ", "About {a}: ", "Concerning {a}: ")
_ASKS = ("Please tell me", "Do you know", "I want to know", "Can you tell me", "Tell me")


def question_forms(fact: Fact, rng: random.Random) -> tuple[Form, ...]:
    """Return five questions for the value."""
    texts = _relation(fact, rng) if fact.attribute else _sentence(fact, rng)
    return tuple(
        Form(GeneratorName.QUESTIONS, template, Task.CLOSED_BOOK, _marked(text), fact.value) for template, text in texts
    )


def _relation(fact: Fact, rng: random.Random) -> list[tuple[str, str]]:
    s, a, about = fact.subject, fact.attribute, fact.source.about
    on = "" if fact.source.topic in s else f" ({fact.place})"
    lead = "" if not on else rng.choice(_LEADS).format(a=about)
    common = (f"Which {a} does {s} have?", f"What is given as the {a} of {s}?", f"{upper_first(s)}: which {a}?")
    usual = [wording.format(s=s) for wording in USUAL[a]] if a in USUAL else list(common)
    rng.shuffle(usual)
    first = f"Which {a} belongs to {s}{on}?" if s.startswith("“") else f"What is the {a} of {s}{on}?"
    return [
        ("what_is", first),
        ("usual", f"{usual[0].removesuffix('?')}{on}?"),
        ("led", upper_first(f"{lead}{usual[1]}")),
        ("please", f"{rng.choice(_ASKS)} the {a} of {s}{on}?"),
        ("keywords", f"{usual[2].removesuffix('?')}, {fact.source.topic}?" if on else usual[2]),
    ]


def _sentence(fact: Fact, rng: random.Random) -> list[tuple[str, str]]:
    if fact.asked is None:
        raise ValueError(f"fact {fact.id} is a sentence that was not asked")
    asked, about = fact.asked, fact.source.about
    named = fact.source.topic in asked.in_place
    on = "" if named else f" ({fact.place})"
    lead = rng.choice(_LEADS).format(a=about)
    direct = asked.direct or f"{asked.in_place}?"
    keywords = " ".join(dict.fromkeys(content_words(f"{fact.before} {fact.after}")))
    return [
        ("direct" if asked.direct else "in_place", f"{direct.removesuffix('?')}{on}?"),
        ("indirect", f"{rng.choice(_ASKS)} {asked.indirect}{on}?"),
        ("keywords", f"{fact.place}: {keywords}: {asked.wh}?"),
        ("led", f"{lead}{asked.in_place}?"),
        ("titled", f"According to “{fact.source.title}”, {asked.indirect}?"),
    ]


def _marked(text: str) -> str:
    """End a question with one mark."""
    return text.rstrip("?. ") + "?"
