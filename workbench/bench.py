"""`Bench`: the composition root and the public face; the command line and scripts/ call it and nothing else.

A bench belongs to one config and one run folder. Every stage is stamped with the fingerprint of its inputs and reused
when nothing changed: index → train → answer → score → report.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NoReturn

from tqdm import tqdm

from workbench import offline
from workbench.adapting import Adapters
from workbench.asking import Asking
from workbench.building_costs import build_costs
from workbench.config import ExperimentConfig, RetrievalConfig, dump_config
from workbench.contracts import Finder, Strategy
from workbench.corpus import chunk_documents, cutter_version
from workbench.curation import Progress as Progressing
from workbench.errors import ConfigError, MissingModelError
from workbench.evaluation import predictions_lines, score_answer, summarise
from workbench.evaluation.calibration import summarise_refusals
from workbench.evaluation.run_race import race_for
from workbench.evaluation.runner import Arm, answer_questions
from workbench.hardware import PeakMemory, made_with
from workbench.inputs import answer_inputs, fit_inputs, index_inputs, router_inputs
from workbench.knowledge import Collection
from workbench.manifest import make_manifest
from workbench.metering import Meter
from workbench.parts import Material, Parts, RetrievalFit
from workbench.processes import process_count, process_rank
from workbench.prompting import PromptBuilder
from workbench.reporting import RACE, write_decision, write_run_report
from workbench.retrieval import LastFound
from workbench.routed_arm import ROUTER_MODEL, measure_routed_arm
from workbench.runs import Run, fingerprint, new_folder, read_lines, to_lines, write_atomically, write_json
from workbench.strategies import build_strategy
from workbench.types import Answer, CaseRecord, PassageRecord, Question
from workbench.verdict.saved_router import SavedRouter, read_router, refuse_stale

CASES = "cases.jsonl"


class Bench:
    """One experiment, step by step or by `run`."""

    def __init__(
        self,
        config: ExperimentConfig,
        *,
        out: Path | None = None,
        material: Material | None = None,
        lenders: Sequence[Path] = (),
    ) -> None:
        """Open or create the run folder `out` (default: runs/NAME). Nothing is loaded yet.

        From now on this process refuses connections that leave the machine, unless the config has `offline: false`.

        Args:
            material: documents and questions in place of what the config's paths hold.
            lenders: folders of other runs. What they have done with equal inputs is copied, and a collection of theirs
                with the same embedder is where indexing begins.
        """
        offline.apply(config.offline)
        self.config = config
        self.run_folder = Run(out or Path("runs") / config.name, lenders=lenders)
        self.parts = Parts(config, self.run_folder.folder, material=material)
        self._finders: dict[str, LastFound] = {}

    def run(self) -> Path:
        """Run every stage that is not up to date and return the path of report.html."""
        _refuse_several_processes()
        self.parts.check()
        self.index()
        self.train()
        self.evaluate()
        return self.report()

    # -- index ---------------------------------------------------------------------------------------------------------

    def update_index(self) -> tuple[dict[str, Any], bool]:
        """Bring the collection in line with the corpus; return what the stage recorded, and whether it was reused."""
        self._borrow_a_collection()
        self._forget_a_lost_collection()
        before = self.run_folder.last_result("index") or {"seconds_in_all": 0.0, "joules_in_all": 0.0}
        return self.run_folder.stage("index", index_inputs(self.parts), lambda _: self._index(before))

    @cached_property
    def _indexed(self) -> dict[str, Any]:
        return self.update_index()[0]

    def index(self) -> dict[str, Any]:
        """Bring the collection in line with the corpus; only new and changed chunks are embedded."""
        return self._indexed

    def _borrow_a_collection(self) -> None:
        """Begin with a lender's collection where there is none yet: only what differs is embedded."""
        folder, identity = self.parts.collection_folder, self.parts.embedder.identity
        if not self.run_folder.lenders or Collection.exists(folder):
            return
        for lender in self.run_folder.lenders:
            if Collection.exists(lender / folder.name):
                with Collection.open(lender / folder.name, index=self.config.index) as lent:
                    same = lent.identity == identity
                if same:
                    with new_folder(folder) as copied:
                        shutil.copytree(lender / folder.name, copied, dirs_exist_ok=True)
                    return

    def _forget_a_lost_collection(self) -> None:
        """A stage that is done is worth nothing if its collection was removed or replaced."""
        done = self.run_folder.last_result("index")
        if done is None or process_rank() > 0:
            return
        if Collection.exists(self.parts.collection_folder):
            with Collection.open(self.parts.collection_folder, index=self.config.index) as collection:
                if collection.fingerprint == done["fingerprint"]:
                    return
        self.run_folder.forget("index")

    def _index(self, before: Mapping[str, Any]) -> dict[str, Any]:
        parts, started = self.parts, time.perf_counter()
        embedder = parts.embedder
        chunk = partial(chunk_documents, offsets=embedder, config=self.config.chunking)
        folder = parts.collection_folder
        find = Collection.open if Collection.exists(folder) else Collection.create
        with (
            Meter() as meter,
            PeakMemory() as peak,
            find(folder, embedder.identity, index=self.config.index) as collection,
            tqdm(desc="embed") as bar,
        ):
            report = collection.update(
                parts.corpus.documents,
                chunk,
                embedder.embed_documents,
                settings=fingerprint(self.config.chunking, cutter_version()),
                on_progress=partial(_show_progress, bar),
            )
            seconds = time.perf_counter() - started
            stage = {
                "fingerprint": collection.fingerprint,
                "update": asdict(report),
                "events": list(collection.events),
                "seconds": seconds,
                "seconds_in_all": before.get("seconds_in_all", 0.0) + seconds,
                "peak_bytes": peak.rss_bytes,
            }
        spent = [meter.joules, before.get("joules_in_all")]
        known = [joules for joules in spent if joules is not None]
        return stage | {"joules_in_all": sum(known) if len(known) == len(spent) else None}

    # -- fit -----------------------------------------------------------------------------------------------------------

    @cached_property
    def fitted(self) -> RetrievalFit:
        """What retrieval learnt from the dev split: fusion weights and a threshold, where the config asks for it."""
        if not self.parts.learns_retrieval:
            return RetrievalFit()
        inputs = fit_inputs(self.parts, collection=self.index()["fingerprint"])
        stage, _ = self.run_folder.stage("fit", inputs, lambda _: self.parts.fit_retrieval().model_dump(mode="json"))
        return RetrievalFit.model_validate({key: stage[key] for key in RetrievalFit.model_fields})

    @cached_property
    def finder(self) -> Finder:
        """The steps from a question to its passages, over the collection as indexed."""
        self.index()
        return self.parts.build_finder(self.fitted)

    # -- train ---------------------------------------------------------------------------------------------------------

    @cached_property
    def _adapters(self) -> Adapters:
        return Adapters(
            self.parts,
            self.run_folder,
            collection=lambda: self.index()["fingerprint"],
            fit=lambda: self.fitted,
            finder=lambda: self.finder,
        )

    def build_dataset(self, on_progress: Progressing = lambda *_: None) -> Path:
        """Make training rows from the documents unless that was done; return the dataset's folder."""
        return self._adapters.build_dataset(on_progress)

    def train(self) -> dict[str, dict[str, Any]]:
        """Train the adapters the arms name; return what each stage recorded."""
        self.parts.check()
        return self._trained

    @cached_property
    def _trained(self) -> dict[str, dict[str, Any]]:
        wanted = dict.fromkeys(arm.adapter for arm in self.config.arms.values() if arm.adapter is not None)
        return {name: self._adapters.train(name) for name in wanted}

    # -- answer and score ----------------------------------------------------------------------------------------------

    def evaluate(self) -> dict[str, Any]:
        """Answer the test questions with every arm, score the answers, write the run's files; return the summary."""
        _refuse_several_processes()
        parts, config, run = self.parts, self.config, self.run_folder
        trained = self.train()
        inputs = self._answer_inputs(
            {name: [stage["weights"], *stage["seed_weights"].values()] for name, stage in trained.items()}
        )
        answered, _ = run.stage("answer", inputs, self._answer)
        questions, by_id = parts.questions.questions, parts.questions.by_id
        cases = read_lines(run.path(f"answer/{CASES}"), CaseRecord)
        records = [self._score(case, by_id[case.question_id]) for case in cases]
        records += measure_routed_arm(parts, run, records, fitted_on=router_inputs(parts, answers=inputs))
        lines = predictions_lines(records, arms=config.arms, questions=questions)
        summary = summarise(
            records,
            questions=questions,
            config=config.evaluation,
            arms=config.arms,
            build_costs={name: self._build_costs(name) for name in config.arms},
            losses={
                name: {"train": stage["loss"], "held_out": stage["held_out_loss"]}
                for name, stage in trained.items()
                if stage["loss"] is not None
            },
            failures=parts.corpus.failures,
            retrieval_depth=config.retrieval.depth,
            seed=config.seed,
        )
        if config.retrieval.threshold is not None:
            fit, given = self.fitted.threshold, config.retrieval.threshold
            summary["refusals"] = summarise_refusals(records, questions, config.arms, given if fit is None else fit)
        write_atomically(run.path("config.yaml"), dump_config(config))
        write_json(
            run.path("manifest.json"),
            make_manifest(parts, trained, collection=self.index()["fingerprint"], made_with=answered["made_with"]),
        )
        write_json(
            run.path("training.json"),
            {name: self._adapters.curve(name) for name in trained if "taken_from" not in trained[name]},
        )
        write_atomically(run.path("questions.jsonl"), to_lines(questions))
        write_atomically(run.path("passages.jsonl"), to_lines(self._passages(records)))
        write_atomically(run.path("records.jsonl"), to_lines(records))
        write_atomically(run.path("predictions.jsonl"), "".join(f"{line}\n" for line in lines))
        write_json(run.path("summary.json"), summary)
        self._show_race()
        write_decision(run.folder)
        return summary

    def _answer_inputs(self, weights: Mapping[str, Sequence[str]]) -> str:
        return answer_inputs(self.parts, collection=self.index()["fingerprint"], adapters=weights, fit=self.fitted)

    def _show_race(self) -> None:
        """Put what the race stopped beside the records; a run without a race has no such file."""
        raced, shown = self.run_folder.path(f"answer/{RACE}"), self.run_folder.path(RACE)
        shown.unlink(missing_ok=True)
        if raced.exists():
            write_atomically(shown, raced.read_bytes())

    def _passages(self, records: Sequence[CaseRecord]) -> list[PassageRecord]:
        """Return each passage that some prompt held, once, in order of its place."""
        places = {(hit.document_id, hit.start, hit.end) for record in records for hit in record.hits if hit.in_prompt}
        texts = {document.id: document.text for document in self.parts.corpus.documents}
        return [
            PassageRecord(document_id=id_, start=start, end=end, text=texts[id_][start:end])
            for id_, start, end in sorted(places)
        ]

    def _answer(self, folder: Path) -> dict[str, Any]:
        race = race_for(self.config, self.parts.questions.test)
        records = answer_questions(
            self.parts.questions.test,
            [arm for name in self.config.arms if name != self.config.routed_arm for arm in self._arms(name)],
            self.parts.generator,
            folder / CASES,
            batch_size=self.config.generation.batch_size,
            max_new_tokens=self.config.generation.max_new_tokens,
            not_found=self.config.prompt.not_found,
            race=race,
        )
        if race is not None:
            write_atomically(folder / RACE, race.report().model_dump_json(indent=1) + "\n")
        return {"records": len(records), "made_with": made_with()}

    def _arms(self, name: str, *, seeds: Sequence[int] | None = None) -> list[Arm]:
        """Return an arm ready to answer, once for each training seed of its adapter, which is attached on the way.

        Args:
            seeds: None: all that were trained with.
        """
        adapter, merge = self.config.arms[name].adapter, self.config.arms[name].merged
        strategy = self._strategy(name)
        if adapter is None:
            return [Arm(name, strategy, None)]
        return [
            Arm(name, strategy, self._attach(adapter, seed, merge=merge), seed)
            for seed in seeds or self._adapters.seeds(adapter)
        ]

    def _attach(self, adapter: str, seed: int, *, merge: bool) -> str:
        """Attach the adapter trained with `seed` unless it is; return the name it is attached under."""
        name = adapter if seed == self.config.seed else f"{adapter}-seed-{seed}"
        name += "-merged" if merge else ""
        if name not in self.parts.generator.adapters:
            self.parts.generator.load_adapter(name, self._adapters.folder(adapter, seed=seed), merge=merge)
        return name

    def _finder_of(self, retrieval: RetrievalConfig) -> Finder:
        """The steps an arm searches by; arms with equal settings share them, and so the last question's passages."""
        key = fingerprint(retrieval)
        if key not in self._finders:
            self.index()
            own = retrieval != self.config.retrieval
            finder = self.parts.build_finder(RetrievalFit(), retrieval) if own else self.finder
            self._finders[key] = LastFound(finder)
        return self._finders[key]

    def _strategy(self, name: str) -> Strategy:
        parts, arm, retrieval = self.parts, self.config.arms[name], self.config.retrieval_of(name)
        shown = parts.shots(arm.shots)
        builder = PromptBuilder(parts.tokenizer, self.config.prompt, shots=shown) if shown else parts.builder
        return build_strategy(
            arm,
            retrieval,
            builder=builder,
            finder=lambda: self._finder_of(retrieval),
            gold=lambda: self.parts.gold,
        )

    def _score(self, record: CaseRecord, question: Question) -> CaseRecord:
        scores = score_answer(question, record.answer, self.config.prompt.not_found)
        return record.model_copy(update={"scores": scores | record.scores})

    def _build_costs(self, name: str) -> dict[str, float]:
        collection, adapters = self.parts.collection_folder, self._adapters.folder
        return build_costs(
            name, self.config, self.index(), self.train(), collection=collection, adapter_folder=adapters
        )

    # -- report and single questions -----------------------------------------------------------------------------------

    def report(self) -> Path:
        """Write report.md and report.html from the run's files and return the path of report.html."""
        return write_run_report(self.run_folder.folder)

    def ask(self, question: str, *, arm: str) -> Answer:
        """Answer one question with one arm; the adapters it needs must have been trained.

        The routed arm takes the arm that the run's router chooses for this question; `Answer.route` says which and why.

        Raises:
            ConfigError: the config has no such arm, or the arm needs to be told where the answer stands.
            MissingModelError: the arm's adapter is not trained for this config.
            RunMismatchError: the run holds no router, a damaged one, or one fitted on other answers.
        """
        able = [name for name, one in self.config.arms.items() if one.strategy in ("closed_book", "rag", "routed")]
        if arm not in able:
            raise ConfigError(f"no arm {arm!r} can be asked; choose one of: {', '.join(able)}")
        asking = Asking(question, self.parts, strategy=self._strategy, arm=self._ready)
        return asking.route(self._router()) if arm == self.config.routed_arm else asking.answer(arm)

    def _ready(self, name: str) -> Arm:
        adapter = self.config.arms[name].adapter
        if adapter and not self._adapters.is_trained(adapter):
            raise MissingModelError(
                f"adapter {adapter!r} is not trained for this config in {self.run_folder.folder}; "
                f"train it: workbench train CONFIG --out {self.run_folder.folder}"
            )
        return self._arms(name, seeds=(self.config.seed,))[0]

    def _router(self) -> SavedRouter:
        path = self.run_folder.path(ROUTER_MODEL)
        router = read_router(path)
        names = dict.fromkeys(arm.adapter for arm in self.config.arms.values() if arm.adapter is not None)
        weights = {name: found for name in names if (found := self._adapters.weights(name)) is not None}
        whole = len(weights) == len(names)
        inputs = router_inputs(self.parts, answers=self._answer_inputs(weights)) if whole else None
        refuse_stale(router, path, fitted_on=inputs)
        return router


def _refuse_several_processes() -> None:
    if process_count() > 1:
        raise ConfigError(
            f"only training runs in several processes, and {process_count()} were launched; launch `workbench train`, "
            f"then run the rest without a launcher: it takes the trained adapters as they are"
        )


def _show_progress(bar: tqdm[NoReturn], done: int, total: int) -> None:
    bar.total = total
    bar.update(done - bar.n)
