"""Rows that show passages: answer from them, quote and cite them, or say that the documents hold no answer.

Layout and shares: RAFT, Zhang et al., https://arxiv.org/abs/2403.10131. Wrong passages are our own index's nearest.
"""

from __future__ import annotations

from collections.abc import Iterator

from workbench.config import GeneratorName
from workbench.dataset.facts import Fact, Form
from workbench.dataset.questions import question_forms
from workbench.dataset.workshop import Workshop
from workbench.rows import DatasetRow, RowPassage, Task

QUOTE = "quote"  # the template of rows that quote
_QUOTE_THIS = (
    "Quote the sentence that answers this, with the number of its passage: {q}",
    "Give the sentence and its source for this: {q}",
    "Which sentence answers this, and in which passage does it stand? {q}",
)


def make_reader_rows(shop: Workshop) -> Iterator[DatasetRow]:
    """Yield rows that answer from passages; in a share of them the right one is missing and so is the answer."""
    shown = shop.passages
    for fact in shop.material.facts:
        for form in _asked(shop, fact)[: shop.config.reader_questions]:
            rng = shop.rng("reader", fact.id, form.template)
            value = fact.spans[:1]
            if rng.random() < shop.config.without_gold:
                wrong = shown.without_gold(form.question, fact.spans, fact.value)
                if wrong:
                    yield _row(shop, f"{form.template}_without_gold", fact, wrong, (form.question, shop.not_found))
            elif right := shown.with_gold(form.question, value, rng):
                yield _row(shop, form.template, fact, right, (form.question, fact.value))


def make_quote_rows(shop: Workshop) -> Iterator[DatasetRow]:
    """Yield rows whose answer is a sentence of a passage, word for word, and the passage's number: “...” [2]."""
    for fact in shop.material.facts:
        rng = shop.rng("quotes", fact.id)
        if fact.attribute or rng.random() >= shop.config.quotes:
            continue  # a cell has no sentence to be quoted
        question = rng.choice(_QUOTE_THIS).format(q=_asked(shop, fact)[0].question)
        passages = shop.passages.with_gold(question, fact.spans[1:], rng)
        number = _place_of(fact, passages)
        if number is not None:
            answer = f"“{fact.statement}” [{number}]"
            yield _row(shop, QUOTE, fact, passages, (question, answer))


def _asked(shop: Workshop, fact: Fact) -> tuple[Form, ...]:
    """Return a fact's questions with the wordings they have as closed-book rows."""
    return question_forms(fact, shop.rng(fact.id, GeneratorName.QUESTIONS))


def _place_of(fact: Fact, passages: tuple[RowPassage, ...]) -> int | None:
    """Return the number, from 1, of the passage that holds the whole sentence."""
    for number, passage in enumerate(passages, start=1):
        if (
            passage.document_id == fact.source.document_id
            and passage.start <= fact.statement_start
            and fact.statement_end <= passage.end
        ):
            return number
    return None


def _row(shop: Workshop, template: str, fact: Fact, shown: tuple[RowPassage, ...], said: tuple[str, str]) -> DatasetRow:
    """Return a row; `said` is its question and its answer."""
    name = GeneratorName.QUOTES if template == QUOTE else GeneratorName.READER
    return shop.row(
        name,
        template,
        task=Task.READER,
        question=said[0],
        passages=shown,
        completion=said[1],
        sources=fact.spans,
        fact=fact.id,
        group=fact.source.document_id,
    )
