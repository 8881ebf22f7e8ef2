"""The knobs of an experiment: what is asked, trained, compared and how it is judged, over a knowledge base's knobs.

Descriptions are the help text.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, model_validator

from workbench.config.base import Knobs
from workbench.config.checks import CheckConfig
from workbench.config.dataset import DatasetConfig
from workbench.config.decision import DecisionConfig
from workbench.config.engines import EngineConfig, LocalEngineConfig, OpenAIEngineConfig
from workbench.config.gates import GatesConfig
from workbench.config.knowledge import (
    ChunkingConfig,
    CorpusConfig,
    IndexConfig,
    ModelsConfig,
    RetrievalConfig,
    leaves_to_fit,
)
from workbench.config.monitoring import MonitoringConfig
from workbench.config.racing import RacingConfig
from workbench.config.series import FreshnessConfig, LearningCurveConfig, ScalingConfig, SweepConfig
from workbench.config.serving import ServingConfig
from workbench.config.training import TrainingConfig


class PromptConfig(Knobs):
    """How a question and its passages become a prompt. One layout for every arm, in training and in answering."""

    system: str = "Answer the question briefly. If you do not know, say: not in the documents."
    max_tokens: int = Field(1024, ge=32, description="budget of the whole prompt, in the generator's tokens")
    order: Literal["best_first", "best_last"] = Field(
        "best_last",
        description="of the passages; best_last: the best, still [1], stands next to the question, where "
        "SmolLM2-135M read best (docs/LOG.md)",
    )
    not_found: str = Field("not in the documents", min_length=1, description="the answer to an unanswerable question")


class GenerationConfig(Knobs):
    """How answers are generated: greedy, in batches fixed before the first question."""

    engine: EngineConfig = LocalEngineConfig()
    max_new_tokens: int = Field(32, ge=1)
    stop_at_newline: bool = Field(False, description="an answer is one line: what comes after it is not generated")
    batch_size: int = Field(16, ge=1, description="questions a batch")
    prefix_cache_gib: float = Field(
        2.0, ge=0, description="memory for shared prefixes' keys and values, in GiB; 0: off"
    )


class SplitConfig(Knobs):
    """How questions without a split of their own are split, by group; shares of the groups or of their questions."""

    new: float = Field(0.3, ge=0, lt=1, description="share of the groups kept away from training: the `new` test split")
    seen: float = Field(0.15, ge=0, lt=1, description="share of the other groups' questions: the `seen` test split")
    dev: float = Field(0.05, ge=0, lt=1, description="share of the other groups' questions: held-out loss")


class QuestionsConfig(Knobs):
    """Which questions."""

    path: Path
    split: SplitConfig = SplitConfig()
    limit: int | None = Field(None, ge=1, description="test questions per split at most, drawn by the seed; none: all")


class ArmConfig(Knobs):
    """One way to answer: passages or not, adapter or not."""

    strategy: Literal["closed_book", "rag", "oracle", "wrong_passages", "routed"] = Field(
        description="closed_book, rag; oracle: exactly the right passages, wrong_passages: none of a right document, "
        "which both are told the place and so must be a control; routed: whichever other arm a router chooses, a "
        "question at a time"
    )
    adapter: str | None = None
    passages: int | None = Field(None, ge=1, description="rag: hits offered to the prompt; none: retrieval.passages")
    shots: int = Field(
        0, ge=0, le=64, description="worked examples before the question, drawn by the seed from the train questions"
    )
    retrieval: dict[str, object] = Field(
        {},
        description="rag: keys of `retrieval` that this arm has its own values of, for example {method: {kind: dense}}",
    )
    merged: bool = Field(
        False,
        description="the adapter answers from inside the base's weights, as it would be served alone: the same answers "
        "but for rounding, without the adapter's own products; needs acts_from: prompt",
    )
    control: bool = Field(False, description="shown, never ranked")

    @property
    def prompted_by(self) -> tuple[object, ...]:
        """What decides an arm's prompts: arms equal in it differ in their adapter only."""
        return (self.strategy, self.passages, self.shots, json.dumps(self.retrieval, sort_keys=True))


class EvaluationConfig(Knobs):
    """How answers are judged."""

    resamples: int = Field(2000, ge=100, description="sign flips behind each p")
    confidence: float = Field(0.95, gt=0.5, lt=1)
    ranked_by: Literal["f1", "exact_match", "contains"] = "f1"
    margin: float = Field(
        0.02,
        gt=0,
        lt=0.5,
        description="difference in ranked_by that does not matter to you: closer arms are equivalent",
    )
    checks: dict[str, CheckConfig] = Field(
        {}, description="rules an answer's form has to keep, by a name of yours; shown as specialisation, never ranked"
    )
    racing: RacingConfig = RacingConfig()


DEFAULT_ARMS = {
    "base": ArmConfig(strategy="closed_book"),
    "rag": ArmConfig(strategy="rag"),
    "lora": ArmConfig(strategy="closed_book", adapter="closed_book"),
    "rag_lora": ArmConfig(strategy="rag", adapter="closed_book"),
    "rag_reader": ArmConfig(strategy="rag", adapter="reader"),
    "rag_oracle": ArmConfig(strategy="oracle", control=True),
}


class ExperimentConfig(Knobs):
    """One experiment: a corpus, its questions, models, and the arms to compare."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="names the run's folder")
    seed: int = Field(0, ge=0)
    offline: bool = Field(True, description="refuse every connection that leaves this machine; false: let them out")
    corpus: CorpusConfig = CorpusConfig()
    questions: QuestionsConfig
    models: ModelsConfig = ModelsConfig()
    chunking: ChunkingConfig = ChunkingConfig()
    index: IndexConfig = IndexConfig()
    retrieval: RetrievalConfig = RetrievalConfig()
    prompt: PromptConfig = PromptConfig()
    generation: GenerationConfig = GenerationConfig()
    training: TrainingConfig = TrainingConfig()
    gates: GatesConfig = GatesConfig()
    dataset: DatasetConfig = DatasetConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    decision: DecisionConfig = DecisionConfig()
    freshness: FreshnessConfig = FreshnessConfig()
    scaling: ScalingConfig = ScalingConfig()
    learning_curve: LearningCurveConfig = LearningCurveConfig()
    sweep: SweepConfig = SweepConfig()
    serving: ServingConfig = ServingConfig()
    monitoring: MonitoringConfig = MonitoringConfig()
    arms: dict[str, ArmConfig] = Field(DEFAULT_ARMS, min_length=1)

    @model_validator(mode="after")
    def _methods_fit_the_base(self) -> ExperimentConfig:
        for name in self.training.adapters:
            if self.models.quantize != "none" and self.training.recipe(name).method == "pissa":
                raise ValueError(
                    f"adapter {name!r} has method: pissa, which changes the base's weights, but models.quantize is "
                    f"{self.models.quantize!r}; take method: lora"
                )
        return self

    @model_validator(mode="after")
    def _only_a_plain_adapter_is_merged(self) -> ExperimentConfig:
        for name, arm in self.arms.items():
            if not arm.merged:
                continue
            if arm.adapter is None:
                raise ValueError(f"arm {name!r} has merged: true, but no adapter; name one, or leave merged out")
            if self.models.quantize != "none":
                raise ValueError(f"arm {name!r} has merged: true, but models.quantize is {self.models.quantize!r}")
            settings = self.training.adapters.get(arm.adapter)
            trained_here = settings is not None and settings.examples != "trained"
            if trained_here and self.training.recipe(arm.adapter).acts_from != "prompt":
                raise ValueError(
                    f"arm {name!r} has merged: true, but adapter {arm.adapter!r} acts from the question on: merged "
                    f"weights would read the passages too; set recipe: {{acts_from: prompt}}"
                )
        return self

    @model_validator(mode="after")
    def _controls_are_told_the_place(self) -> ExperimentConfig:
        for name, arm in self.arms.items():
            if arm.strategy == "wrong_passages" and not arm.control:
                raise ValueError(
                    f"arm {name!r} has strategy: wrong_passages, which is told the place; set control: true"
                )
            if arm.strategy == "routed" and (arm.adapter is not None or arm.control):
                raise ValueError(f"arm {name!r} has strategy: routed, which has no adapter of its own and competes")
        routed = [name for name, arm in self.arms.items() if arm.strategy == "routed"]
        if len(routed) > 1:
            raise ValueError(f"only one arm can be routed, but {' and '.join(routed)} are")
        return self

    @property
    def routed_arm(self) -> str | None:
        """The arm that chooses among the others; None: there is none."""
        return next((name for name, arm in self.arms.items() if arm.strategy == "routed"), None)

    @model_validator(mode="after")
    def _the_race_is_between_these_arms(self) -> ExperimentConfig:
        racing = self.evaluation.racing
        if racing.enabled and self.routed_arm is not None:
            raise ValueError(
                f"arm {self.routed_arm!r} is routed, so it needs every arm's answer to every question, but "
                "evaluation.racing stops arms early; remove the arm or set evaluation.racing.enabled: false"
            )
        if unknown := [name for name in racing.keep if name not in self.arms]:
            raise ValueError(f"evaluation.racing.keep names {', '.join(unknown)}; the arms are: {', '.join(self.arms)}")
        return self

    @model_validator(mode="after")
    def _arms_offer_what_is_found(self) -> ExperimentConfig:
        for name, arm in self.arms.items():
            if arm.passages is None:
                continue
            if arm.strategy != "rag":
                raise ValueError(f"arm {name!r} sets passages, but strategy {arm.strategy!r} retrieves none; use rag")
            if arm.passages > self.retrieval.depth:
                raise ValueError(
                    f"arm {name!r} offers {arm.passages} passages, but retrieval.depth is {self.retrieval.depth}"
                )
        return self

    @model_validator(mode="after")
    def _arms_own_retrieval_is_valid(self) -> ExperimentConfig:
        for name, arm in self.arms.items():
            if not arm.retrieval:
                continue
            place = f"arms.{name}.retrieval"
            if arm.strategy != "rag":
                raise ValueError(f"{place}: strategy {arm.strategy!r} has no retrieval of its own; use rag")
            for key in arm.retrieval:
                if key in ("depth", "passages") or key not in RetrievalConfig.model_fields:
                    known = [one for one in RetrievalConfig.model_fields if one not in ("depth", "passages")]
                    raise ValueError(f"unknown key `{place}.{key}`; known: {', '.join(known)}")
            try:
                own = self.retrieval_of(name)
            except ValidationError as error:
                fault = error.errors()[0]
                keys = ".".join(str(part) for part in (place, *fault["loc"]))
                raise ValueError(f"`{keys}`: {fault['msg']} (it is {fault['input']!r})") from error
            if left := leaves_to_fit(own):
                raise ValueError(
                    f"{place} leaves {left[0]} to be fitted, which is done for the experiment's own retrieval only; "
                    "name numbers"
                )
        return self

    def retrieval_of(self, arm: str) -> RetrievalConfig:
        """Return the retrieval settings of an arm: the experiment's, with the arm's own values."""
        own = self.arms[arm].retrieval
        return RetrievalConfig.model_validate(self.retrieval.model_dump() | own) if own else self.retrieval

    @model_validator(mode="after")
    def _arms_name_trained_adapters(self) -> ExperimentConfig:
        for name, arm in self.arms.items():
            if arm.adapter is not None and arm.adapter not in self.training.adapters:
                known = ", ".join(self.training.adapters) or "none"
                raise ValueError(f"arm {name!r} wants adapter {arm.adapter!r}, but training.adapters has: {known}")
        return self

    @model_validator(mode="after")
    def _the_server_has_the_adapters(self) -> ExperimentConfig:
        engine = self.generation.engine
        if not isinstance(engine, OpenAIEngineConfig):
            return self
        for name, arm in self.arms.items():
            if arm.merged:
                raise ValueError(
                    f"arm {name!r} has merged: true, but generation.engine is {engine.url}, which merges nothing; "
                    "leave merged out"
                )
            missing = [one for one in self.adapter_names(arm.adapter) if one not in engine.adapters]
            if missing:
                known = ", ".join(engine.adapters) or "none"
                raise ValueError(
                    f"arm {name!r} needs adapter {missing[0]!r}, but generation.engine.adapters has: {known}; train it "
                    "(workbench train CONFIG --set 'generation.engine={kind: local}'), let the server load it, and "
                    f"add `{missing[0]}: ITS NAME THERE`"
                )
        return self

    def adapter_names(self, adapter: str | None) -> tuple[str, ...]:
        """Return the names under which an arm's adapter is asked, one for each seed it is trained with."""
        if adapter is None:
            return ()
        taken = self.training.adapters[adapter].folder is not None
        seeds = () if taken else tuple(dict.fromkeys(self.training.seeds))
        return (adapter, *(f"{adapter}-seed-{seed}" for seed in seeds if seed != self.seed))
