"""A fact → up to 16 forms of it: asked, stated, with a gap, and asked backwards, in differing words and orders.

What injects a fact is many diverse forms, not one many times: Allen-Zhu and Li, https://arxiv.org/abs/2309.14316.
The order is fixed, so that n forms are the first n of n + 1; the wordings of a slot differ from fact to fact.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType

from workbench.config import GeneratorName
from workbench.dataset.cloze import cloze_forms
from workbench.dataset.facts import Fact, Form
from workbench.dataset.questions import question_forms
from workbench.dataset.reversed import reversed_forms
from workbench.dataset.statements import statement_forms

FORM_ORDER = (  # (what makes the form, which of its wordings)
    (GeneratorName.QUESTIONS, 0),
    (GeneratorName.STATEMENTS, 0),
    (GeneratorName.CLOZE, 0),
    (GeneratorName.REVERSED, 0),
    (GeneratorName.QUESTIONS, 1),
    (GeneratorName.STATEMENTS, 1),
    (GeneratorName.CLOZE, 1),
    (GeneratorName.QUESTIONS, 2),
    (GeneratorName.STATEMENTS, 2),
    (GeneratorName.QUESTIONS, 3),
    (GeneratorName.REVERSED, 1),
    (GeneratorName.CLOZE, 2),
    (GeneratorName.STATEMENTS, 3),
    (GeneratorName.QUESTIONS, 4),
    (GeneratorName.STATEMENTS, 4),
    (GeneratorName.CLOZE, 3),
)


Wordings = Callable[[Fact, random.Random], tuple[Form, ...]]
FORM_GENERATORS: Mapping[GeneratorName, Wordings] = MappingProxyType(
    {
        GeneratorName.QUESTIONS: question_forms,
        GeneratorName.STATEMENTS: statement_forms,
        GeneratorName.CLOZE: cloze_forms,
        GeneratorName.REVERSED: reversed_forms,
    }
)


def express(fact: Fact, n: int, generators: Collection[GeneratorName], seed: int) -> tuple[Form, ...]:
    """Return the first `n` forms of a fact that `generators` make; fewer where the order ends before."""
    made = {
        name: wordings(fact, random.Random(f"{seed}:{fact.id}:{name}"))
        for name, wordings in FORM_GENERATORS.items()
        if name in generators
    }
    slots = [(name, place) for name, place in FORM_ORDER if name in made]
    return tuple(made[name][place] for name, place in slots[:n])
