"""Rows of a dataset → training rows, through the same prompt builder as the answers; chat and plain text as they stand.

A row that is made from questions at run time is examples.py's; both end in `encode_rows`.
"""

from __future__ import annotations

from collections.abc import Iterable

from workbench.config import PromptConfig
from workbench.contracts import ChatTokenizer
from workbench.prompting import PromptBuilder
from workbench.rows import DatasetRow, RowPassage, Task
from workbench.training.examples import Row, Rows
from workbench.types import Chunk, Hit, Message, Prompt


def build_from_dataset(
    rows: Iterable[DatasetRow], builder: PromptBuilder, tokenizer: ChatTokenizer, config: PromptConfig
) -> Rows:
    """Return a training row for each dataset row; one over the prompt's budget is counted instead.

    A reader row whose passages do not all fit the budget is too long as well: cut, it might teach to answer from
    nothing.
    """
    built = Rows()
    for row in rows:
        match row.task:
            case Task.CLOSED_BOOK | Task.READER:
                hits = tuple(_to_hit(passage, place) for place, passage in enumerate(row.passages))
                built.add(lambda r=row, h=hits: _row(r, builder.build(r.question, h), config))  # type: ignore[misc]
            case Task.CHAT:
                built.made.append(_row(row, _conversation(row, tokenizer)))
            case Task.TEXT:
                built.made.append(_row(row, Prompt((), (), ())))
    n_whole = sum(not made.prompt.cut for made in built.made)
    built.n_too_long += len(built.made) - n_whole
    built.made = [made for made in built.made if not made.prompt.cut]
    return built


def _row(row: DatasetRow, prompt: Prompt, config: PromptConfig | None = None) -> Row:
    return Row(
        row.id,
        prompt,
        row.completion,
        group=row.group or row.id,
        source=row.generator,
        without_gold=config is not None and row.task is Task.READER and row.completion == config.not_found,
        plain=row.task is Task.TEXT,
    )


def _conversation(row: DatasetRow, tokenizer: ChatTokenizer) -> Prompt:
    messages = tuple(Message(turn.role, tokenizer.neutralise(turn.content)) for turn in row.turns)
    return Prompt(messages, (), tuple(tokenizer.encode(tokenizer.render(messages))))


def _to_hit(passage: RowPassage, place: int) -> Hit:
    # The heading lines go where a chunk keeps its table's header: `context` joins both the same way.
    chunk = Chunk(
        f"{passage.document_id}:{passage.start}",
        passage.document_id,
        passage.start,
        passage.end,
        passage.text,
        header=passage.context,
    )
    return Hit(chunk, -float(place))
