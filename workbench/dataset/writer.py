"""A local model writes questions on passages, as JSON that is checked; what it writes else is refused and counted.

The answers are the passage's own words, so each row has its source.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from workbench.config import WriterConfig
from workbench.contracts import Generator
from workbench.dataset.workshop import Workshop
from workbench.errors import PromptBudgetError
from workbench.prompting import PromptBuilder
from workbench.rows import DatasetRow, Task
from workbench.types import Chunk, Hit, Prompt, Span

WRITER = "writer"  # the generator's name in rows and counts
ASKED = (
    "Write {n} questions that the passage answers. Each answer is copied from the passage, word for word, and short. "
    'Reply with JSON alone, on one line: [{{"question": "...?", "answer": "..."}}]'
)
MAX_ANSWER_WORDS = 20


class Reject(StrEnum):
    """Why a reply, or one pair of it, was refused."""

    NOT_JSON = "not_json"  # cut off, or no JSON
    WRONG_SHAPE = "wrong_shape"  # JSON, but not a list of pairs of texts
    NO_QUESTION = "no_question"  # does not end with a question mark
    NOT_VERBATIM = "not_verbatim"  # the answer does not stand in the passage
    GIVEN_AWAY = "given_away"  # the question holds its answer
    TOO_LONG = "too_long"  # an answer of more than MAX_ANSWER_WORDS words


class Pair(BaseModel):
    """One question with its answer, as the model has to write it."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, strict=True)

    question: str = Field(min_length=8, max_length=300)
    answer: str = Field(min_length=1, max_length=300)


REPLY = TypeAdapter(list[Pair])


@dataclass(slots=True)
class Written:
    """The rows of a model, and what was refused of what it wrote."""

    rows: list[DatasetRow] = field(default_factory=list)
    rejects: Counter[str] = field(default_factory=Counter)


def write_rows(
    shop: Workshop,
    chunks: Sequence[Chunk],
    generator: Generator,
    builder: PromptBuilder,
    config: WriterConfig,
    *,
    batch_size: int,
) -> Written:
    """Have `generator` write questions on `config.passages` chunks, drawn by the seed, in batches."""
    drawn = sorted(shop.rng(WRITER).sample(range(len(chunks)), min(config.passages, len(chunks))))
    written = Written()
    prompts: list[tuple[Chunk, Prompt]] = []
    for place in drawn:
        try:
            prompt = builder.build(ASKED.format(n=config.questions), (Hit(chunks[place], 1.0),))
        except PromptBudgetError:
            prompt = None
        if prompt is None or not prompt.hits:
            written.rejects["passage_too_long"] += 1
        else:
            prompts.append((chunks[place], prompt))
    for start in range(0, len(prompts), batch_size):
        batch = prompts[start : start + batch_size]
        replies = generator.generate(
            [prompt for _, prompt in batch], adapter=None, max_new_tokens=config.max_new_tokens
        )
        for (chunk, _), reply in zip(batch, replies, strict=True):
            _take(reply.text, chunk, shop, written)
    return written


def read_reply(text: str) -> list[Pair] | Reject:
    """Return the pairs of a reply, or why it has none."""
    try:
        return REPLY.validate_json(text.strip())
    except ValidationError as error:
        return Reject.NOT_JSON if error.errors()[0]["type"] == "json_invalid" else Reject.WRONG_SHAPE


def check_pair(pair: Pair, passage: str) -> Reject | None:
    """Return why a pair cannot be a row on `passage`; None: it can."""
    if not pair.question.endswith("?"):
        return Reject.NO_QUESTION
    if pair.answer not in passage:
        return Reject.NOT_VERBATIM
    if pair.answer.lower() in pair.question.lower():
        return Reject.GIVEN_AWAY
    return Reject.TOO_LONG if len(pair.answer.split()) > MAX_ANSWER_WORDS else None


def _take(reply: str, chunk: Chunk, shop: Workshop, written: Written) -> None:
    pairs = read_reply(reply)
    if isinstance(pairs, Reject):
        written.rejects[pairs.value] += 1
        return
    for pair in pairs:
        reject = check_pair(pair, chunk.text)
        if reject is not None:
            written.rejects[reject.value] += 1
            continue
        start = chunk.start + chunk.text.index(pair.answer)
        source = Span(document_id=chunk.document_id, start=start, end=start + len(pair.answer))
        row = shop.row(
            WRITER,
            "pair",
            task=Task.CLOSED_BOOK,
            question=pair.question,
            completion=pair.answer,
            sources=(source,),
            group=chunk.document_id,
        )
        written.rows.append(row)
