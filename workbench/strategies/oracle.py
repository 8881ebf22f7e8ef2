"""The ceiling for any retriever: exactly the right passages. A control, never a candidate: it is told the place."""

from __future__ import annotations

from workbench.prompting import PromptBuilder
from workbench.strategies.gold import GoldPassages
from workbench.types import Prompt, Question


class Oracle:
    """Implements `contracts.Strategy`."""

    def __init__(self, gold: GoldPassages, builder: PromptBuilder) -> None:
        self._gold = gold
        self._builder = builder

    def prompt(self, question: Question) -> Prompt:
        """Offer the passages that hold the relevant spans; none for an unanswerable question."""
        return self._builder.build(question.text, self._gold.find(question))
