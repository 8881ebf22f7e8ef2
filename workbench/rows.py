"""The rows of training datasets as they cross the disk. Nouns like those of `types`; nothing here computes."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field, model_validator

from workbench.types import Frozen, Span, Split


class Task(StrEnum):
    """How a row becomes tokens: through the prompt builder as a question, or as it stands."""

    CLOSED_BOOK = "closed_book"  # question → answer
    READER = "reader"  # question + passages → answer
    CHAT = "chat"  # turns → the model's next turn, through the chat template alone
    TEXT = "text"  # plain text: every token but the first carries loss


class Turn(Frozen):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class RowPassage(Frozen):
    """A passage that a reader row shows: a span of a document, and the lines the prompt puts above it."""

    document_id: str
    start: int
    end: int
    text: str
    context: str = ""  # heading path and table header, as `Chunk.context`


class DatasetRow(Frozen):
    """One row of a training dataset, with where it came from. Rows of one `group` never straddle train and dev."""

    id: str = Field(min_length=1)
    task: Task
    question: str = ""  # closed_book and reader; empty otherwise
    passages: tuple[RowPassage, ...] = ()  # reader: in the order shown
    turns: tuple[Turn, ...] = ()  # chat: everything before the turn that is learned
    completion: str = Field(min_length=1)  # what is learned: the answer, the model's turn, or the text
    generator: str  # what made the row: a generator's name, `import` or `writer`
    template: str = ""  # which of the generator's forms
    seed: int = 0
    sources: tuple[Span, ...] = ()  # the spans of documents that it states or asks about
    fact: str = ""  # rows with equal `fact` are forms of one fact; empty: none
    group: str = ""  # what is split by: the document it came from; empty: the row itself
    split: Literal[Split.TRAIN, Split.DEV] = Split.TRAIN

    @model_validator(mode="after")
    def _has_what_its_task_needs(self) -> DatasetRow:
        asks = self.task in (Task.CLOSED_BOOK, Task.READER)
        for name, wanted in (("question", asks), ("turns", self.task is Task.CHAT)):
            if bool(getattr(self, name)) is not wanted:
                raise ValueError(f"a {self.task} row {'needs' if wanted else 'has no'} `{name}`")
        if self.passages and self.task is not Task.READER:
            raise ValueError(f"a {self.task} row has no `passages`")
        return self
