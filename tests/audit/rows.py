"""Dataset rows for the audit's tests: short constructors, and a clean set with nothing wrong in it."""

from typing import Any

from workbench.rows import DatasetRow, RowPassage, Task, Turn
from workbench.types import Span


def closed(id_: str, question: str, answer: str, **fields: Any) -> DatasetRow:
    given = {"generator": "hand", "group": f"{id_}.md"} | fields
    return DatasetRow(id=id_, task=Task.CLOSED_BOOK, question=question, completion=answer, **given)


def reader(id_: str, question: str, passages: list[str], answer: str, **fields: Any) -> DatasetRow:
    shown = tuple(RowPassage(document_id=f"d{n}", start=0, end=len(t), text=t) for n, t in enumerate(passages))
    given = {"generator": "hand", "group": f"{id_}.md"} | fields
    return DatasetRow(id=id_, task=Task.READER, question=question, passages=shown, completion=answer, **given)


def chat(id_: str, asked: str, answer: str, **fields: Any) -> DatasetRow:
    turns = (Turn(role="user", content=asked),)
    return DatasetRow(id=id_, task=Task.CHAT, turns=turns, completion=answer, **({"generator": "hand"} | fields))


def text(id_: str, content: str, **fields: Any) -> DatasetRow:
    return DatasetRow(id=id_, task=Task.TEXT, completion=content, **({"generator": "hand"} | fields))


def span(document_id: str, start: int = 0, end: int = 10) -> Span:
    return Span(document_id=document_id, start=start, end=end)
