"""RAG: the best passages a retriever finds, then the question."""

from __future__ import annotations

from dataclasses import replace

from workbench.contracts import Retriever
from workbench.prompting import PromptBuilder
from workbench.types import Prompt, Question


class Rag:
    """Implements `contracts.Strategy`."""

    def __init__(self, retriever: Retriever, builder: PromptBuilder, *, depth: int, passages: int) -> None:
        self._retriever = retriever
        self._builder = builder
        self._depth = depth
        self._passages = passages

    def prompt(self, question: Question) -> Prompt:
        """Search `depth` deep, for the record; offer the best `passages` to the prompt."""
        found = self._retriever.search(question.text, k=self._depth)
        return replace(self._builder.build(question.text, found[: self._passages]), found=found)
