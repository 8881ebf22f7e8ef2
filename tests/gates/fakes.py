"""A generator whose scores and answers are written down: small, honest, the same every time."""

from collections.abc import Callable, Sequence
from pathlib import Path

from workbench.types import Generation, Prompt, StopReason

BASE = "base"


class Chars:
    """A tokenizer with one token a character."""

    end_of_turn_ids = (0,)

    def render(self, messages: Sequence[object]) -> str:
        return "".join(f"<{message}>" for message in messages)

    def encode(self, text: str) -> list[int]:
        return [ord(character) for character in text]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(map(chr, ids))

    def neutralise(self, text: str) -> str:
        return text


class Scripted:
    """Scores and answers come from two functions of (prompt text, adapter or "base")."""

    def __init__(
        self,
        *,
        score: Callable[[str, str, str], float] = lambda _prompt, _text, _who: 0.0,
        answer: Callable[[str, str], tuple[str, StopReason]] = lambda _prompt, _who: ("", StopReason.END),
    ) -> None:
        self._score, self._answer = score, answer

    def load_adapter(self, name: str, folder: Path, *, merge: bool = False) -> None:
        raise NotImplementedError

    def generate(self, prompts: Sequence[Prompt], *, adapter: str | None, max_new_tokens: int) -> list[Generation]:
        answers = [self._answer(read(prompt), adapter or BASE) for prompt in prompts]
        return [
            Generation(text, prompt.token_count, len(text), 0.0, stop)
            for prompt, (text, stop) in zip(prompts, answers, strict=True)
        ]

    def score(self, prompts: Sequence[Prompt], texts: Sequence[str], *, adapter: str | None) -> list[float]:
        return [self._score(read(prompt), text, adapter or BASE) for prompt, text in zip(prompts, texts, strict=True)]


def read(prompt: Prompt) -> str:
    return Chars().decode((*prompt.prefix_ids, *prompt.suffix_ids))


def ask(text: str) -> Prompt:
    return Prompt(messages=(), prefix_ids=(), suffix_ids=tuple(Chars().encode(text)))
