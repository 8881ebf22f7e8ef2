"""Closed book: the question alone. What the model knows, or what an adapter stored, is all there is."""

from __future__ import annotations

from workbench.prompting import PromptBuilder
from workbench.types import Prompt, Question


class ClosedBook:
    """Implements `contracts.Strategy`."""

    def __init__(self, builder: PromptBuilder) -> None:
        self._builder = builder

    def prompt(self, question: Question) -> Prompt:
        """Build a prompt without passages."""
        return self._builder.build(question.text)
