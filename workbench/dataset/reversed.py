"""A fact asked backwards: from its value to what it is said of, or to where it stands. Two wordings.

Models that learn "A is B" do not learn "B is A" from it: Berglund et al., https://arxiv.org/abs/2309.12288.
"""

from __future__ import annotations

import random

from workbench.config import GeneratorName
from workbench.dataset.facts import Fact, Form
from workbench.rows import Task

_SAYS = (
    "What does “{t}” say about “{v}”?",
    "Where does “{v}” come up in “{t}”?",
    "“{t}” mentions “{v}”: in which sentence?",
)


def reversed_forms(fact: Fact, rng: random.Random) -> tuple[Form, ...]:
    """Return two questions that the value leads into."""
    texts = _relation(fact) if fact.attribute else _sentence(fact, rng)
    return tuple(
        Form(GeneratorName.REVERSED, template, Task.CLOSED_BOOK, question, answer)
        for template, question, answer in texts
    )


def _relation(fact: Fact) -> tuple[tuple[str, str, str], ...]:
    subject = fact.subject.strip("“”")
    place = f" ({fact.source.topic})" if fact.source.topic not in subject else ""
    return (
        ("of_what", f"Of what is “{fact.value}” the {fact.attribute}{place}?", subject),
        ("as_what", f"What is “{fact.value}” for {fact.subject}{place}?", f"the {fact.attribute}"),
    )


def _sentence(fact: Fact, rng: random.Random) -> tuple[tuple[str, str, str], ...]:
    source = fact.source
    heading = source.heading or source.title
    hint = " ".join(fact.before.split()[-3:]) or " ".join(fact.after.split()[:3])
    return (
        ("says", rng.choice(_SAYS).format(t=source.title, v=fact.value), fact.statement),
        ("under", f"Under which heading on {source.topic} does “{hint} {fact.value}” stand?", heading),
    )
