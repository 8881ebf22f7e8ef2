"""This project behind the `Engine` socket: the one file of the benchmark that knows how our parts are put together."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval_bench.engine import Task, read_questions

if TYPE_CHECKING:
    from workbench.config import RetrieverConfig
    from workbench.contracts import Embedder, Retriever
    from workbench.types import Float32, Ranking

GIVEN = ", vector given"  # the question's embedding was computed before
RERANK_POOL = 50
PACKAGES = ("torch", "sentence-transformers", "transformers", "faiss-cpu", "numpy", "workbench")


class Ours:
    """A library with its default knobs; the setting names the embedder's backend ("default": the one it chooses)."""

    timed = ("dense", "lexical", "hybrid", f"dense{GIVEN}", f"hybrid{GIVEN}")

    def load(self, task: Task) -> None:
        """Import everything and embed once."""
        from workbench.config import LibraryConfig
        from workbench.library import Library

        self._task = task
        self.ranked = ("dense", "lexical", "hybrid", "documents", *(("reranked",) if task.reranker else ()))
        backend = "auto" if task.setting == "default" else task.setting
        models = {"embedder": task.model, "embedder_backend": backend, "device": "cpu"}
        self._library = Library(Path(task.store) / "library", LibraryConfig.model_validate({"models": models}))
        self._library.embedder.embed_documents(["warm up"])

    def ingest(self, folder: Path, store: Path) -> int:
        """Read, chunk, embed, index."""
        from workbench.corpus import chunk_documents
        from workbench.evaluation.beir import read_beir
        from workbench.knowledge import Collection

        embedder, config = self._library.embedder, self._library.config
        documents = read_beir(folder, split=self._task.split).documents
        with Collection.create(self._library.folder, embedder.identity, index=config.index) as collection:
            collection.update(
                documents,
                lambda renewed: chunk_documents(renewed, embedder, config.chunking),
                embedder.embed_documents,
            )
            return collection.n_chunks

    def open(self, store: Path) -> None:
        """Open the collection and build one retriever a method."""
        from workbench.config import DenseConfig, FusionConfig, LexicalConfig
        from workbench.retrieval import build_retriever

        collection, embedder = self._library.collection, self._library.embedder
        self._given = GivenVectors(embedder)
        self._retrievers: dict[str, Retriever] = {}
        configs: dict[str, RetrieverConfig] = {"dense": DenseConfig(), "lexical": LexicalConfig()}
        configs |= {"hybrid": FusionConfig(), "documents": FusionConfig(unit="document")}
        for method, config in configs.items():
            self._retrievers[method] = build_retriever(config, collection, embedder)
            self._retrievers[method + GIVEN] = build_retriever(config, collection, self._given)
        if self._task.reranker:
            self._retrievers["reranked"] = self._build_reranker(self._task.reranker)

    def prepare(self, questions: Sequence[str]) -> None:
        """Embed the questions, or write what the reference needs."""
        if self._task.rounds:
            self._given.remember(questions)
        if self._task.export:
            self._export(Path(self._task.export))

    def search(self, method: str, question: str, k: int) -> list[str]:
        """Return the documents of the hits."""
        return [hit.chunk.document_id for hit in self._find(method, question, k)]

    def versions(self) -> dict[str, str]:
        """Return versions and the embedder's backend."""
        found = {name: importlib.metadata.version(name) for name in PACKAGES}
        return found | {"backend": self._library.embedder.identity.backend}

    def _find(self, method: str, question: str, k: int) -> Ranking:
        return self._retrievers[method].search(question, k=min(k, RERANK_POOL) if method == "reranked" else k)

    def _build_reranker(self, name: str) -> Retriever:
        from workbench.models import CrossEncoderReranker, find_model
        from workbench.retrieval import RerankRetriever

        reranker = CrossEncoderReranker(find_model(name, kind="reranker"))
        return RerankRetriever(self._retrievers["hybrid"], reranker, pool=RERANK_POOL)

    def _export(self, path: Path) -> None:
        """Write our chunks, words and exact scores, for the reference libraries to compute the same from."""
        from workbench.knowledge.analysis import find_words

        questions = read_questions(Path(self._task.folder))
        hits = {
            method: {
                id_: [(hit.chunk.id, hit.score) for hit in self._find(method, text, self._task.depth)]
                for id_, text in questions.items()
            }
            for method in ("dense", "lexical")
        }
        chunks = [
            {"id": chunk.id, "document_id": chunk.document_id, "text": chunk.indexed_text}
            | {"words": find_words(chunk.indexed_text)}
            for chunk in self._library.collection.all_chunks()
        ]
        asked = {id_: {"text": text, "words": find_words(text)} for id_, text in questions.items()}
        path.write_text(json.dumps({"chunks": chunks, "questions": asked, "hits": hits}), encoding="utf-8")


class GivenVectors:
    """An embedder that remembers its questions, so that a search can be timed without their embedding."""

    def __init__(self, embedder: Embedder) -> None:
        self.identity = embedder.identity
        self.max_tokens = embedder.max_tokens
        self.n_special_tokens = embedder.n_special_tokens
        self.token_offsets = embedder.token_offsets
        self.embed_documents = embedder.embed_documents
        self._embed: Callable[[Sequence[str]], Float32] = embedder.embed_questions
        self._vectors: dict[str, Float32] = {}

    def remember(self, questions: Sequence[str]) -> None:
        """Embed the questions one by one, as a search does."""
        self._vectors = {question: self._embed([question]) for question in questions}

    def embed_questions(self, texts: Sequence[str]) -> Float32:
        """Return the vector of the one question asked, shape (1, D)."""
        (text,) = texts
        return self._vectors[text]
