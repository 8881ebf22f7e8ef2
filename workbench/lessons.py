"""What each adapter of an experiment learns from and is judged on: rows, their documents, held-out questions.

Beside `bench.py` on the same floor. How a row becomes tokens is training/; what a dataset's rows are is rows.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.audit import refuse_sensitive, scan_rows
from workbench.config import AdapterConfig, RecipeConfig
from workbench.contracts import Finder
from workbench.dataset import read_dataset
from workbench.gates import HeldOutQuestion
from workbench.parts import Parts
from workbench.prompting import QUESTION_MARK
from workbench.rows import DatasetRow, RowPassage, Task
from workbench.training import (
    ExampleSet,
    Row,
    Rows,
    build_closed_book,
    build_from_dataset,
    build_reader,
    draw,
    encode_rows,
)
from workbench.types import Question, Split

SPARE_HITS = 8  # looked up beyond the passages of a reader row, since forbidden documents are left out


@dataclass(frozen=True, slots=True)
class Lessons:
    """The rows of one adapter: trained on, and held out."""

    train: ExampleSet
    held_out: ExampleSet

    @property
    def groups(self) -> tuple[str, ...]:
        """The document of each held-out row."""
        return tuple(row.group for row in self.held_out.made_from)

    @property
    def sources(self) -> dict[str, int]:
        """Training rows by what made them."""
        return dict(Counter(row.source for row in self.train.made_from).most_common())

    def held_out_questions(self, not_found: str) -> tuple[HeldOutQuestion, ...]:
        """The held-out rows that ask something, as the adapter will be asked."""
        asked = (row for row in self.held_out.made_from if not row.plain)
        return tuple(HeldOutQuestion(row.prompt, answerable=row.answer != not_found) for row in asked)


class LessonPlan:
    """Makes lessons. What retrieval offers is asked for only when a reader needs it."""

    def __init__(self, parts: Parts, *, finder: Callable[[], Finder], dataset: Callable[[AdapterConfig], Path]) -> None:
        """Take `dataset` for where the rows of an adapter with `examples: dataset` lie, built if need be."""
        self.parts = parts
        self._finder, self._dataset = finder, dataset
        self._made: dict[tuple[object, ...], Lessons] = {}

    def prepare(self, name: str, recipe: RecipeConfig) -> Lessons:
        """Return the lessons of adapter `name` as `recipe` wants them; made once.

        Raises:
            SensitiveDataError: a row holds secrets or personal data that training.allow_findings does not name.
        """
        key = (name, recipe.max_tokens, recipe.max_examples, recipe.acts_from)  # all that rows hang on
        if key not in self._made:
            self._made[key] = self._make(self.parts.config.training.adapters[name], recipe)
        return self._made[key]

    def _make(self, adapter: AdapterConfig, recipe: RecipeConfig) -> Lessons:
        train, held_out = (self._rows(adapter, recipe, split) for split in (Split.TRAIN, Split.DEV))
        texts = (_as_dataset_row(row) for row in (*train.made, *held_out.made))
        source = self._dataset(adapter) if adapter.examples == "dataset" else self.parts.config.questions.path
        refuse_sensitive(scan_rows(texts), self.parts.config.training.allow_findings, source=str(source))
        return Lessons(*(encode_rows(rows, self.parts.tokenizer, recipe) for rows in (train, held_out)))

    def _rows(self, adapter: AdapterConfig, recipe: RecipeConfig, split: Split) -> Rows:
        parts, config = self.parts, self.parts.config
        questions: Sequence[Question] = parts.questions.of(split)
        if split is Split.TRAIN:
            questions = draw(questions, recipe.max_examples, seed=config.seed)
        match adapter.examples:
            case "dataset":
                return self._dataset_rows(adapter, recipe, split)
            case "closed_book":
                return build_closed_book(questions, parts.builder, config.prompt)
            case "trained":
                raise AssertionError("an adapter that is trained already learns from no rows")
            case "reader":
                sizes = adapter.row_sizes(config.retrieval.passages)
                return build_reader(
                    questions,
                    parts.builder,
                    config.prompt,
                    adapter,
                    passages=sizes,
                    find_passages=lambda q: self._finder().search(q.text, k=max(sizes) + SPARE_HITS),
                    find_gold=parts.gold.find,
                    forbidden=parts.questions.forbidden,
                    seed=config.seed,
                )

    def _dataset_rows(self, adapter: AdapterConfig, recipe: RecipeConfig, split: Split) -> Rows:
        parts, config = self.parts, self.parts.config
        stored = read_dataset(self._dataset(adapter))
        rows: Sequence[DatasetRow] = [row for row in stored if row.split is split and row.task in adapter.tasks]
        if split is Split.TRAIN:
            rows = draw(rows, recipe.max_examples, seed=config.seed)
        return build_from_dataset(rows, parts.builder, parts.tokenizer, config.prompt)


def _as_dataset_row(row: Row) -> DatasetRow:
    """Return a row in the form that is scanned: its passages apart from its question, since many rows share them."""
    said = {"completion": row.answer, "generator": row.source, "id": row.question_id}
    if row.plain:
        return DatasetRow(task=Task.TEXT, **said)
    asked = row.prompt.messages[-1].content
    passages = tuple(
        RowPassage(
            document_id=hit.chunk.document_id,
            start=hit.chunk.start,
            end=hit.chunk.end,
            text=hit.chunk.text,
            context=hit.chunk.context,
        )
        for hit in row.prompt.hits
    )
    question = asked[max(0, asked.rfind(QUESTION_MARK)) :] if passages else asked
    return DatasetRow(task=Task.READER, question=question, passages=passages, **said)
