"""Every knob of an experiment: typed, with range and unit. Read-only and closed: an unknown key is an error.

Descriptions are the help text. Choices of a part are tagged unions on `kind`.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from workbench.filters import parse_filter


class Knobs(BaseModel):
    """Base of all sections."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CorpusConfig(Knobs):
    """Which documents."""

    path: Path | None = Field(None, description="folder of documents; none: the passages inside questions.path (SQuAD)")
    include: tuple[str, ...] = Field(("**/*",), description="glob patterns below path")


class ModelsConfig(Knobs):
    """Which models, by catalogue name, by folder, or as hf:OWNER/NAME@REVISION once fetched."""

    generator: str = "smollm2-135m-instruct"
    embedder: str = "all-minilm-l6-v2"
    embedder_backend: Literal["auto", "torch", "openvino"] = Field(
        "auto", description="what computes embeddings; auto: openvino on a CPU where it is installed, else torch"
    )
    reranker: str = Field("ms-marco-minilm-l12-v2", description="cross-encoder; loaded only if retrieval.rerank is set")
    device: Literal["auto", "cpu", "cuda"] = "auto"
    dtype: Literal["auto", "bfloat16", "float32"] = Field(
        "auto", description="auto: bfloat16 where the hardware has it"
    )


class ChunkingConfig(Knobs):
    """How documents are cut."""

    max_tokens: int = Field(256, ge=16, description="longest chunk with its headings, in the embedder's tokens")
    overlap_tokens: int = Field(32, ge=0, description="tokens shared by two chunks where one block had to be cut")

    @model_validator(mode="after")
    def _overlap_fits(self) -> ChunkingConfig:
        if self.overlap_tokens * 2 > self.max_tokens:
            raise ValueError(f"overlap_tokens {self.overlap_tokens} is more than half of max_tokens {self.max_tokens}")
        return self


class IndexConfig(Knobs):
    """How vectors are indexed. `auto` decides by size, memory and measured recall, and records what and why."""

    kind: Literal["auto", "flat", "hnsw", "ivf"] = Field("auto", description="flat: exact; hnsw, ivf: approximate")
    codes: Literal["auto", "none", "sq8", "pq", "rabitq"] = Field(
        "auto", description="how an approximate index keeps vectors in memory; candidates are scored again exactly"
    )
    target_recall: float = Field(
        0.97, gt=0.5, le=1, description="recall@10 against exact search, measured on a sample; search effort follows it"
    )
    memory_gib: float = Field(2.0, gt=0, description="memory for building and for the resident index, in GiB")


class DenseConfig(Knobs):
    """Nearest neighbours of the question's embedding."""

    kind: Literal["dense"] = "dense"


class LexicalConfig(Knobs):
    """BM25 over words."""

    kind: Literal["lexical"] = "lexical"


class FusionConfig(Knobs):
    """Several retrievers fused into one ranking."""

    kind: Literal["fusion"] = "fusion"
    parts: tuple[DenseConfig | LexicalConfig, ...] = Field((DenseConfig(), LexicalConfig()), min_length=2)
    by: Literal["rank", "convex", "log_odds"] = Field(
        "rank",
        description="rank: reciprocal ranks; convex: weighted scores, scaled to 0..1 within each pool; log_odds: "
        "weighted logits of scores calibrated on dev questions",
    )
    weights: tuple[float, ...] | None = Field(
        None, description="convex and log_odds: one weight a part; none: fitted on the dev split's relevant spans"
    )
    damping: int = Field(60, ge=1, description="rank: the constant added to every rank")
    pool: int = Field(100, ge=1, description="hits taken from each part before fusing")

    @model_validator(mode="after")
    def _one_weight_a_part(self) -> FusionConfig:
        if self.weights is not None and len(self.weights) != len(self.parts):
            raise ValueError(f"{len(self.weights)} weights for {len(self.parts)} parts")
        if self.weights is not None and (min(self.weights) < 0 or sum(self.weights) == 0):
            raise ValueError(f"weights {self.weights} must not be negative, nor all 0")
        return self


RetrieverConfig = Annotated[DenseConfig | LexicalConfig | FusionConfig, Field(discriminator="kind")]


class RerankConfig(Knobs):
    """The best of the first ranking, read again by models.reranker together with the question."""

    pool: int = Field(50, ge=1, description="hits of the first ranking that are scored again; the rest is dropped")


class DiversityConfig(Knobs):
    """Maximal marginal relevance: each next hit is good and unlike those before it."""

    relevance: float = Field(0.7, ge=0, le=1, description="1: order unchanged; 0: difference alone")
    pool: int = Field(30, ge=1, description="hits of the ranking so far that are chosen from")


class ExpansionConfig(Knobs):
    """Found by a small chunk, read in its surroundings."""

    by: Literal["neighbours", "section"] = "neighbours"
    neighbours: int = Field(1, ge=1, description="neighbours: chunks taken in before and after each hit")
    max_tokens: int = Field(512, ge=16, description="longest expanded passage, in the embedder's tokens")


class RetrievalConfig(Knobs):
    """How passages are found: method, then rerank, threshold, diversity and expansion, each only where set."""

    method: RetrieverConfig = FusionConfig()
    rerank: RerankConfig | None = None
    threshold: float | Literal["fitted"] | None = Field(
        None,
        description="least score of the best hit, after reranking, for an answer; below it the answer is "
        "prompt.not_found. fitted: on the dev split's answerable and unanswerable questions",
    )
    diversity: DiversityConfig | None = None
    expansion: ExpansionConfig | None = None
    filter: dict[str, object] | None = Field(None, description="metadata filter, for example {language: en}")
    depth: int = Field(10, ge=1, description="hits recorded per question, for hit@k and nDCG@10")
    passages: int = Field(2, ge=1, description="hits offered to the prompt")

    @model_validator(mode="after")
    def _depth_covers_passages(self) -> RetrievalConfig:
        if self.depth < self.passages:
            raise ValueError(f"depth {self.depth} is below passages {self.passages}")
        if self.filter is not None:
            parse_filter(self.filter)
        return self


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
    evaluation: EvaluationConfig = EvaluationConfig()
    arms: dict[str, ArmConfig] = Field(DEFAULT_ARMS, min_length=1)

    @model_validator(mode="after")
    def _arms_name_trained_adapters(self) -> ExperimentConfig:
        for name, arm in self.arms.items():
            if arm.adapter is not None and arm.adapter not in self.training.adapters:
                known = ", ".join(self.training.adapters) or "none"
                raise ValueError(f"arm {name!r} wants adapter {arm.adapter!r}, but training.adapters has: {known}")
        return self
