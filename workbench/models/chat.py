"""A Transformers tokenizer behind the `ChatTokenizer` socket: render a conversation, encode it, know where a turn ends.

Not a prompt builder (prompting.py). `encode` reads control tokens written in a text as such: pass what users and
documents wrote through `neutralise` first.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING

from jinja2 import TemplateError

from workbench.errors import ModelIntegrityError
from workbench.types import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Some templates write today's date into the system turn. Runs are compared byte for byte, so time stands still.
TEMPLATE_DATE = date(2024, 7, 26)
DATE_CALL = re.compile(r"""strftime_now\(\s*(?P<quote>["'])(?P<format>[^"'\n]*)(?P=quote)\s*\)""")
PROBE = "reply"


class HfChatTokenizer:
    """The generator's tokenizer and chat template."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, name: str) -> None:
        """Raises ModelIntegrityError when the model has no chat template: it was not trained to take turns."""
        if not isinstance(tokenizer.chat_template, str):
            raise ModelIntegrityError(
                f"{name} has no single chat template, so how it takes turns is unknown; "
                "take an instruction-tuned model, or put a chat_template.jinja into its folder"
            )
        self._tokenizer = tokenizer
        self._template = tokenizer.chat_template
        self._name = name

    def render(self, messages: Sequence[Message]) -> str:
        """Return the chat template's text, ready for the model's turn.

        Raises:
            ModelIntegrityError: the template refuses these roles.
        """
        return self._apply(messages, add_generation_prompt=True)

    def encode(self, text: str) -> list[int]:
        """Return token ids; control tokens written in `text` are recognised, none are added."""
        return list(self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def neutralise(self, text: str) -> str:
        """Return `text` with a space inside every control token, so that `encode` reads it as plain characters."""
        return self._control.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)

    @cached_property
    def _control(self) -> re.Pattern[str]:
        tokens = {token.content for token in self._tokenizer.added_tokens_decoder.values() if token.special}
        tokens |= set(self._tokenizer.all_special_tokens)
        return re.compile("|".join(re.escape(token) for token in sorted(tokens, key=len, reverse=True)))

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of token ids, control tokens left out."""
        text = self._tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        assert isinstance(text, str)
        return text

    @cached_property
    def end_of_turn_ids(self) -> tuple[int, ...]:
        """The tokens the template writes right after the model's words, up to its first control token.

        Raises:
            ModelIntegrityError: no control token follows, so generation could not know when to stop.
        """
        turns = [Message("user", "hello"), Message("assistant", PROBE)]
        text = self._apply(turns, add_generation_prompt=False)
        ids = self.encode(text[text.rindex(PROBE) + len(PROBE) :])
        special = set(self._tokenizer.all_special_ids)
        special |= {number for number, token in self._tokenizer.added_tokens_decoder.items() if token.special}
        for position, number in enumerate(ids):
            if number in special:
                return tuple(ids[: position + 1])
        raise ModelIntegrityError(f"{self._name}: its chat template writes no control token after the model's turn")

    @cached_property
    def newline_ids(self) -> frozenset[int]:
        """The tokens whose text holds a line break."""
        return frozenset(number for number in range(len(self._tokenizer)) if "\n" in self.decode([number]))

    @property
    def template(self) -> str:
        """The chat template as the model brings it (Jinja)."""
        return self._template

    @cached_property
    def template_hash(self) -> str:
        """SHA-256 (hex) of the chat template and the special tokens. An adapter is bound to it."""
        tokens = {role: str(token) for role, token in self._tokenizer.special_tokens_map.items()}
        return hashlib.sha256(json.dumps([self._template, tokens], sort_keys=True).encode()).hexdigest()

    def _apply(self, messages: Sequence[Message], *, add_generation_prompt: bool) -> str:
        try:
            text = self._tokenizer.apply_chat_template(
                [message._asdict() for message in messages],
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
                chat_template=_freeze_date(self._template),
            )
        except (TemplateError, TypeError, ValueError, LookupError, ArithmeticError, RecursionError) as error:
            roles = ", ".join(message.role for message in messages)
            raise ModelIntegrityError(f"{self._name}: its chat template refuses the roles {roles}: {error}") from error
        assert isinstance(text, str)
        return text


def _freeze_date(template: str) -> str:
    return DATE_CALL.sub(lambda call: repr(TEMPLATE_DATE.strftime(call["format"])), template)
