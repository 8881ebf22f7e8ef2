"""Questions to rankings: one retriever a file, one `match` arm a kind; the pipeline puts the steps in a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import assert_never

from workbench.config import DenseConfig, FusionConfig, LexicalConfig, RetrievalConfig, RetrieverConfig, leaves_to_fit
from workbench.contracts import ChunkStore, Embedder, Reranker, Retriever
from workbench.errors import ConfigError
from workbench.filters import parse_filter
from workbench.retrieval.dense import DenseRetriever
from workbench.retrieval.diversity import Diversity
from workbench.retrieval.documents import DocumentFusionRetriever, fuse_documents
from workbench.retrieval.expansion import Expansion
from workbench.retrieval.fitting import FusionFit, fit_fusion
from workbench.retrieval.fusion import (
    Calibration,
    Fuse,
    FusionRetriever,
    by_rank,
    fuse_by_rank,
    fuse_convex,
    fuse_log_odds,
)
from workbench.retrieval.lexical import LexicalRetriever
from workbench.retrieval.pipeline import Pipeline, best_scores, narrow
from workbench.retrieval.remembering import LastEmbedded, LastFound
from workbench.retrieval.rerank import RerankRetriever
from workbench.types import EVERYTHING, Question, Scope

__all__ = [
    "Calibration",
    "DenseRetriever",
    "Diversity",
    "DocumentFusionRetriever",
    "Expansion",
    "FusionFit",
    "FusionRetriever",
    "LastEmbedded",
    "LastFound",
    "LexicalRetriever",
    "Pipeline",
    "RerankRetriever",
    "best_scores",
    "build_pipeline",
    "build_retriever",
    "fit_method",
    "fuse_by_rank",
    "fuse_convex",
    "fuse_documents",
    "fuse_log_odds",
    "narrow",
]


def build_retriever(
    config: RetrieverConfig, collection: ChunkStore, embedder: Embedder, *, fit: FusionFit | None = None
) -> Retriever:
    """Build the retriever that `config` describes over `collection`; `embedder` is the one it is stamped with.

    Raises:
        ConfigError: a fusion wants weights or calibrations, and `fit` is None or was made for other parts.
        StaleIndexError: the collection was built with another embedder.
    """
    match config:
        case DenseConfig() | LexicalConfig():
            return _build_part(config, collection, embedder)
        case FusionConfig(parts=parts, pool=pool):
            built = [_build_part(part, collection, embedder) for part in parts]
            if config.unit == "document":
                return DocumentFusionRetriever(built, collection, damping=config.damping, pool=pool)
            return FusionRetriever(built, collection, _choose_fuse(config, fit), pool=pool)
        case _:
            assert_never(config)


def fit_method(
    config: RetrieverConfig,
    collection: ChunkStore,
    embedder: Embedder,
    questions: Sequence[Question],
    *,
    scope: Scope = EVERYTHING,
) -> FusionFit | None:
    """Fit what `build_retriever` needs for `config` on dev questions; None where it needs nothing.

    Raises:
        ConfigError: too few questions with relevant spans.
    """
    if not isinstance(config, FusionConfig) or "method.by" not in leaves_to_fit(RetrievalConfig(method=config)):
        return None
    parts = [_build_part(part, collection, embedder) for part in config.parts]
    return fit_fusion(config, parts, collection, questions, scope=scope)


def build_pipeline(
    config: RetrievalConfig,
    collection: ChunkStore,
    embedder: Embedder,
    *,
    reranker: Callable[[], Reranker],
    fit: FusionFit | None,
    threshold: float | None,
) -> Pipeline:
    """Build all steps that `config` sets.

    Args:
        reranker: loads the model; called only where retrieval.rerank is set.
        fit: from `fit_method`; None where the method needs none.
        threshold: the fitted one, where retrieval.threshold is "fitted"; None while it is being fitted.
    """
    scoring = build_retriever(config.method, collection, embedder, fit=fit)
    if config.rerank is not None:
        scoring = RerankRetriever(scoring, reranker(), pool=config.rerank.pool)
    return Pipeline(
        scoring,
        threshold=threshold if config.threshold == "fitted" else config.threshold,
        diversity=Diversity(collection, config.diversity) if config.diversity else None,
        expansion=Expansion(collection, embedder, config.expansion) if config.expansion else None,
        filter_=None if config.filter is None else parse_filter(config.filter),
    )


def _build_part(
    config: DenseConfig | LexicalConfig, collection: ChunkStore, embedder: Embedder
) -> DenseRetriever | LexicalRetriever:
    match config:
        case DenseConfig():
            return DenseRetriever(collection, embedder)
        case LexicalConfig():
            return LexicalRetriever(collection)
        case _:
            assert_never(config)


def _choose_fuse(config: FusionConfig, fit: FusionFit | None) -> Fuse:
    kinds = tuple(part.kind for part in config.parts)
    if config.by == "rank":
        return by_rank(config.damping)
    if config.by == "convex" and config.weights is not None:
        return partial(fuse_convex, weights=config.weights)
    if fit is None or fit.parts != kinds:
        found = "none was fitted" if fit is None else f"the fit is for {', '.join(fit.parts)}"
        raise ConfigError(
            f"fusing {', '.join(kinds)} by {config.by} needs numbers fitted on dev questions, but {found}; "
            f"set retrieval.method.by: rank, or by: convex with weights"
        )
    weights = config.weights or fit.weights[config.by]
    if config.by == "convex":
        return partial(fuse_convex, weights=weights)
    return partial(fuse_log_odds, weights=weights, calibrations=fit.calibrations)
