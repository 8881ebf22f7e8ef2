"""Files of training rows → rows. Every fault with file, line and field; a file with one gives no rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from workbench.dataset.formats import Format, Record, read_file, read_records, tell_format
from workbench.errors import DatasetError
from workbench.evaluation.faults import Faults
from workbench.rows import DatasetRow, Task, Turn
from workbench.runs import fingerprint

Role = Literal["system", "user", "assistant"]
IMPORTED = "import"
ROLES: Mapping[str, Role] = MappingProxyType(
    {
        "system": "system",
        "developer": "system",
        "user": "user",
        "human": "user",
        "assistant": "assistant",
        "gpt": "assistant",
        "model": "assistant",
        "bot": "assistant",
    }
)
_BETWEEN_TEXTS = re.compile(r"\n[ \t]*\n[ \t]*\n\s*")
Conversation = tuple[list[Turn], set[int]]  # its turns, and the places of those that are learned


def read_rows(path: Path) -> list[DatasetRow]:
    """Read a file of any of the formats in `formats.py`, in its order.

    Raises:
        DatasetError: the format is none of them, or records are malformed: up to ten faults, one a line.
    """
    text = read_file(path)
    format_ = tell_format(text, path)
    if format_ is Format.TEXT:
        texts = [part.strip() for part in _BETWEEN_TEXTS.split(text) if part.strip()]
        return _named([DatasetRow(id="-", task=Task.TEXT, completion=part, generator=IMPORTED) for part in texts])
    faults = Faults(path, DatasetError)
    rows: list[DatasetRow] = []
    for line, record in read_records(text, faults):
        conversation = READERS[format_]((line, record), faults)
        if conversation is not None:
            rows += _learned(conversation, format_)
    faults.refuse()
    if not rows:
        raise DatasetError(f"{path.name} holds no row of format {format_}")
    return _named(rows)


def _learned(conversation: Conversation, format_: Format) -> Iterator[DatasetRow]:
    """Yield one row for each turn that is learned, with all before it."""
    turns, learned = conversation
    group = fingerprint([turn.model_dump() for turn in turns])[:16]
    for place in sorted(learned):
        yield DatasetRow(
            id="-",
            task=Task.CHAT,
            turns=tuple(turns[:place]),
            completion=turns[place].content,
            generator=IMPORTED,
            template=format_.value,
            group=f"conversation-{group}",
        )


def _named(rows: list[DatasetRow]) -> list[DatasetRow]:
    """Give each row an id made from its content; equal rows are told apart by a number."""
    seen: Counter[str] = Counter()
    named = []
    for row in rows:
        name = fingerprint([turn.model_dump() for turn in row.turns], row.completion)[:16]
        seen[name] += 1
        suffix = f"-{seen[name]}" if seen[name] > 1 else ""
        named.append(row.model_copy(update={"id": f"{IMPORTED}-{name}{suffix}"}))
    return named


def _read_chat(placed: Record, faults: Faults) -> Conversation | None:
    return _read_turns(placed, faults, "messages", ("role", "content"))


def _read_sharegpt(placed: Record, faults: Faults) -> Conversation | None:
    conversation = _read_turns(placed, faults, "conversations", ("from", "value"))
    line, record = placed
    system = record.get("system")
    if conversation is None or not system:
        return conversation
    if not isinstance(system, str):
        faults.add(line, "system", f"is a {type(system).__name__}, not a text")
        return None
    turns, learned = conversation
    return [Turn(role="system", content=system), *turns], {place + 1 for place in learned}


def _read_prompt(placed: Record, faults: Faults) -> Conversation | None:
    """A prompt of text is one user turn; lists of messages are turns, of which the completion's are learned."""
    line, record = placed
    prompt, completion = record.get("prompt"), record.get("completion")
    turns = _as_turns(prompt, "user", line, "prompt", faults)
    answers = _as_turns(completion, "assistant", line, "completion", faults)
    if turns is None or answers is None:
        return None
    return [*turns, *answers], {place + len(turns) for place, turn in enumerate(answers) if turn.role == "assistant"}


def _read_alpaca(placed: Record, faults: Faults) -> Conversation | None:
    line, record = placed
    fields = {name: record.get(name, "") or "" for name in ("instruction", "input", "output", "system")}
    for name, value in fields.items():
        if not isinstance(value, str):
            faults.add(line, name, f"is a {type(value).__name__}, not a text")
            return None
    for name in ("instruction", "output"):
        if not fields[name].strip():
            faults.add(line, name, "is missing or blank")
            return None
    asked = f"{fields['instruction']}\n\n{fields['input']}" if fields["input"] else fields["instruction"]
    turns = [Turn(role="system", content=fields["system"])] if fields["system"] else []
    for number, pair in enumerate(record.get("history") or []):
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair)):
            faults.add(line, f"history[{number}]", "must be a pair of texts: what was asked, what was answered")
            return None
        turns += [Turn(role="user", content=pair[0]), Turn(role="assistant", content=pair[1])]
    turns += [Turn(role="user", content=asked), Turn(role="assistant", content=fields["output"])]
    return turns, {len(turns) - 1}


def _read_turns(placed: Record, faults: Faults, field: str, keys: tuple[str, str]) -> Conversation | None:
    """Return turns of a list of {role, content}; assistant turns are learned unless their `weight` is 0."""
    line, record = placed
    listed = record.get(field)
    if not isinstance(listed, list) or not listed:
        faults.add(line, field, "must be a list of turns, not empty")
        return None
    turns: list[Turn] = []
    learned: set[int] = set()
    for number, item in enumerate(listed):
        turn = _turn(item, line, f"{field}[{number}]", keys, faults)
        if turn is None:
            return None
        if turn.role == "assistant" and turns and item.get("weight", 1) != 0:
            learned.add(number)
        turns.append(turn)
    if not learned:
        faults.add(line, field, "has no assistant turn to learn behind another turn")
        return None
    return turns, learned


def _turn(item: Any, line: int, field: str, keys: tuple[str, str], faults: Faults) -> Turn | None:
    if not isinstance(item, dict):
        faults.add(line, field, f"is a {type(item).__name__}, not a turn with `{keys[0]}` and `{keys[1]}`")
        return None
    role, content = (item.get(key) for key in keys)
    if not isinstance(role, str) or role not in ROLES:
        faults.add(line, f"{field}.{keys[0]}", f"is {role!r}; known are {', '.join(ROLES)}")
        return None
    if not isinstance(content, str) or not content.strip():
        faults.add(line, f"{field}.{keys[1]}", "must be a text that is not blank")
        return None
    return Turn(role=ROLES[role], content=content)


def _as_turns(value: Any, role: Role, line: int, field: str, faults: Faults) -> list[Turn] | None:
    if isinstance(value, str) and value.strip():
        return [Turn(role=role, content=value)]
    if not isinstance(value, list) or not value:
        faults.add(line, field, "must be a text that is not blank, or a list of messages")
        return None
    turns = [_turn(item, line, f"{field}[{n}]", ("role", "content"), faults) for n, item in enumerate(value)]
    return [turn for turn in turns if turn] if all(turns) else None


READERS: Mapping[Format, Callable[[Record, Faults], Conversation | None]] = MappingProxyType(
    {
        Format.CHAT: _read_chat,
        Format.SHAREGPT: _read_sharegpt,
        Format.PROMPT: _read_prompt,
        Format.ALPACA: _read_alpaca,
    }
)
