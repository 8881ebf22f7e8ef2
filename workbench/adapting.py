"""The adapters of one experiment: which rows each learns from, its training stage, its curve.

Beside `bench.py` on the same floor, which owns the order of the stages; the loop itself is training/.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from workbench.config import AdapterConfig, RecipeConfig
from workbench.contracts import Finder
from workbench.curation import Progress as Progressing
from workbench.curation import build_dataset
from workbench.dataset import read_manifest
from workbench.gates import (
    Canary,
    CardFacts,
    GateReport,
    GateSubject,
    draw_canaries,
    plant_canaries,
    run_gates,
    write_card,
)
from workbench.hardware import PeakMemory, made_with
from workbench.inputs import check_inputs, dataset_inputs, train_inputs
from workbench.intake.adapter_settings import WEIGHTS
from workbench.lessons import LessonPlan, Lessons
from workbench.metering import Meter
from workbench.models.activation import finds_the_question, read_invocation, write_invocation
from workbench.models.adapters import read_adapter
from workbench.parts import DOCUMENTS, Parts, RetrievalFit
from workbench.processes import process_count, process_rank
from workbench.prompting import QUESTION_MARK
from workbench.runs import Run, fingerprint, fingerprint_file, write_json
from workbench.training import BEST, Progress, TrainingJob, draw, read_progress, show_rows, train_adapter
from workbench.trials import search_grid

DATASET, ROWS = "dataset", "rows"  # the stage, and the dataset in its folder
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
        self._finder = finder
        self._lessons = LessonPlan(parts, finder=finder, dataset=self.dataset)

    def train(self, name: str) -> dict[str, Any]:
        """Train and check adapter `name` unless that was done with the same inputs; return what was recorded.

        Raises:
            MissingModelError: it is said to be trained already, but its folder holds no adapter.
            AdapterMismatchError: it was trained for another base model or chat template.
        """
        given = self.parts.config.training.adapters[name].folder
        if given is not None:
            return self._take(name, given)
        inputs = self._inputs(name, self._recipe(name))
        trained = self._run.stage(f"train-{name}", inputs, partial(self._train, name), together=True)[0]
        checks = check_inputs(self.parts, trained=inputs, weights=trained["weights"])
        checked = self._run.stage(f"check-{name}", checks, lambda _: self._check(name, trained))[0]
        others = self._other_seeds(name, inputs)
        return (
            trained
            | checked
            | {
                "seeds": {seed: stage["held_out_loss"] for seed, stage in others.items()},
                "seed_weights": {seed: stage["weights"] for seed, stage in others.items()},
            }
        )

    def _take(self, name: str, folder: Path) -> dict[str, Any]:
        """Return what is known of an adapter trained elsewhere; what its own training recorded, where that lies by."""
        base, template = self.parts.generator_files.fingerprint, self.parts.tokenizer.template_hash
        read_adapter(folder, name=name, base_fingerprint=base, template_hash=template)
        unknown = dict.fromkeys(("loss", "held_out_loss", "seconds", "tokens", "peak_bytes", "peak_gpu_bytes"))
        recorded = Run(folder.parent).last_result(".") or {}
        taken = {"weights": fingerprint_file(folder / WEIGHTS), "seeds": {}, "seed_weights": {}, "taken_from": folder}
        return unknown | recorded | taken

    def dataset(self, adapter: AdapterConfig) -> Path:
        """Return the folder of the rows that `adapter` learns from; the run's own are built if they are not there."""
        if adapter.dataset is not None:
            return adapter.dataset
        return self.build_dataset()

    def build_dataset(self, on_progress: Progressing = lambda *_: None) -> Path:
        """Build the run's own dataset unless that was done with the same inputs; return its folder."""
        inputs = dataset_inputs(self.parts, collection=self._collection(), fit=self._fit())

        def build(folder: Path) -> dict[str, Any]:
            manifest = build_dataset(self.parts, self._finder(), folder / ROWS, on_progress=on_progress)
            return {"rows": manifest.row_fingerprint}

        self._run.stage(DATASET, inputs, build)
        return self._run.path(f"{DATASET}/{ROWS}")

    def is_trained(self, name: str) -> bool:
        """Whether adapter `name` was trained with the inputs as they are now."""
        if self.parts.config.training.adapters[name].folder is not None:
            return True
        if self.parts.config.training.grid and self._run.stage_done(*self._grid_stage(name)) is None:
            return False
        return self._run.stage_done(f"train-{name}", self._inputs(name, self._recipe(name))) is not None

    def weights(self, name: str) -> list[str] | None:
        """Return the SHA-256 of each training seed's weights, the own seed first, and train nothing.

        None: some were not trained with the inputs as they are now.
        """
        given = self.parts.config.training.adapters[name].folder
        if given is not None:
            return [fingerprint_file(given / WEIGHTS)] if (given / WEIGHTS).exists() else None
        if not self.is_trained(name):
            return None
        inputs = self._inputs(name, self._recipe(name))
        stages = [self._run.stage_done(f"train-{name}", inputs)]
        for seed in self.seeds(name)[1:]:
            stages.append(self._run.stage_done(f"train-{name}-seed-{seed}", fingerprint(inputs, seed, "weights")))
        found = [stage["weights"] for stage in stages if stage is not None]
        return found if len(found) == len(stages) else None

    def folder(self, name: str, *, seed: int | None = None) -> Path:
        """The folder of the adapter that was kept, as PEFT loads it; None: trained with the experiment's own seed."""
        given = self.parts.config.training.adapters[name].folder
        if given is not None:
            return given
        own = seed is None or seed == self.parts.config.seed
        return self._run.path(f"train-{name}/{BEST}" if own else f"train-{name}-seed-{seed}/{BEST}")

    def seeds(self, name: str) -> tuple[int, ...]:
        """The training seeds of adapter `name`, the experiment's own first; one where it was trained elsewhere."""
        if self.parts.config.training.adapters[name].folder is not None:
            return (self.parts.config.seed,)
        return tuple(dict.fromkeys((self.parts.config.seed, *self.parts.config.training.seeds)))

    def curve(self, name: str) -> dict[str, Any]:
        """The losses of a training: one record a step, one a held-out evaluation."""
        progress = read_progress(self._run.path(f"train-{name}"))
        return {"steps": progress.steps, "held_out": progress.held_out}

    def _inputs(self, name: str, recipe: RecipeConfig) -> str:
        adapter = self.parts.config.training.adapters[name]
        rows = read_manifest(self.dataset(adapter)).row_fingerprint if adapter.examples == "dataset" else None
        return train_inputs(self.parts, name, recipe, collection=self._collection(), fit=self._fit(), rows=rows)

    def _recipe(self, name: str) -> RecipeConfig:
        """The recipe of adapter `name`, with what the grid found best; a grid not tried yet is tried now."""
        training = self.parts.config.training
        recipe = training.recipe(name)
        if not training.grid:
            return recipe
        return recipe.model_validate(recipe.model_dump() | self._search(name)["best"])

    def _grid_stage(self, name: str) -> tuple[str, str]:
        """The name and the inputs of the stage in which the grid is tried."""
        training = self.parts.config.training
        inputs = self._inputs(name, training.recipe(name))
        return f"grid-{name}", fingerprint(inputs, training.combinations(name), training.grid_share)

    def _search(self, name: str) -> dict[str, Any]:
        training, stage = self.parts.config.training, self._grid_stage(name)

        def work(folder: Path) -> dict[str, Any]:
            def train(recipe: RecipeConfig, place: Path) -> Progress:
                whole, _ = self._job(name, recipe)
                n_rows = max(1, round(len(whole.rows) * training.grid_share))
                return self._run_job(replace(whole, rows=tuple(draw(whole.rows, n_rows, seed=whole.seed))), place)

            return search_grid(training.recipe(name), training.combinations(name), folder, train)

        return self._run.stage(*stage, work, together=True)[0]

    def _other_seeds(self, name: str, inputs: str) -> dict[str, dict[str, Any]]:
        """Train with the further seeds and return each one's held-out loss and weights (SHA-256)."""
        job = None
        found: dict[str, dict[str, Any]] = {}
        for seed in self.seeds(name)[1:]:

            def work(folder: Path, seed: int = seed) -> dict[str, Any]:
                nonlocal job
                job = job or self._job(name, self._recipe(name))[0]
                loss = self._run_job(replace(job, seed=seed), folder).best_loss
                return {"held_out_loss": loss, "weights": fingerprint_file(folder / BEST / WEIGHTS)}

            stamp = fingerprint(inputs, seed, "weights")
            found[str(seed)] = self._run.stage(f"train-{name}-seed-{seed}", stamp, work, together=True)[0]
        return found

    def _run_job(self, job: TrainingJob, folder: Path) -> Progress:
        pad_id = self.parts.tokenizer.end_of_turn_ids[-1]
        return train_adapter(job, self.parts.model, folder, pad_id=pad_id, tell=partial(_tell, job.name))

    def _train(self, name: str, folder: Path) -> dict[str, Any]:
        parts = self.parts
        job, lessons = self._job(name, self._recipe(name))
        if process_rank() == 0:
            write_json(folder / FIRST_ROWS, show_rows(job.rows[:3], parts.tokenizer))
            write_json(folder / DOCUMENTS, parts.corpus.contents)
        with PeakMemory() as peak, Meter() as meter:
            progress = self._run_job(job, folder)
        train = lessons.train
        return {
            "rows": len(job.rows),
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
            "joules": meter.joules,
            "peak_bytes": peak.rss_bytes,
            "peak_gpu_bytes": peak.gpu_bytes,
            "planned_bytes": progress.planned_bytes,
            "events": progress.events,
            "stopped_early": progress.stopped_early,
            "processes": process_count(),
            "weights": fingerprint_file(folder / BEST / WEIGHTS),
            "grid": self._search(name) if parts.config.training.grid else {},
            "made_with": made_with(),
        }

    def _job(self, name: str, recipe: RecipeConfig) -> tuple[TrainingJob, Lessons]:
        parts = self.parts
        lessons = self._lessons.prepare(name, recipe)
        rows = plant_canaries(lessons.train.rows, self._canaries, parts.tokenizer, acts_from=recipe.acts_from)
        job = TrainingJob(
            name=name,
            rows=rows,
            held_out=lessons.held_out.rows,
            recipe=recipe,
            seed=parts.config.seed,
            base_fingerprint=parts.generator_files.fingerprint,
            template_hash=parts.tokenizer.template_hash,
        )
        return job, lessons

    @cached_property
    def _canaries(self) -> tuple[Canary, ...]:
        gates = self.parts.config.gates
        if not (gates.enabled and gates.canaries):
            return ()
        return draw_canaries(self.parts.builder, n_candidates=gates.canary_candidates, seed=self.parts.config.seed)

    def _check(self, name: str, trained: dict[str, Any]) -> dict[str, Any]:
        """Put the adapter through its gates, write its card, and say to other tools where it acts."""
        parts, config, folder = self.parts, self.parts.config, self.folder(name)
        job, lessons = self._job(name, self._recipe(name))
        invocation = read_invocation(parts.tokenizer, QUESTION_MARK)
        if job.recipe.acts_from == "question" and finds_the_question(invocation, job.rows):
            write_invocation(folder, invocation)
        held_out = self.curve(name)["held_out"]
        subject = GateSubject(
            name=name,
            folder=folder,
            held_out=job.held_out,
            groups=lessons.groups,
            questions=lessons.held_out_questions(config.prompt.not_found),
            start_loss=held_out[0]["loss"] if held_out else None,
            kept_last=job.recipe.keep == "last",
            canaries=self._canaries,
        )
        report = self._gates(subject) if config.gates.enabled else None
        facts = CardFacts(
            base=parts.generator_files.name,
            base_licence=parts.generator_files.licence,
            template=parts.tokenizer.template,
            config=job.recipe,
            rows=lessons.sources,
            held_out_rows=len(job.held_out),
            step=trained["best_step"],
            n_steps=trained["steps"],
        )
        write_card(folder, facts)
        return {"gates": {result.name: result.status.value for result in report.results} if report else {}}

    def _gates(self, subject: GateSubject) -> GateReport:
        parts, config = self.parts, self.parts.config
        return run_gates(
            subject,
            parts.model,
            parts.tokenizer,
            config.gates,
            base_fingerprint=parts.generator_files.fingerprint,
            not_found=config.prompt.not_found,
            max_new_tokens=config.generation.max_new_tokens,
            stop_at_newline=config.generation.stop_at_newline,
            seed=config.seed,
        )


def _tell(name: str, line: str) -> None:
    if process_rank() == 0:
        tqdm.write(f"{name}: {line}", file=sys.stderr)
