"""A generator that answers from a table: for tests and demonstrations of the pipeline. It holds no model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from workbench.types import Generation, Prompt, StopReason


class ScriptedGenerator:
    """Implements `contracts.Generator` with a function of (prompt, adapter)."""

    def __init__(self, answer: Callable[[Prompt, str | None], str]) -> None:
        self._answer = answer
        self.calls: list[tuple[int, str | None]] = []  # (prompts in the batch, adapter)

    def load_adapter(self, name: str, folder: Path, *, merge: bool = False) -> None:
        """Accept any adapter: the script knows them by name."""

    def generate(self, prompts: Sequence[Prompt], *, adapter: str | None, max_new_tokens: int) -> list[Generation]:
        """Answer each prompt by the script, cut to `max_new_tokens` words."""
        self.calls.append((len(prompts), adapter))
        texts = [self._answer(prompt, adapter).split()[:max_new_tokens] for prompt in prompts]
        return [
            Generation(" ".join(words), prompt.token_count, len(words), 0.0, StopReason.END)
            for prompt, words in zip(prompts, texts, strict=True)
        ]

    def score(self, prompts: Sequence[Prompt], texts: Sequence[str], *, adapter: str | None) -> list[float]:
        """Return 0 where the script gives exactly the text, -1 elsewhere."""
        return [
            0.0 if self._answer(prompt, adapter) == text else -1.0 for prompt, text in zip(prompts, texts, strict=True)
        ]
