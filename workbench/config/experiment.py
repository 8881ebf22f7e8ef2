"""The knobs of an experiment: what is asked, trained, compared and how it is judged, over a knowledge base's knobs.

Descriptions are the help text.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, model_validator

from workbench.config.base import Knobs
from workbench.config.dataset import DatasetConfig
from workbench.config.knowledge import ChunkingConfig, CorpusConfig, IndexConfig, ModelsConfig, RetrievalConfig


class PromptConfig(Knobs):
    """How a question and its passages become a prompt. One layout for every arm, in training and in answering."""

    system: str = "Answer the question briefly. If you do not know, say: not in the documents."
    max_tokens: int = Field(1024, ge=32, description="budget of the whole prompt, in the generator's tokens")
    not_found: str = Field("not in the documents", min_length=1, description="the answer to an unanswerable question")


class LocalEngineConfig(Knobs):
    """Transformers on this machine."""

    kind: Literal["local"] = "local"


class GenerationConfig(Knobs):
    """How answers are generated: greedy, in batches fixed before the first question."""

    engine: LocalEngineConfig = LocalEngineConfig()
    max_new_tokens: int = Field(32, ge=1)
    stop_at_newline: bool = Field(False, description="an answer is one line: what comes after it is not generated")
    batch_size: int = Field(16, ge=1, description="questions a batch")
    prefix_cache_gib: float = Field(
        2.0, ge=0, description="memory for shared prefixes' keys and values, in GiB; 0: off"
    )


class RecipeConfig(Knobs):
    """The LoRA recipe shared by all adapters; an adapter may override any of it."""

    r: int = Field(16, ge=1, le=512, description="LoRA rank")
    alpha: int = Field(32, ge=1, description="LoRA scale times rank")
    dropout: float = Field(0.0, ge=0, lt=1)
    learning_rate: float = Field(5e-4, gt=0, lt=3e-3, description="peak; 3e-3 and above diverges")
    warmup_ratio: float = Field(0.03, ge=0, lt=1, description="share of the steps that ramp up; then linear to 0")
    weight_decay: float = Field(0.0, ge=0)
    clip_norm: float = Field(1.0, gt=0)
    epochs: int = Field(4, ge=1)
    batch_size: int = Field(8, ge=1, description="examples a step, over all micro-batches")
    micro_batch_size: int = Field(8, ge=1, description="examples held in memory at once")
    max_tokens: int = Field(1024, ge=16, description="longest example; longer ones are dropped and counted")
    max_examples: int | None = Field(None, ge=1, description="use only the first N after shuffling; none: all")
    acts_from: Literal["question", "prompt"] = Field(
        "question",
        description="question: passages are read by the base, their keys and values shared; prompt: plain LoRA",
    )
    evaluations: int = Field(4, ge=1, description="held-out evaluations in a run")
    keep: Literal["best", "last"] = Field(
        "best",
        description="best: the checkpoint with the lowest held-out loss; last: for closed-book facts, whose held-out "
        "questions ask other facts and so cannot get better",
    )
    prefix_cache_gib: float = Field(8.0, ge=0, description="memory for prefixes' keys and values over epochs, in GiB")

    @model_validator(mode="after")
    def _micro_batches_divide(self) -> RecipeConfig:
        if self.batch_size % min(self.micro_batch_size, self.batch_size):
            raise ValueError(
                f"batch_size {self.batch_size} is not a multiple of micro_batch_size {self.micro_batch_size}"
            )
        return self


class AdapterConfig(Knobs):
    """One adapter: which examples it learns from, and where it departs from the shared recipe."""

    examples: Literal["closed_book", "reader"]
    passages: int | None = Field(None, ge=1, description="reader: passages a row; none: retrieval.passages")
    without_gold: float = Field(0.1, ge=0, le=1, description="reader: share of rows whose right passage is left out")
    recipe: dict[str, object] = Field({}, description="recipe keys to override, for example {epochs: 6}")


class TrainingConfig(RecipeConfig):
    """Which adapters are trained, and the recipe."""

    adapters: dict[str, AdapterConfig] = Field(
        {"closed_book": AdapterConfig(examples="closed_book"), "reader": AdapterConfig(examples="reader")}
    )

    @model_validator(mode="after")
    def _overrides_are_valid(self) -> TrainingConfig:
        for name, adapter in self.adapters.items():
            for key in adapter.recipe:
                if key not in RecipeConfig.model_fields:
                    nearest = difflib.get_close_matches(key, RecipeConfig.model_fields, n=1, cutoff=0.5)
                    hint = (
                        f"did you mean `{nearest[0]}`?" if nearest else f"known: {', '.join(RecipeConfig.model_fields)}"
                    )
                    raise ValueError(f"unknown key `adapters.{name}.recipe.{key}`; {hint}")
            try:
                self.recipe(name)
            except ValidationError as error:
                fault = error.errors()[0]
                place = ".".join(str(part) for part in ("adapters", name, "recipe", *fault["loc"]))
                raise ValueError(f"`{place}`: {fault['msg']} (it is {fault['input']!r})") from error
        return self

    def recipe(self, adapter: str) -> RecipeConfig:
        """Return the shared recipe with the overrides of `adapter`."""
        shared = {key: getattr(self, key) for key in RecipeConfig.model_fields}
        return RecipeConfig.model_validate(shared | self.adapters[adapter].recipe)


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

    strategy: Literal["closed_book", "rag", "oracle"]
    adapter: str | None = None
    control: bool = Field(False, description="shown, never ranked")


class EvaluationConfig(Knobs):
    """How answers are judged."""

    resamples: int = Field(2000, ge=100, description="bootstrap resamples")
    confidence: float = Field(0.95, gt=0.5, lt=1)
    ranked_by: Literal["f1", "exact_match", "contains"] = "f1"


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
    corpus: CorpusConfig = CorpusConfig()
    questions: QuestionsConfig
    models: ModelsConfig = ModelsConfig()
    chunking: ChunkingConfig = ChunkingConfig()
    index: IndexConfig = IndexConfig()
    retrieval: RetrievalConfig = RetrievalConfig()
    prompt: PromptConfig = PromptConfig()
    generation: GenerationConfig = GenerationConfig()
    training: TrainingConfig = TrainingConfig()
    dataset: DatasetConfig = DatasetConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    arms: dict[str, ArmConfig] = Field(DEFAULT_ARMS, min_length=1)

    @model_validator(mode="after")
    def _arms_name_trained_adapters(self) -> ExperimentConfig:
        for name, arm in self.arms.items():
            if arm.adapter is not None and arm.adapter not in self.training.adapters:
                known = ", ".join(self.training.adapters) or "none"
                raise ValueError(f"arm {name!r} wants adapter {arm.adapter!r}, but training.adapters has: {known}")
        return self
