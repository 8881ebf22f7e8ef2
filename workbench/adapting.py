"""The adapters of one experiment: which rows each learns from, its training stage, its curve.

Beside `bench.py` on the same floor, which owns the order of the stages; the loop itself is training/.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from workbench.contracts import Finder
from workbench.hardware import PeakMemory, made_with
from workbench.inputs import train_inputs
from workbench.models.adapters import WEIGHTS
from workbench.parts import Parts, RetrievalFit
from workbench.processes import process_count, process_rank
from workbench.runs import Run, fingerprint_file, write_json
from workbench.training import (
    BEST,
    ExampleSet,
    Rows,
    TrainingJob,
    build_closed_book,
    build_reader,
    draw,
    encode_rows,
    read_progress,
    show_rows,
    train_adapter,
)
from workbench.types import Question, Split

FIRST_ROWS = "first_rows.json"  # what the first rows show, and what they teach, for a person to check
SPARE_HITS = 8  # looked up beyond the passages of a reader row, since forbidden documents are left out


class Adapters:
    """Trains the adapters of one experiment. What retrieval offers is asked for only when a reader needs it."""

    def __init__(
        self,
        parts: Parts,
        run_folder: Run,
        *,
        collection: Callable[[], str],
        fit: Callable[[], RetrievalFit],
        finder: Callable[[], Finder],
    ) -> None:
        """Nothing is loaded yet. `collection` returns the fingerprint of the collection as indexed."""
        self.parts = parts
        self._run = run_folder
        self._collection, self._fit, self._finder = collection, fit, finder

    def train(self, name: str) -> dict[str, Any]:
        """Train adapter `name` unless that was done with the same inputs; return what its stage recorded."""
        return self._run.stage(f"train-{name}", self._inputs(name), partial(self._train, name), together=True)[0]

    def is_trained(self, name: str) -> bool:
        """Whether adapter `name` was trained with the inputs as they are now."""
        return self._run.stage_done(f"train-{name}", self._inputs(name)) is not None

    def folder(self, name: str) -> Path:
        """The folder of the adapter that was kept, as PEFT loads it."""
        return self._run.path(f"train-{name}/{BEST}")

    def curve(self, name: str) -> dict[str, Any]:
        """The losses of a training: one record a step, one a held-out evaluation."""
        progress = read_progress(self._run.path(f"train-{name}"))
        return {"steps": progress.steps, "held_out": progress.held_out}

    def _inputs(self, name: str) -> str:
        return train_inputs(self.parts, name, collection=self._collection(), fit=self._fit())

    def _train(self, name: str, folder: Path) -> dict[str, Any]:
        parts, recipe = self.parts, self.parts.config.training.recipe(name)
        train, held_out = (self._examples(name, split) for split in (Split.TRAIN, Split.DEV))
        job = TrainingJob(
            name=name,
            rows=train.rows,
            held_out=held_out.rows,
            recipe=recipe,
            seed=parts.config.seed,
            base_fingerprint=parts.generator_files.fingerprint,
            template_hash=parts.tokenizer.template_hash,
        )
        if process_rank() == 0:
            write_json(folder / FIRST_ROWS, show_rows(train.rows[:3], parts.tokenizer))
        with PeakMemory() as peak:
            progress = train_adapter(
                job, parts.model, folder, pad_id=parts.tokenizer.end_of_turn_ids[-1], tell=partial(_tell, name)
            )
        return {
            "rows": len(train.rows),
            "rows_too_long": train.n_too_long,
            "rows_unplaced": train.n_unplaced,
            "rows_without_gold": train.n_without_gold,
            "held_out_rows": len(held_out.rows),
            "steps": progress.step,
            "best_step": progress.best_step,
            "loss": progress.steps[-1]["loss"],
            "held_out_loss": progress.best_loss,
            "tokens": progress.tokens,
            "seconds": progress.seconds,
            "peak_bytes": peak.rss_bytes,
            "peak_gpu_bytes": peak.gpu_bytes,
            "planned_bytes": progress.planned_bytes,
            "events": progress.events,
            "stopped_early": progress.stopped_early,
            "processes": process_count(),
            "weights": fingerprint_file(folder / BEST / WEIGHTS),
            "made_with": made_with(),
        }

    def _examples(self, name: str, split: Split) -> ExampleSet:
        parts, config = self.parts, self.parts.config
        questions: Sequence[Question] = parts.questions.of(split)
        adapter = config.training.adapters[name]
        recipe = config.training.recipe(name)
        if split is Split.TRAIN:
            questions = draw(questions, recipe.max_examples, seed=config.seed)
        rows: Rows
        match adapter.examples:
            case "closed_book":
                rows = build_closed_book(questions, parts.builder, config.prompt)
            case "reader":
                passages = adapter.passages or config.retrieval.passages
                rows = build_reader(
                    questions,
                    parts.builder,
                    config.prompt,
                    adapter,
                    passages=passages,
                    find_passages=lambda q: self._finder().search(q.text, k=passages + SPARE_HITS),
                    find_gold=parts.gold.find,
                    forbidden=parts.questions.forbidden,
                    seed=config.seed,
                )
        return encode_rows(rows, parts.tokenizer, recipe)


def _tell(name: str, line: str) -> None:
    if process_rank() == 0:
        tqdm.write(f"{name}: {line}", file=sys.stderr)
