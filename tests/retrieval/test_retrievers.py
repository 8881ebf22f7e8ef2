"""The contract of all retrievers, and what each adds to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.knowledge.fakes import IDENTITY, HashEmbedder, cut_paragraphs, make_document
from workbench.config import DenseConfig, FusionConfig, LexicalConfig, RetrieverConfig
from workbench.contracts import Retriever
from workbench.errors import StaleIndexError
from workbench.knowledge import Collection
from workbench.retrieval import DenseRetriever, FusionRetriever, LexicalRetriever, build_retriever

CONFIGS: list[RetrieverConfig] = [DenseConfig(), LexicalConfig(), FusionConfig(), FusionConfig(pool=1, damping=1)]
NAMES = ["dense", "lexical", "fusion", "fusion of a small pool"]
QUESTIONS = [
    *["What is the price of the brass lamp?", "brass", "", "   ", 'AND OR ("', "🔭", "nowhere at all", "the of and"],
    *["lamp " * 2_000, "x" * 10_000, "\n\0"],
]
DOCUMENTS = [
    make_document("prices.md", "The brass lamp costs 90 euro.\nThe glass lens costs 40 euro.\nThe tube is free."),
    make_document("copy.md", "The brass lamp costs 90 euro.\nThe brass lamp costs 90 euro."),
]


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    with Collection.create(tmp_path_factory.mktemp("collection"), IDENTITY) as collection:
        collection.update(DOCUMENTS, cut_paragraphs, HashEmbedder().embed_documents)
        yield collection


@pytest.mark.parametrize("config", CONFIGS, ids=NAMES)
@pytest.mark.parametrize("k", [1, 2, 10])
def test_every_retriever_keeps_the_contract(collection: Collection, config: RetrieverConfig, k: int) -> None:
    retriever: Retriever = build_retriever(config, collection, HashEmbedder())
    for question in QUESTIONS:
        ranking = retriever.search(question, k=k)
        ids = [hit.chunk.id for hit in ranking]
        assert len(ids) == len(set(ids)) <= k
        assert list(ranking) == sorted(ranking, key=lambda hit: (-hit.score, hit.chunk.id))
        assert collection.chunks(ids) == [hit.chunk for hit in ranking]
        assert retriever.search(question, k=k) == ranking


@pytest.mark.parametrize("config", CONFIGS, ids=NAMES)
def test_every_retriever_finds_the_chunk_that_is_the_question(collection: Collection, config: RetrieverConfig) -> None:
    retriever = build_retriever(config, collection, HashEmbedder())
    best = retriever.search("prices.md: The glass lens costs 40 euro.", k=1)
    assert [hit.chunk.text for hit in best] == ["The glass lens costs 40 euro."]


@pytest.mark.parametrize("config", CONFIGS, ids=NAMES)
def test_every_retriever_finds_nothing_in_nothing(tmp_path: Path, config: RetrieverConfig) -> None:
    with Collection.create(tmp_path, IDENTITY) as empty:
        retriever = build_retriever(config, empty, HashEmbedder())
        assert [retriever.search(question, k=5) for question in QUESTIONS] == [()] * len(QUESTIONS)


@pytest.mark.parametrize("config", CONFIGS, ids=NAMES)
def test_equal_chunks_go_in_order_of_id(collection: Collection, config: RetrieverConfig) -> None:
    ranking = build_retriever(config, collection, HashEmbedder()).search("copy.md brass lamp", k=2)
    assert [hit.chunk.id for hit in ranking] == ["copy.md#0000", "copy.md#0001"][: len(ranking)]


def test_the_config_names_the_retriever(collection: Collection) -> None:
    kinds = [type(build_retriever(config, collection, HashEmbedder())) for config in CONFIGS]
    assert kinds == [DenseRetriever, LexicalRetriever, FusionRetriever, FusionRetriever]


def test_dense_refuses_the_embedder_of_another_collection(collection: Collection) -> None:
    embedder = HashEmbedder()
    embedder.identity = replace(IDENTITY, name="other")
    with pytest.raises(StaleIndexError, match=r"name 'hash', but .* name 'other'"):
        DenseRetriever(collection, embedder)


def test_a_blank_question_finds_nothing(collection: Collection) -> None:
    for config in CONFIGS:
        assert build_retriever(config, collection, HashEmbedder()).search(" \n", k=5) == ()
