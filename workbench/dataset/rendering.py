"""A row as the messages a model would see: questions and passages in the one layout of `prompting.py`."""

from __future__ import annotations

from workbench.config import PromptConfig
from workbench.prompting import QUESTION_MARK, format_passage
from workbench.rows import DatasetRow, RowPassage, Task
from workbench.types import Chunk, Hit, Message


def messages_of(row: DatasetRow, prompt: PromptConfig) -> tuple[Message, ...]:
    """Return everything before the completion; () for plain text."""
    if row.task is Task.TEXT:
        return ()
    if row.task is Task.CHAT:
        return tuple(Message(turn.role, turn.content) for turn in row.turns)
    passages = "".join(format_passage(to_hit(passage), n) for n, passage in enumerate(row.passages, start=1))
    system = (Message("system", prompt.system),) if prompt.system else ()
    return (*system, Message("user", passages + QUESTION_MARK + row.question.strip()))


def to_hit(passage: RowPassage) -> Hit:
    """Return a passage as the prompt builder takes it: what it shows above the text is `passage.context`."""
    place = f"{passage.document_id}:{passage.start}"
    return Hit(Chunk(place, passage.document_id, passage.start, passage.end, passage.text, header=passage.context), 0.0)
