"""The adapters of one experiment: which rows each learns from, its training stage, its curve.

Beside `bench.py` on the same floor, which owns the order of the stages; the loop itself is training/.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from workbench.config import RecipeConfig
from workbench.contracts import Finder
from workbench.gates import Canary, CardFacts, GateSubject, draw_canaries, plant_canaries, run_gates, write_card
from workbench.hardware import PeakMemory, made_with
from workbench.inputs import train_inputs
from workbench.lessons import LessonPlan, Lessons
from workbench.models.activation import finds_the_question, read_invocation, write_invocation
from workbench.models.adapters import WEIGHTS
from workbench.parts import Parts, RetrievalFit
from workbench.processes import process_count, process_rank
from workbench.prompting import QUESTION_MARK
from workbench.runs import Run, fingerprint_file, write_json
from workbench.training import BEST, Progress, TrainingJob, read_progress, show_rows, train_adapter
from workbench.types import TrainingExample

FIRST_ROWS = "first_rows.json"  # what the first rows show, and what they teach, for a person to check


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
        self._collection, self._fit = collection, fit
        self._lessons = LessonPlan(parts, finder=finder)

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
        lessons = self._lessons.prepare(name)
        canaries, rows = self._plant(lessons, recipe)
        job = TrainingJob(
            name=name,
            rows=rows,
            held_out=lessons.held_out.rows,
            recipe=recipe,
            seed=parts.config.seed,
            base_fingerprint=parts.generator_files.fingerprint,
            template_hash=parts.tokenizer.template_hash,
        )
        if process_rank() == 0:
            write_json(folder / FIRST_ROWS, show_rows(rows[:3], parts.tokenizer))
        with PeakMemory() as peak:
            progress = train_adapter(
                job, parts.model, folder, pad_id=parts.tokenizer.end_of_turn_ids[-1], tell=partial(_tell, name)
            )
        gates = self._check(job, lessons, canaries, progress, folder / BEST) if process_rank() == 0 else {}
        train = lessons.train
        return {
            "rows": len(rows),
            "rows_too_long": train.n_too_long,
            "rows_unplaced": train.n_unplaced,
            "rows_without_gold": train.n_without_gold,
            "rows_made_by": lessons.sources,
            "held_out_rows": len(job.held_out),
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
            "gates": gates,
            "weights": fingerprint_file(folder / BEST / WEIGHTS),
            "made_with": made_with(),
        }

    def _plant(self, lessons: Lessons, recipe: RecipeConfig) -> tuple[tuple[Canary, ...], tuple[TrainingExample, ...]]:
        """Return the training rows, with canaries among them where the gates ask for these."""
        parts, gates = self.parts, self.parts.config.gates
        if not (gates.enabled and gates.canaries):
            return (), lessons.train.rows
        canaries = draw_canaries(parts.builder, n_candidates=gates.canary_candidates, seed=parts.config.seed)
        rows = plant_canaries(lessons.train.rows, canaries, parts.tokenizer, acts_from=recipe.acts_from)
        return canaries, rows

    def _check(
        self, job: TrainingJob, lessons: Lessons, canaries: tuple[Canary, ...], progress: Progress, folder: Path
    ) -> dict[str, str]:
        """Put the adapter through its gates and write its card; return each gate's outcome."""
        parts, config = self.parts, self.parts.config
        invocation = read_invocation(parts.tokenizer, QUESTION_MARK)
        if job.recipe.acts_from == "question" and finds_the_question(invocation, job.rows):
            write_invocation(folder, invocation)
        outcomes: dict[str, str] = {}
        if config.gates.enabled:
            subject = GateSubject(
                name=job.name,
                folder=folder,
                held_out=job.held_out,
                groups=lessons.groups,
                questions=lessons.held_out_questions(config.prompt.not_found),
                start_loss=progress.held_out[0]["loss"] if progress.held_out else None,
                kept_last=job.recipe.keep == "last",
                canaries=canaries,
            )
            report = run_gates(
                subject,
                parts.model,
                parts.tokenizer,
                config.gates,
                base_fingerprint=job.base_fingerprint,
                not_found=config.prompt.not_found,
                max_new_tokens=config.generation.max_new_tokens,
                stop_at_newline=config.generation.stop_at_newline,
                seed=config.seed,
            )
            outcomes = {result.name: result.status.value for result in report.results}
        facts = CardFacts(
            base=parts.generator_files.name,
            base_licence=parts.generator_files.licence,
            template=parts.tokenizer.template,
            config=job.recipe,
            rows=lessons.sources,
            held_out_rows=len(job.held_out),
            step=progress.best_step or 0,
            n_steps=progress.step,
        )
        write_card(folder, facts)
        return outcomes


def _tell(name: str, line: str) -> None:
    if process_rank() == 0:
        tqdm.write(f"{name}: {line}", file=sys.stderr)
