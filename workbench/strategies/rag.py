"""RAG: the best passages a retriever finds, then the question."""

from __future__ import annotations

from dataclasses import replace

from workbench.contracts import Finder
from workbench.prompting import PromptBuilder
from workbench.types import Prompt, Question


class Rag:
    """Implements `contracts.Strategy`."""

    def __init__(self, finder: Finder, builder: PromptBuilder, *, depth: int, passages: int) -> None:
        self._finder = finder
        self._builder = builder
        self._depth = depth
        self._passages = passages

    def prompt(self, question: Question) -> Prompt:
        """Search `depth` deep, for the record; offer the best `passages` to the prompt.

        Where they are not enough to answer from, the prompt says so, and its hits are the nearest evidence.
        """
        found = self._finder.find(question.text, k=self._depth)
        prompt = self._builder.build(question.text, found.ranking[: self._passages])
        return replace(prompt, found=found.ranking, refused=not found.answerable)
