"""The contract of all retrievers, and what each adds to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest

from tests.knowledge.fakes import IDENTITY, HashEmbedder, cut_paragraphs, make_document
from tests.retrieval.memory import MemoryStore, visible
from workbench.config import DenseConfig, FusionConfig, LexicalConfig, RetrievalConfig, RetrieverConfig
from workbench.contracts import ChunkStore, Retriever
from workbench.errors import ConfigError, StaleIndexError
from workbench.filters import parse_filter
from workbench.knowledge import Collection
from workbench.retrieval import (
    Calibration,
    DenseRetriever,
    FusionFit,
    FusionRetriever,
    LexicalRetriever,
    Pipeline,
    RerankRetriever,
    build_pipeline,
    build_retriever,
)
from workbench.types import EVERYTHING, Document, Float32, Scope

MakeStore = Callable[[Sequence[Document]], ChunkStore]

FIT = FusionFit(
    parts=("dense", "lexical"),
    pool=100,
    n_questions=20,
    calibrations=(Calibration(slope=9, intercept=-4), Calibration(slope=0.5, intercept=-3)),
    weights={"convex": (0.6, 0.4), "log_odds": (0.5, 0.5)},
    part_ndcg=(0.4, 0.4),
    ndcg={"rank": 0.4, "convex": 0.4, "log_odds": 0.4},
)
CONFIGS: dict[str, dict[str, object]] = {
    "dense": {"method": {"kind": "dense"}},
    "lexical": {"method": {"kind": "lexical"}},
    "fusion by rank": {"method": {"kind": "fusion"}},
    "fusion of a small pool": {"method": {"kind": "fusion", "pool": 1, "damping": 1}},
    "documents": {"method": {"kind": "fusion", "unit": "document"}},
    "fusion by scores": {"method": {"kind": "fusion", "by": "convex"}},
    "fusion by log odds": {"method": {"kind": "fusion", "by": "log_odds"}},
    "reranked": {"rerank": {"pool": 4}},
    "diversified": {"diversity": {"pool": 4}},
    "diversified after reranking": {"rerank": {"pool": 4}, "diversity": {"relevance": 0.4}},
}
QUESTIONS = [
    *["What is the price of the brass lamp?", "brass", "", "   ", 'AND OR ("', "🔭", "nowhere at all", "the of and"],
    *["lamp " * 2_000, "x" * 10_000, "\n\0"],
]


def written_by(id_: str, text: str, language: str, readers: tuple[str, ...] | None) -> Document:
    return replace(make_document(id_, text), metadata={"language": language}, readers=readers)


DOCUMENTS = [
    written_by(
        "prices.md", "The brass lamp costs 90 euro.\nThe glass lens costs 40 euro.\nThe tube is free.", "en", None
    ),
    written_by("copy.md", "The brass lamp costs 90 euro.\nThe brass lamp costs 90 euro.", "en", ("ada",)),
    written_by("preise.md", "Die brass lamp kostet 90 euro.\nDas Rohr ist frei.", "de", ("ada", "ben")),
]
SCOPES = {
    "everything": EVERYTHING,
    "a language": Scope(parse_filter({"language": "en"})),
    "ben": Scope(principals=frozenset({"ben"})),
    "ben in English": Scope(parse_filter({"language": "en"}), frozenset({"ben"})),
    "nobody": Scope(principals=frozenset()),
    "no document": Scope(parse_filter({"language": "fr"})),
}


class SharedWords:
    """Scores a text by the share of its words that the question has."""

    def score(self, question: str, texts: Sequence[str]) -> Float32:
        words = set(question.lower().split())
        return np.array([np.mean([word in words for word in text.lower().split()]) for text in texts], np.float32)


@pytest.fixture(scope="module", params=["memory", "collection"])
def make(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeStore]:
    """Make a store of documents, in memory by brute force or a collection on disk; the same documents, the same one."""
    with ExitStack() as stack:

        @cache
        def make_store(*ids: str) -> ChunkStore:
            documents = [document for document in DOCUMENTS if document.id in ids]
            if request.param == "memory":
                return MemoryStore(documents)
            folder = tmp_path_factory.mktemp("collection")
            collection = stack.enter_context(Collection.create(folder, IDENTITY))
            collection.update(documents, cut_paragraphs, HashEmbedder().embed_documents)
            return collection

        yield lambda documents: make_store(*(document.id for document in documents))


@pytest.fixture
def collection(make: MakeStore) -> ChunkStore:
    return make(DOCUMENTS)


def build(name: str, collection: ChunkStore) -> Retriever:
    config = RetrievalConfig.model_validate(CONFIGS[name])
    return build_pipeline(config, collection, HashEmbedder(), reranker=SharedWords, fit=FIT, threshold=None)


@pytest.mark.parametrize("k", [1, 2, 10])
@pytest.mark.parametrize("name", CONFIGS)
def test_every_retriever_keeps_the_contract(collection: ChunkStore, name: str, k: int) -> None:
    retriever = build(name, collection)
    for question in QUESTIONS:
        ranking = retriever.search(question, k=k)
        ids = [hit.chunk.id for hit in ranking]
        assert len(ids) == len(set(ids)) <= k
        assert list(ranking) == sorted(ranking, key=lambda hit: (-hit.score, hit.chunk.id))
        assert collection.chunks(ids) == [hit.chunk for hit in ranking]
        assert retriever.search(question, k=k) == ranking
        if not question.strip():
            assert ranking == ()


@pytest.mark.parametrize("scope", SCOPES.values(), ids=SCOPES)
@pytest.mark.parametrize("name", CONFIGS)
def test_every_retriever_stays_in_its_scope(make: MakeStore, name: str, scope: Scope) -> None:
    inside = [document for document in DOCUMENTS if visible(document, scope)]
    private = build(name, make(inside))
    retriever = build(name, make(DOCUMENTS))
    for question in QUESTIONS:
        # As if the other documents did not exist: the same chunks with the same scores.
        assert retriever.search(question, k=3, scope=scope) == private.search(question, k=3)


@pytest.mark.parametrize("name", CONFIGS)
def test_every_retriever_finds_the_chunk_that_is_the_question(collection: ChunkStore, name: str) -> None:
    best = build(name, collection).search("prices.md: The glass lens costs 40 euro.", k=1)
    assert [hit.chunk.text for hit in best] == ["The glass lens costs 40 euro."]


@pytest.mark.parametrize("name", CONFIGS)
def test_every_retriever_finds_nothing_in_nothing(make: MakeStore, name: str) -> None:
    retriever = build(name, make([]))
    assert [retriever.search(question, k=5) for question in QUESTIONS] == [()] * len(QUESTIONS)


@pytest.mark.parametrize("name", [name for name in CONFIGS if not name.startswith(("diversified", "documents"))])
def test_equal_chunks_go_in_order_of_id(collection: ChunkStore, name: str) -> None:
    ranking = build(name, collection).search("copy.md brass lamp", k=2)
    assert [hit.chunk.id for hit in ranking] == ["copy.md#0000", "copy.md#0001"]


def test_the_config_names_the_retriever(collection: ChunkStore) -> None:
    configs: list[RetrieverConfig] = [DenseConfig(), LexicalConfig(), FusionConfig()]
    kinds = [type(build_retriever(config, collection, HashEmbedder())) for config in configs]
    assert kinds == [DenseRetriever, LexicalRetriever, FusionRetriever]
    assert isinstance(build("reranked", collection), Pipeline)
    assert isinstance(build("reranked", collection)._scoring, RerankRetriever)  # type: ignore[attr-defined]


def test_a_fusion_by_scores_wants_weights(collection: ChunkStore) -> None:
    build_one = partial(build_retriever, collection=collection, embedder=HashEmbedder())
    given = FusionConfig(by="convex", weights=(1, 3))
    assert build_one(given).search("brass", k=1) == build_one(given, fit=FIT).search("brass", k=1) != ()
    for config in (FusionConfig(by="convex"), FusionConfig(by="log_odds", weights=(1, 3))):
        with pytest.raises(
            ConfigError, match=r"by (convex|log_odds) .* none was fitted; set retrieval.method.by: rank"
        ):
            build_one(config)
    other = FusionConfig(by="convex", parts=(LexicalConfig(), DenseConfig()))
    with pytest.raises(ConfigError, match="the fit is for dense, lexical"):
        build_one(other, fit=FIT)


def test_dense_refuses_the_embedder_of_another_collection(collection: ChunkStore) -> None:
    embedder = HashEmbedder()
    embedder.identity = replace(IDENTITY, name="other")
    with pytest.raises(StaleIndexError, match=r"name 'hash', but .* name 'other'"):
        DenseRetriever(collection, embedder)
