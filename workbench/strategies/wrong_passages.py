"""Passages that cannot hold the answer: what reading costs when retrieval fails. A control: it is told the place."""

from __future__ import annotations

from workbench.contracts import Finder
from workbench.prompting import PromptBuilder
from workbench.types import Prompt, Question


class WrongPassages:
    """Implements `contracts.Strategy`."""

    def __init__(self, finder: Finder, builder: PromptBuilder, *, depth: int, passages: int) -> None:
        self._finder = finder
        self._builder = builder
        self._depth = depth
        self._passages = passages

    def prompt(self, question: Question) -> Prompt:
        """Offer the best `passages` of documents that hold no relevant span; none may be left."""
        right = {span.document_id for span in question.relevant}
        ranking = self._finder.search(question.text, k=self._depth + self._passages)
        wrong = tuple(hit for hit in ranking if hit.chunk.document_id not in right)
        return self._builder.build(question.text, wrong[: self._passages])
