"""Rows → a file that other trainers read. Questions and passages stand in the layout of the one prompt builder.

Rows of one conversation that continue each other become one conversation again. A format that has no place for a row
(a text in a format of chats) refuses it by name; nothing is left out silently.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from workbench.config import PromptConfig
from workbench.dataset.formats import Format
from workbench.dataset.rendering import messages_of
from workbench.errors import DatasetError
from workbench.rows import DatasetRow, Task
from workbench.types import Message

_BLANK_LINES = re.compile(r"\n[ \t]*\n[ \t]*\n\s*")
_FROM = {"system": "system", "user": "human", "assistant": "gpt"}


@dataclass(frozen=True, slots=True)
class Exchange:
    """A conversation to be written: all its messages, and the places of those that are learned."""

    row_id: str
    messages: tuple[Message, ...]
    learned: frozenset[int]


def export_rows(rows: Iterable[DatasetRow], format_: Format, prompt: PromptConfig) -> str:
    """Return the text of a file in `format_`.

    Raises:
        DatasetError: a row has no place in the format.
    """
    if format_ is Format.TEXT:
        return "\n\n\n".join(_as_text(row, prompt) for row in rows) + "\n"
    records = (WRITERS[format_](exchange) for exchange in _exchanges(rows, format_, prompt))
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def _exchanges(rows: Iterable[DatasetRow], format_: Format, prompt: PromptConfig) -> Iterator[Exchange]:
    """Yield conversations; where the formats can say what is learned, rows that continue one another are joined."""
    open_one: Exchange | None = None
    for row in rows:
        if row.task is Task.TEXT:
            raise DatasetError(
                f"row {row.id} is plain text, which {format_} has no place for; convert --to text, or leave such rows "
                "out: --without-text"
            )
        before = messages_of(row, prompt)
        exchange = Exchange(row.id, (*before, Message("assistant", row.completion)), frozenset({len(before)}))
        if open_one is not None and format_ in (Format.CHAT, Format.SHAREGPT) and _continues(exchange, open_one, row):
            open_one = Exchange(open_one.row_id, exchange.messages, open_one.learned | exchange.learned)
            continue
        if open_one is not None:
            yield open_one
        open_one = exchange
    if open_one is not None:
        yield open_one


def _continues(later: Exchange, earlier: Exchange, row: DatasetRow) -> bool:
    n = len(earlier.messages)
    return row.task is Task.CHAT and len(later.messages) > n and later.messages[:n] == earlier.messages


def _as_chat(exchange: Exchange) -> dict[str, Any]:
    messages = []
    for place, message in enumerate(exchange.messages):
        skipped = {"weight": 0} if message.role == "assistant" and place not in exchange.learned else {}
        messages.append({"role": message.role, "content": message.content} | skipped)
    return {"messages": messages}


def _as_prompt(exchange: Exchange) -> dict[str, Any]:
    """One user turn is a prompt of text; with a system turn, or several turns, both sides are lists of messages."""
    *before, answer = exchange.messages
    if len(before) == 1 and before[0].role == "user":
        return {"prompt": before[0].content, "completion": answer.content}
    turns = [{"role": message.role, "content": message.content} for message in before]
    return {"prompt": turns, "completion": [{"role": answer.role, "content": answer.content}]}


def _as_alpaca(exchange: Exchange) -> dict[str, Any]:
    *before, answer = exchange.messages
    system = before.pop(0).content if before and before[0].role == "system" else ""
    if [message.role for message in before] != [*["user", "assistant"] * (len(before) // 2), "user"]:
        roles = [message.role for message in exchange.messages]
        raise DatasetError(f"row {exchange.row_id} has the turns {roles}, which alpaca has no place for")
    asked = before[-1].content
    record: dict[str, Any] = {"instruction": asked, "input": "", "output": answer.content}
    if system:
        record["system"] = system
    if len(before) > 1:
        record["history"] = [[before[n].content, before[n + 1].content] for n in range(0, len(before) - 1, 2)]
    return record


def _as_sharegpt(exchange: Exchange) -> dict[str, Any]:
    """Other readers of this format learn every answer, so answers that must not be learned carry a weight of 0."""
    turns = []
    for place, message in enumerate(exchange.messages):
        skipped = {"weight": 0} if message.role == "assistant" and place not in exchange.learned else {}
        turns.append({"from": _FROM[message.role], "value": message.content} | skipped)
    return {"conversations": turns}


def _as_text(row: DatasetRow, prompt: PromptConfig) -> str:
    """Everything a row shows and teaches, a blank line between; two blank lines part the rows, so none holds them."""
    parts = [*(message.content for message in messages_of(row, prompt)), row.completion]
    return _BLANK_LINES.sub("\n\n", "\n\n".join(part.strip() for part in parts))


WRITERS: Mapping[Format, Callable[[Exchange], dict[str, Any]]] = MappingProxyType(
    {
        Format.CHAT: _as_chat,
        Format.PROMPT: _as_prompt,
        Format.ALPACA: _as_alpaca,
        Format.SHAREGPT: _as_sharegpt,
    }
)
