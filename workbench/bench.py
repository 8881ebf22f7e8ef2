"""`Bench`: the composition root and the public face; the command line and scripts/ call it and nothing else.

A bench belongs to one config and one run folder. Every stage is stamped with the fingerprint of its inputs and reused
when nothing changed: index → train → answer → score → report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from workbench import offline
from workbench.adapting import Adapters
from workbench.asking import Asking
from workbench.building_costs import build_costs
from workbench.config import ExperimentConfig, RetrievalConfig, dump_config
from workbench.config.serving import CONTEXT_TOKENS
from workbench.contracts import Engine, Finder, Strategy
from workbench.curation import Progress as Progressing
from workbench.errors import ConfigError, MissingModelError
from workbench.evaluation import predictions_lines, score_answer, summarise
from workbench.evaluation.calibration import summarise_refusals
from workbench.evaluation.run_race import race_for
from workbench.evaluation.runner import Arm, answer_questions
from workbench.generation import ContinuousEngine, OpenAIGenerator
from workbench.generation.limits import longest_context
from workbench.hardware import made_with
from workbench.indexing import bring_in_line
from workbench.inputs import answer_inputs, fit_inputs, inputs_by_arm, router_inputs
from workbench.lending import ANSWER, CASES, borrow_answers
from workbench.manifest import make_manifest
from workbench.parts import DOCUMENTS, Material, Parts, RetrievalFit
from workbench.processes import process_count
from workbench.prompting import PromptBuilder
from workbench.reporting import RACE, write_decision, write_run_report
from workbench.retrieval import LastFound
from workbench.routed_arm import ROUTER_MODEL, measure_routed_arm
from workbench.runs import Run, fingerprint, read_lines, to_lines, write_atomically, write_json
from workbench.strategies import build_strategy
from workbench.types import Answer, CaseRecord, Generation, PassageRecord, Prompt, Question
from workbench.verdict.saved_router import SavedRouter, read_router, refuse_stale


class Bench:
    """One experiment, step by step or by `run`."""

    def __init__(
        self,
        config: ExperimentConfig,
        *,
        out: Path | None = None,
        material: Material | None = None,
        lenders: Sequence[Path] = (),
        grow_lent: bool = True,
    ) -> None:
        """Open or create the run folder `out` (default: runs/NAME). Nothing is loaded yet.

        From now on this process refuses connections that leave the machine, unless the config has `offline: false`.

        Args:
            material: documents and questions in place of what the config's paths hold.
            lenders: folders of other runs. What they have done with equal inputs is copied, and a collection of theirs
                with the same embedder is where indexing begins.
            grow_lent: False: take a lender's collection only where it is what this run would build, so that the
                seconds of indexing are those from nothing, or from its own collection.
        """
        offline.apply(config.offline)
        self.config = config
        self.run_folder = Run(out or Path("runs") / config.name, lenders=lenders)
        self.parts = Parts(config, self.run_folder.folder, material=material)
        self._grow_lent = grow_lent
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
        return bring_in_line(self.parts, self.run_folder, grow_lent=self._grow_lent)

    @cached_property
    def _indexed(self) -> dict[str, Any]:
        return self.update_index()[0]

    def index(self) -> dict[str, Any]:
        """Bring the collection in line with the corpus; only new and changed chunks are embedded."""
        return self._indexed

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

    def train(self, only: str | None = None) -> dict[str, dict[str, Any]]:
        """Train the adapters the arms name, or `only` one of training.adapters; return what each stage recorded."""
        self.parts.check()
        if only is None:
            return self._trained
        if only not in self.config.training.adapters:
            known = ", ".join(self.config.training.adapters)
            raise ConfigError(f"no adapter {only!r} in training.adapters; there are: {known}")
        return {only: self._adapters.train(only)}

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
        weights = {name: [stage["weights"], *stage["seed_weights"].values()] for name, stage in trained.items()}
        inputs, of_arms = self._answer_inputs(weights), self._inputs_by_arm(weights)
        answered, _ = run.stage(ANSWER, inputs, partial(self._answer, of_arms))
        questions, by_id = parts.questions.questions, parts.questions.by_id
        cases = read_lines(run.path(f"{ANSWER}/{CASES}"), CaseRecord)
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
            make_manifest(
                parts, trained, collection=self.index()["fingerprint"], made_with=answered["made_with"], arms=of_arms
            ),
        )
        write_json(run.path(DOCUMENTS), parts.corpus.contents)
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

    def _inputs_by_arm(self, weights: Mapping[str, Sequence[str]]) -> dict[str, str]:
        return inputs_by_arm(self.parts, collection=self.index()["fingerprint"], adapters=weights, fit=self.fitted)

    def _show_race(self) -> None:
        """Put what the race stopped beside the records; a run without a race has no such file."""
        raced, shown = self.run_folder.path(f"{ANSWER}/{RACE}"), self.run_folder.path(RACE)
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

    def _answer(self, of_arms: Mapping[str, str], folder: Path) -> dict[str, Any]:
        parts, race = self.parts, race_for(self.config, self.parts.questions.test)
        asked = {name: inputs for name, inputs in of_arms.items() if name != self.config.routed_arm}
        lenders = self.run_folder.lenders if race is None else ()  # how far an arm came in a race is the race's own
        ids = [question.id for question in parts.questions.test]
        lent = borrow_answers(folder / CASES, asked, ids, lenders)
        records = answer_questions(
            parts.questions.test,
            [arm for name in self.config.arms if name != self.config.routed_arm for arm in self._arms(name)],
            parts.generator,
            folder / CASES,
            batch_size=self.config.generation.batch_size,
            max_new_tokens=self.config.generation.max_new_tokens,
            not_found=self.config.prompt.not_found,
            race=race,
            scores_gold=parts.scores_gold,
            elsewhere=parts.answers_elsewhere,
        )
        if race is not None:
            write_atomically(folder / RACE, race.report().model_dump_json(indent=1) + "\n")
        return {"records": len(records), "made_with": made_with(), "arms": asked if race is None else {}, "lent": lent}

    def _arms(self, name: str) -> list[Arm]:
        """Return an arm ready to answer, once for each training seed of its adapter, which is attached on the way."""
        adapter, merge = self.config.arms[name].adapter, self.config.arms[name].merged
        strategy = self.strategy(name)
        if adapter is None:
            return [Arm(name, strategy, None)]
        return [
            Arm(name, strategy, self._attach(adapter, seed, merge=merge), seed)
            for seed in self._adapters.seeds(adapter)
        ]

    def _attach(self, adapter: str, seed: int, *, merge: bool) -> str:
        """Attach the adapter trained with `seed` unless it is; return the name it is attached under."""
        name = adapter if seed == self.config.seed else f"{adapter}-seed-{seed}"
        name += "-merged" if merge else ""
        if name not in self.parts.generator.adapters:
            self.parts.generator.load_adapter(name, self._adapters.folder(adapter, seed=seed), merge=merge)
        return name

    def finder_of(self, retrieval: RetrievalConfig) -> Finder:
        """The steps an arm searches by; arms with equal settings share them, and so the last question's passages."""
        key = fingerprint(retrieval)
        if key not in self._finders:
            self.index()
            own = retrieval != self.config.retrieval
            finder = self.parts.build_finder(RetrievalFit(), retrieval) if own else self.finder
            self._finders[key] = LastFound(finder)
        return self._finders[key]

    def strategy(self, name: str) -> Strategy:
        """Return how an arm makes its prompts; its adapter is not touched."""
        parts, arm, retrieval = self.parts, self.config.arms[name], self.config.retrieval_of(name)
        shown = parts.shots(arm.shots)
        builder = PromptBuilder(parts.tokenizer, self.config.prompt, shots=shown) if shown else parts.builder
        return build_strategy(
            arm,
            retrieval,
            builder=builder,
            finder=lambda: self.finder_of(retrieval),
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
        if arm not in self.askable:
            raise ConfigError(f"no arm {arm!r} can be asked; choose one of: {', '.join(self.askable)}")
        asking = Asking(question, self.parts, strategy=self.strategy, arm=self.ready_arm, generate=self._generate)
        return asking.route(self.router()) if arm == self.config.routed_arm else asking.answer(arm)

    @property
    def askable(self) -> tuple[str, ...]:
        """The arms that a question alone can be put to: all but the controls that are told where the answer stands."""
        arms = self.config.arms.items()
        return tuple(name for name, arm in arms if arm.strategy in ("closed_book", "rag", "routed"))

    def is_trained(self, adapter: str) -> bool:
        """Whether adapter `adapter` was trained with the config, corpus and questions as they are now."""
        return self._adapters.is_trained(adapter)

    def attach(self, adapter: str, *, merge: bool = False) -> str:
        """Attach a trained adapter, of the experiment's own seed, to the generator; return the name it has there.

        Raises:
            MissingModelError: it is not trained for this config.
        """
        if not self.is_trained(adapter):
            raise MissingModelError(
                f"adapter {adapter!r} is not trained for this config in {self.run_folder.folder}; "
                f"train it: workbench train CONFIG --out {self.run_folder.folder}"
            )
        return self._attach(adapter, self.config.seed, merge=merge)

    def ready_arm(self, name: str) -> Arm:
        """Return an arm ready to answer, its adapter attached. Raises MissingModelError where that is not trained."""
        arm = self.config.arms[name]
        adapter = None if arm.adapter is None else self.attach(arm.adapter, merge=arm.merged)
        return Arm(name, self.strategy(name), adapter, None if adapter is None else self.config.seed)

    def open_engine(self) -> Engine:
        """Return an engine of many users over the generator, which is the engine's alone until that is closed."""
        serving, generator = self.config.serving, self.parts.generator
        if isinstance(generator, OpenAIGenerator):
            return generator.open_engine(queue=serving.queue)
        context_tokens = serving.context_tokens or min(CONTEXT_TOKENS, longest_context(generator.model))
        return ContinuousEngine(generator, slots=serving.slots, queue=serving.queue, context_tokens=context_tokens)

    def _generate(self, prompt: Prompt, adapter: str | None) -> Generation:
        limit = self.config.generation.max_new_tokens
        return self.parts.generator.generate([prompt], adapter=adapter, max_new_tokens=limit)[0]

    def router(self) -> SavedRouter:
        """Return the run's router. Raises RunMismatchError: none, a damaged one, or one fitted on other answers."""
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
