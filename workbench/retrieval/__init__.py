"""Questions to rankings: one retriever a file, one `match` arm a kind."""

from __future__ import annotations

from typing import assert_never

from workbench.config import DenseConfig, FusionConfig, LexicalConfig, RetrieverConfig
from workbench.contracts import Embedder, Retriever
from workbench.knowledge import Collection
from workbench.retrieval.dense import DenseRetriever
from workbench.retrieval.fusion import FusionRetriever, fuse_by_rank
from workbench.retrieval.lexical import LexicalRetriever

__all__ = [
    "DenseRetriever",
    "FusionRetriever",
    "LexicalRetriever",
    "build_retriever",
    "fuse_by_rank",
]


def build_retriever(config: RetrieverConfig, collection: Collection, embedder: Embedder) -> Retriever:
    """Build the retriever that `config` describes over `collection`; `embedder` is the one it is stamped with."""
    match config:
        case DenseConfig():
            return DenseRetriever(collection, embedder)
        case LexicalConfig():
            return LexicalRetriever(collection)
        case FusionConfig(parts=parts, damping=damping, pool=pool):
            built = [build_retriever(part, collection, embedder) for part in parts]
            return FusionRetriever(built, damping=damping, pool=pool)
        case _:
            assert_never(config)
