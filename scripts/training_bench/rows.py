"""Training rows as the workbench builds them from a config, cut to whole batches and parted by document."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from retrieval_bench.compare import BenchError

from training_bench.task import Row
from workbench.bench import Bench
from workbench.config import RecipeConfig
from workbench.training import ExampleSet, build_closed_book, build_reader, encode_rows
from workbench.types import Question, Split, TrainingExample

SPARE_HITS = 8  # looked up beyond a reader row's passages, since forbidden documents are left out


@dataclass(frozen=True, slots=True)
class RowSet:
    """Rows of one adapter, in a shuffled order, each with the group of documents it asks about, and its recipe."""

    examples: tuple[TrainingExample, ...]
    groups: tuple[str, ...]
    recipe: RecipeConfig


def build_rows(bench: Bench, name: str) -> RowSet:
    """Return the rows that adapter `name` of the config would learn from.

    Raises:
        BenchError: the config has no such adapter.
    """
    config, parts = bench.config, bench.parts
    if name not in config.training.adapters:
        raise BenchError(f"{config.name} has no adapter {name!r}; it has: {', '.join(config.training.adapters)}")
    questions = list(parts.questions.of(Split.TRAIN))
    random.Random(config.seed).shuffle(questions)
    recipe, adapter = config.training.recipe(name), config.training.adapters[name]
    if adapter.examples == "closed_book":
        rows = build_closed_book(questions, parts.builder, config.prompt)
    else:
        bench.index()
        sizes = adapter.row_sizes(config.retrieval.passages)
        rows = build_reader(
            questions,
            parts.builder,
            config.prompt,
            adapter,
            passages=sizes,
            find_passages=lambda question: bench.finder.search(question.text, k=max(sizes) + SPARE_HITS),
            find_gold=parts.gold.find,
            forbidden=parts.questions.forbidden,
            seed=config.seed,
        )
    # With `acts_from: question` a row says where its prefix ends; a contestant without prefixes ignores it.
    built = encode_rows(rows, parts.tokenizer, recipe.model_copy(update={"acts_from": "question"}))
    return RowSet(built.rows, find_groups(built, parts.questions.by_id), recipe)


def find_groups(built: ExampleSet, questions: dict[str, Question]) -> tuple[str, ...]:
    """Return for each row what its question is about: its group, else its first document."""
    asked = [questions[row.question_id] for row in built.rows]
    return tuple(q.group or (q.relevant[0].document_id if q.relevant else q.id) for q in asked)


def take_rows(rows: RowSet, n: int) -> list[Row]:
    """Return the first `n` rows.

    Raises:
        BenchError: there are fewer.
    """
    if len(rows.examples) < n:
        raise BenchError(f"{n} rows are wanted, the config gives {len(rows.examples)}; ask for fewer batches")
    return [to_row(example) for example in rows.examples[:n]]


def part_rows(rows: RowSet, *, n_rows: int, n_held_out: int) -> tuple[list[Row], list[Row]]:
    """Return rows to learn from and rows held out; no document stands behind both.

    Raises:
        BenchError: there are too few of either.
    """
    held: dict[str, None] = {}
    for group in rows.groups:
        if sum(group in held for group in rows.groups) >= n_held_out:
            break
        held[group] = None
    learnt: list[Row] = []
    held_out: list[Row] = []
    for example, group in zip(rows.examples, rows.groups, strict=True):
        (held_out if group in held else learnt).append(to_row(example))
    if len(learnt) < n_rows or len(held_out) < n_held_out:
        raise BenchError(
            f"{n_rows} rows and {n_held_out} held out by document are wanted; the config gives {len(learnt)} and "
            f"{len(held_out)}"
        )
    return learnt[:n_rows], held_out[:n_held_out]


def to_row(example: TrainingExample) -> Row:
    """Return the example as it crosses to the contestants."""
    return Row(list(example.token_ids), list(map(int, example.loss_mask)), example.n_prefix)


def open_bench(config_path: Path, overrides: Sequence[str], folder: Path) -> Bench:
    """Return the experiment of a config; `folder` holds its index."""
    from workbench.config import load_config

    return Bench(load_config(config_path, overrides=overrides), out=folder)
