"""The knobs of a knowledge base: documents in, passages out. Descriptions are the help text.

Choices of a part are tagged unions on `kind`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from workbench.config.base import Knobs
from workbench.filters import parse_filter


class Limits(Knobs):
    """What one file may cost while it is parsed, in a child process that is killed beyond it."""

    memory_bytes: int = Field(2**30, ge=2**28, description="memory of the child; its libraries take 0.2 GiB of it")
    cpu_seconds: float = Field(30, gt=0, description="processor time")
    wall_seconds: float = Field(30, gt=0, description="time by the clock")
    output_bytes: int = Field(2**26, ge=2**10, description="text, blocks and metadata together, as UTF-8 JSON")
    input_bytes: int = Field(2**26, ge=1, description="the file's size")


class CorpusConfig(Knobs):
    """Which documents."""

    path: Path | None = Field(None, description="folder of documents; none: the passages inside questions.path (SQuAD)")
    collection: Path | None = Field(
        None, description="a collection that holds the documents already, in place of path: their files are not needed"
    )
    include: tuple[str, ...] = Field(("**/*",), description="glob patterns below path")
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _documents_come_from_one_place(self) -> CorpusConfig:
        if self.path is not None and self.collection is not None:
            raise ValueError(f"path {self.path} and collection {self.collection} both name documents; set one")
        return self

    @property
    def inside_questions(self) -> bool:
        """Whether the documents are the passages of the question file."""
        return self.path is None and self.collection is None


class ModelsConfig(Knobs):
    """Which models, by catalogue name, by folder, or as hf:OWNER/NAME@REVISION once fetched."""

    generator: str = "smollm2-135m-instruct"
    embedder: str = "all-minilm-l6-v2"
    embedder_backend: Literal["auto", "torch", "openvino"] = Field(
        "auto", description="what computes embeddings; auto: openvino on a CPU where it is installed, else torch"
    )
    reranker: str = Field("ms-marco-minilm-l12-v2", description="cross-encoder; loaded only if retrieval.rerank is set")
    reranker_backend: Literal["auto", "torch", "openvino"] = Field(
        "auto", description="what computes the reranker's scores; auto: as for embedder_backend"
    )
    device: Literal["auto", "cpu", "cuda"] = "auto"
    dtype: Literal["auto", "bfloat16", "float32"] = Field(
        "auto", description="auto: bfloat16 where the hardware has it"
    )
    quantize: Literal["none", "nf4"] = Field(
        "none", description="nf4: the generator's weights in 4 bits (QLoRA); needs a GPU and the package bitsandbytes"
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
    unit: Literal["chunk", "document"] = Field(
        "chunk", description="chunk: passages to read; document: one hit a document, ranks counted over documents"
    )
    pool: int = Field(100, ge=1, description="hits taken from each part before fusing")

    @model_validator(mode="after")
    def _one_weight_a_part(self) -> FusionConfig:
        if self.weights is not None and len(self.weights) != len(self.parts):
            raise ValueError(f"{len(self.weights)} weights for {len(self.parts)} parts")
        if self.weights is not None and (min(self.weights) < 0 or sum(self.weights) == 0):
            raise ValueError(f"weights {self.weights} must not be negative, nor all 0")
        return self

    @model_validator(mode="after")
    def _documents_are_ranked(self) -> FusionConfig:
        if self.unit == "document" and self.by != "rank":
            raise ValueError(
                f"unit 'document' is fused by rank alone, not by {self.by!r}; take by: rank or unit: chunk"
            )
        return self


RetrieverConfig = Annotated[DenseConfig | LexicalConfig | FusionConfig, Field(discriminator="kind")]


class RerankConfig(Knobs):
    """The best of the first ranking, read again by models.reranker together with the question."""

    pool: int = Field(50, ge=1, description="hits of the first ranking that are scored again; the rest is dropped")


class DiversityConfig(Knobs):
    """Maximal marginal relevance: each next hit is good and unlike those before it."""

    relevance: float = Field(0.9, ge=0, le=1, description="1: order unchanged; 0: difference alone")
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
        "prompt.not_found. fitted: on the dev split's answerable and unanswerable questions; best with by: log_odds",
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


def leaves_to_fit(retrieval: RetrievalConfig) -> list[str]:
    """Return which knobs ask for numbers that only dev questions can give."""
    method = retrieval.method
    fused = isinstance(method, FusionConfig) and (
        method.by == "log_odds" or (method.by == "convex" and method.weights is None)
    )
    return [*(["method.by"] if fused else []), *(["threshold"] if retrieval.threshold == "fitted" else [])]


class LibraryConfig(Knobs):
    """A collection on its own: how its documents are read, cut, embedded, indexed and found."""

    offline: bool = Field(True, description="refuse every connection that leaves this machine; false: let them out")
    include: tuple[str, ...] = Field(("**/*",), description="glob patterns below each folder")
    limits: Limits = Limits()
    models: ModelsConfig = ModelsConfig()
    chunking: ChunkingConfig = ChunkingConfig()
    index: IndexConfig = IndexConfig()
    retrieval: RetrievalConfig = RetrievalConfig()

    @model_validator(mode="after")
    def _needs_no_dev_questions(self) -> LibraryConfig:
        if left := leaves_to_fit(self.retrieval):
            raise ValueError(
                f"retrieval.{left[0]} is fitted on the dev questions of an experiment, and a collection on its own has "
                "none; take by: rank, or by: convex with weights, and a number as threshold"
            )
        return self
