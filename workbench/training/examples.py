"""Questions → training rows: closed book (question → answer) and reader (question + passages → answer or "not found").

Built by the same PromptBuilder as the answers, so a row's ids are the ids the model will see. Rows of the reader keep
the retriever's own order and its own wrong passages (hard negatives): that is what it will read when asked.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from workbench.config import AdapterConfig, PromptConfig, RecipeConfig
from workbench.contracts import ChatTokenizer
from workbench.errors import PromptBudgetError
from workbench.prompting import PromptBuilder
from workbench.types import Hit, Prompt, Question, Ranking, Span, TrainingExample

FindPassages = Callable[[Question], Ranking]  # what the retriever offers for a question, best first, deeper than needed
Item = TypeVar("Item")
FindGold = Callable[[Question], Ranking]  # the chunks that hold the question's relevant spans


@dataclass(frozen=True, slots=True)
class Row:
    """A prompt with the text the model must learn to give."""

    question_id: str
    prompt: Prompt
    answer: str
    group: str = ""  # what held-out rows are judged by: the document behind it
    source: str = "questions"  # what made it, for the card
    without_gold: bool = False
    plain: bool = False  # text as it stands: no turn to end, and loss on all of it but the first token


@dataclass(frozen=True, slots=True)
class ExampleSet:
    """Rows for one adapter, and what was left out and why."""

    rows: tuple[TrainingExample, ...]
    made_from: tuple[Row, ...]  # of each of `rows`, in order
    n_too_long: int  # over the prompt's or the recipe's budget: dropped
    n_unplaced: int  # answerable, but nothing says where the answer stands, so no reader row can be made: dropped
    n_without_gold: int  # rows whose right passage is not shown, on purpose or for want of room


@dataclass(slots=True)
class Rows:
    """Rows as they are built, with counts of the questions that gave none."""

    made: list[Row] = field(default_factory=list)
    n_too_long: int = 0
    n_unplaced: int = 0

    def add(self, make: Callable[[], Row]) -> None:
        """Add the row that `make` builds; a question over the prompt's budget is counted instead."""
        try:
            self.made.append(make())
        except PromptBudgetError:
            self.n_too_long += 1


def draw(items: Sequence[Item], limit: int | None, *, seed: int) -> Sequence[Item]:
    """Return `limit` of the items, drawn by the seed, in their order; all of them for None."""
    if limit is None or limit >= len(items):
        return items
    drawn = set(random.Random(f"{seed}:draw").sample(range(len(items)), limit))
    return [item for place, item in enumerate(items) if place in drawn]


def build_closed_book(questions: Sequence[Question], builder: PromptBuilder, config: PromptConfig) -> Rows:
    """Return one row a question: the question alone, its first answer."""
    rows = Rows()
    for question in questions:
        rows.add(lambda q=question: Row(q.id, builder.build(q.text), answer_text(q, config), document_of(q)))  # type: ignore[misc]
    return rows


def build_reader(
    questions: Sequence[Question],
    builder: PromptBuilder,
    prompt: PromptConfig,
    adapter: AdapterConfig,
    *,
    passages: Sequence[int],
    find_passages: FindPassages,
    find_gold: FindGold,
    forbidden: Collection[str],
    seed: int,
) -> Rows:
    """Return one row a question with some passages, the right one among them except in a share of rows.

    Args:
        passages: how many a row shows; each row draws one of the numbers.
        forbidden: document ids no row may show (those of the `new` test split).
        seed: decides how many passages a row shows, which rows go without their right one, and where one that the
            retriever missed is put.
    """
    rows = Rows()
    for question in questions:
        gold = find_gold(question)
        if question.answerable and not gold:
            rows.n_unplaced += 1
            continue
        # Seeded by the question, not by its place: a dropped row changes no other row.
        rng = random.Random(f"{seed}:{question.id}")
        left_out = question.answerable and rng.random() < adapter.without_gold
        offered = tuple(hit for hit in find_passages(question) if hit.chunk.document_id not in forbidden)
        n = random.Random(f"{seed}:{question.id}:passages").choice(passages)
        if left_out or not gold:
            shown = tuple(hit for hit in offered if not _holds_any(hit, question.relevant))[:n]
        else:
            shown = _with_gold(offered, gold[:n], n, rng)
        rows.add(lambda q=question, s=shown, g=gold: _reader_row(q, s, g, builder, prompt))  # type: ignore[misc]
    return rows


def _reader_row(question: Question, shown: Ranking, gold: Ranking, builder: PromptBuilder, config: PromptConfig) -> Row:
    prompt = builder.build(question.text, shown)
    without_gold = question.answerable and not all(_is_within(hit, prompt.hits) for hit in gold)
    # Without its passages an answer would have to be guessed: the row teaches to say so instead.
    answer = config.not_found if without_gold else answer_text(question, config)
    return Row(question.id, prompt, answer, document_of(question), without_gold=without_gold)


def _with_gold(offered: Ranking, gold: Ranking, passages: int, rng: random.Random) -> Ranking:
    shown = list(offered[:passages])
    for missing in (hit for hit in gold if not _is_within(hit, offered[:passages])):
        worst = next((hit for hit in reversed(shown) if not any(_is_within(one, [hit]) for one in gold)), None)
        if worst is not None and len(shown) >= passages:
            shown.remove(worst)
        shown.insert(rng.randint(0, len(shown)), missing)
    return tuple(shown)


def _is_within(gold: Hit, shown: Sequence[Hit]) -> bool:
    """Whether a passage shown holds all of the right one; it is wider where retrieval.expansion is set."""
    return any(
        hit.chunk.document_id == gold.chunk.document_id
        and hit.chunk.start <= gold.chunk.start
        and gold.chunk.end <= hit.chunk.end
        for hit in shown
    )


def _holds_any(hit: Hit, spans: Sequence[Span]) -> bool:
    chunk = hit.chunk
    return any(s.document_id == chunk.document_id and s.start < chunk.end and chunk.start < s.end for s in spans)


def document_of(question: Question) -> str:
    """Return what questions are grouped by when intervals are taken: their group, or their first document."""
    return question.group or (question.relevant[0].document_id if question.relevant else question.id)


def answer_text(question: Question, config: PromptConfig) -> str:
    """Return the text a perfect model gives: the first accepted answer, or the house's "not found"."""
    return question.answers[0] if question.answers else config.not_found


def encode_rows(rows: Rows, tokenizer: ChatTokenizer, recipe: RecipeConfig) -> ExampleSet:
    """Return token ids and loss masks; rows over `recipe.max_tokens` are dropped and counted, never cut."""
    examples, kept = [], []
    for row in rows.made:
        answer = tuple(tokenizer.encode(tokenizer.neutralise(row.answer)))
        answer = answer if row.plain else (*answer, *tokenizer.end_of_turn_ids)
        # A first token of plain text has nothing before it that could predict it.
        prompt, answer = (
            (answer[:1], answer[1:]) if row.plain else ((*row.prompt.prefix_ids, *row.prompt.suffix_ids), answer)
        )
        if answer and len(prompt) + len(answer) <= recipe.max_tokens:
            kept.append(row)
            examples.append(
                TrainingExample(
                    question_id=row.question_id,
                    token_ids=(*prompt, *answer),
                    loss_mask=(False,) * len(prompt) + (True,) * len(answer),
                    n_prefix=len(row.prompt.prefix_ids) if recipe.acts_from == "question" else 0,
                )
            )
    return ExampleSet(
        rows=tuple(examples),
        made_from=tuple(kept),
        n_too_long=rows.n_too_long + len(rows.made) - len(examples),
        n_unplaced=rows.n_unplaced,
        n_without_gold=sum(row.without_gold for row in rows.made),
    )


def show_rows(rows: Sequence[TrainingExample], tokenizer: ChatTokenizer) -> list[dict[str, object]]:
    """Return rows as a person reads them: what is shown, and token by token what carries loss."""
    shown: list[dict[str, object]] = []
    for row in rows:
        first = row.loss_mask.index(True)
        learned = [tokenizer.decode([token]) for token in row.token_ids[first:]]
        shown.append(
            {"question_id": row.question_id, "shows": tokenizer.decode(row.token_ids[:first]), "learns": learned}
        )
    return shown
