"""Question + hits → Prompt inside a token budget; reads the [n] citations back. The only place that builds prompts.

Layout, for every arm, in training and in answering: system text, worked examples if the arm has any, the numbered
passages, then the question. Everything
before the question is the prefix: it does not depend on the question's words, so its keys and values can be shared.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from workbench.config import PromptConfig
from workbench.contracts import ChatTokenizer
from workbench.errors import PromptBudgetError
from workbench.types import Citation, Hit, Message, Prompt, Ranking

QUESTION_MARK = "Question: "
CITATION = re.compile(r"\[(\d{1,3})\]")


class PromptBuilder:
    """Builds prompts for one generator."""

    def __init__(
        self, tokenizer: ChatTokenizer, config: PromptConfig, *, shots: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Build prompts for one generator; `shots` are (question, answer) pairs that stand before every question."""
        self._tokenizer = tokenizer
        self._config = config
        self._shots = [
            message
            for question, answer in shots
            for message in (
                Message("user", QUESTION_MARK + tokenizer.neutralise(question.strip())),
                Message("assistant", tokenizer.neutralise(answer)),
            )
        ]

    def build(self, question: str, hits: Ranking = ()) -> Prompt:
        """Return the prompt with as many of `hits` as fit, best first; no passage is ever shortened.

        The n-th of them is [n] wherever `order` puts it.

        Raises:
            PromptBudgetError: the question does not fit even without passages, or the chat template altered it.
        """
        for n_fitting in range(len(hits), -1, -1):
            prompt = self._build(question, hits[:n_fitting], hits[n_fitting:])
            if prompt.token_count <= self._config.max_tokens:
                return prompt
        raise PromptBudgetError(
            f"the question {question[:60]!r} alone takes {prompt.token_count} tokens, the budget is "
            f"{self._config.max_tokens}; raise prompt.max_tokens"
        )

    def chat(self, messages: Sequence[Message]) -> Prompt:
        """Return a conversation as it was written: no system text, mark or example of ours, and no budget.

        What stands before the last message is the prefix, where cutting there leaves the tokens as they are.

        Raises:
            ModelIntegrityError: the chat template refuses these roles.
        """
        plain = tuple(Message(role, self._tokenizer.neutralise(content)) for role, content in messages)
        rendered = self._tokenizer.render(plain)
        ids = self._tokenizer.encode(rendered)
        prefix = self._tokenizer.encode(rendered[: rendered.rfind(plain[-1].content)])
        n_prefix = len(prefix) if ids[: len(prefix)] == prefix and len(prefix) < len(ids) else 0
        return Prompt(messages=plain, prefix_ids=tuple(ids[:n_prefix]), suffix_ids=tuple(ids[n_prefix:]))

    def _build(self, question: str, hits: Ranking, cut: Ranking) -> Prompt:
        asked = QUESTION_MARK + self._tokenizer.neutralise(question.strip())
        numbered = [format_passage(hit, number) for number, hit in enumerate(hits, start=1)]
        passages = "".join(reversed(numbered) if self._config.order == "best_last" else numbered)
        messages = (
            *([Message("system", self._config.system)] if self._config.system else []),
            *self._shots,
            Message("user", self._tokenizer.neutralise(passages) + asked),
        )
        rendered = self._tokenizer.render(messages)
        boundary = rendered.rfind(asked)
        if boundary < 0:
            raise PromptBudgetError(f"the model's chat template alters the question {question[:60]!r}")
        # The two parts are encoded apart, so that no token reaches over the boundary and the prefix is the same for all
        # questions. Training encodes them the same way, so both see the same ids.
        return Prompt(
            messages=messages,
            prefix_ids=tuple(self._tokenizer.encode(rendered[:boundary])),
            suffix_ids=tuple(self._tokenizer.encode(rendered[boundary:])),
            hits=hits,
            cut=cut,
        )


def format_passage(hit: Hit, number: int) -> str:
    """Return one passage as the model reads it: its number, where it stands, its text."""
    heading = f"[{number}] {hit.chunk.context}".rstrip()
    return f"{heading}\n{hit.chunk.text.strip()}\n\n"


def read_citations(answer: str, hits: Sequence[Hit]) -> tuple[Citation, ...]:
    """Return the passages that `answer` cites as [n], each once, in order of mention; unknown numbers are dropped."""
    numbers = dict.fromkeys(int(match) for match in CITATION.findall(answer))
    return tuple(
        Citation(
            number=number,
            document_id=hits[number - 1].chunk.document_id,
            start=hits[number - 1].chunk.start,
            end=hits[number - 1].chunk.end,
        )
        for number in numbers
        if 1 <= number <= len(hits)
    )
