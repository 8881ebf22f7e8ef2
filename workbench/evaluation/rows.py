"""JSON lines to questions: the project's own format, and chat conversations as OpenAI fine-tuning takes them.

Not the sniffing and not the checks across lines (`questions.py`).
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from workbench.evaluation.faults import Faults, read_json_lines
from workbench.runs import fingerprint
from workbench.types import Question

PlacedQuestion = tuple[int, Question]  # the line it stands on, counted from 1
CHAT_FIELDS = {"id", "split", "kind", "group", "relevant"}  # may stand beside `messages`


def read_project_lines(text: str, faults: Faults) -> list[PlacedQuestion]:
    """Read one `Question` a line; blank lines are skipped, faulty ones noted in `faults`."""
    return [
        (line, question)
        for line, record in read_json_lines(text, faults)
        if (question := validate_question(record, line, faults)) is not None
    ]


def read_chat_lines(text: str, faults: Faults) -> list[PlacedQuestion]:
    """Read one conversation a line: its last user turn is the question, the assistant turn after it the answer."""
    placed = []
    for line, record in read_json_lines(text, faults):
        unknown = record.keys() - CHAT_FIELDS - {"messages"}
        for field in sorted(unknown):
            faults.add(line, field, f"unknown field; beside `messages` there may be {', '.join(sorted(CHAT_FIELDS))}")
        turns = _turns(record.get("messages"), line, faults)
        if turns is None or unknown:
            continue
        given = {key: value for key, value in record.items() if key in CHAT_FIELDS}
        question = validate_question(with_id({"text": turns[0], "answers": [turns[1]]} | given), line, faults)
        if question is not None:
            placed.append((line, question))
    return placed


def with_id(record: dict[str, Any]) -> dict[str, Any]:
    """Give a record without an id one made from its content, so that it keeps it when the file is reordered."""
    return record if record.get("id") else record | {"id": "q-" + fingerprint(record["text"], record["answers"])[:12]}


def validate_question(record: dict[str, Any], line: int, faults: Faults) -> Question | None:
    """Return the question, or None after noting what is wrong with it."""
    try:
        return Question.model_validate(record)
    except ValidationError as error:
        faults.add_invalid(line, error)
        return None


def _turns(messages: object, line: int, faults: Faults) -> tuple[str, str] | None:
    """Return (question, answer) of a conversation, or None after noting why there is none."""
    if not isinstance(messages, list) or not all(isinstance(turn, dict) for turn in messages):
        faults.add(line, "messages", "must be a list of turns with `role` and `content`")
        return None
    roles = [turn.get("role") for turn in messages]
    if "user" not in roles:
        faults.add(line, "messages", f"has no user turn; roles are {roles}")
        return None
    asked = len(roles) - 1 - roles[::-1].index("user")
    if "assistant" not in roles[asked:]:
        faults.add(line, "messages", "has no assistant turn after its last user turn")
        return None
    answered = len(roles) - 1 - roles[::-1].index("assistant")
    contents = [messages[turn].get("content") for turn in (asked, answered)]
    for turn, content in zip((asked, answered), contents, strict=True):
        if not isinstance(content, str) or not content.strip():
            faults.add(line, f"messages[{turn}].content", "must be a text that is not blank")
            return None
    return str(contents[0]), str(contents[1])
