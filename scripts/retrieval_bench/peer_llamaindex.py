"""LlamaIndex behind the `Engine` socket: VectorStoreIndex on flat FAISS, BM25Retriever, QueryFusionRetriever.

Seen (core 0.14.25): a local folder loads without a hub; QueryFusionRetriever asks OpenAI for a model unless it is given
one, even for one query; its fusion has no pool, so each leg gives as many hits as are asked for; texts over the model's
256 tokens are cut silently; BM25 is bm25s, written beside the index and never updated with it.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from retrieval_bench.engine import Task, read_texts

INDEX, WORDS = "llamaindex", "llamaindex-bm25"
PACKAGES = ("llama-index-core", "llama-index-embeddings-huggingface", "llama-index-retrievers-bm25", "bm25s", "torch")


class LlamaIndex:
    """Documents go through the default splitter (1,024 tokens), so an abstract is one node."""

    ranked = ("dense", "lexical", "hybrid")
    timed = ("dense", "lexical", "hybrid")

    def load(self, task: Task) -> None:
        """Import, load the model, embed once."""
        import faiss
        from llama_index.core import StorageContext, VectorStoreIndex  # type: ignore[import-not-found, unused-ignore]  # noqa: F401
        from llama_index.embeddings.huggingface import HuggingFaceEmbedding  # type: ignore[import-not-found, unused-ignore]
        from llama_index.retrievers.bm25 import BM25Retriever  # type: ignore[import-not-found, unused-ignore]  # noqa: F401
        from llama_index.vector_stores.faiss import FaissVectorStore  # type: ignore[import-not-found, unused-ignore]

        settings = {} if task.setting == "default" else {"embed_batch_size": int(task.setting)}  # its own is 10
        self._model = HuggingFaceEmbedding(task.model, device="cpu", **settings)
        dimension = len(self._model.get_text_embedding("warm up"))
        self._vectors = FaissVectorStore(faiss.IndexFlatIP(dimension))
        self._built: dict[tuple[str, int], Any] = {}

    def ingest(self, folder: Path, store: Path) -> int:
        """Index, build BM25 over the same nodes, persist both."""
        from llama_index.core import Document, StorageContext, VectorStoreIndex
        from llama_index.retrievers.bm25 import BM25Retriever

        documents = [Document(id_=id_, text=text) for id_, text in read_texts(folder)]
        storage = StorageContext.from_defaults(vector_store=self._vectors)
        index = VectorStoreIndex.from_documents(documents, storage_context=storage, embed_model=self._model)
        words = BM25Retriever.from_defaults(nodes=list(index.docstore.docs.values()))
        index.storage_context.persist(str(store / INDEX))
        words.persist(str(store / WORDS))
        return len(index.docstore.docs)

    def open(self, store: Path) -> None:
        """Load both again."""
        from llama_index.core import StorageContext, load_index_from_storage
        from llama_index.retrievers.bm25 import BM25Retriever
        from llama_index.vector_stores.faiss import FaissVectorStore

        folder = str(store / INDEX)
        vectors = FaissVectorStore.from_persist_dir(folder)
        storage = StorageContext.from_defaults(vector_store=vectors, persist_dir=folder)
        self._index = load_index_from_storage(storage, embed_model=self._model)
        self._words = BM25Retriever.from_persist_dir(str(store / WORDS))

    def prepare(self, questions: Sequence[str]) -> None:
        """Nothing: LlamaIndex embeds each question itself."""

    def search(self, method: str, question: str, k: int) -> list[str]:
        """Search with the retriever of this method, built once for each `k`."""
        if (method, k) not in self._built:
            self._built[method, k] = self._build(method, k)
        self._words.similarity_top_k = min(k, len(self._words.corpus))  # bm25s refuses more
        return [found.node.ref_doc_id for found in self._built[method, k].retrieve(question)]

    def versions(self) -> dict[str, str]:
        """Return versions and settings."""
        found = {name: importlib.metadata.version(name) for name in PACKAGES}
        return found | {"embed_batch_size": str(self._model.embed_batch_size)}

    def _build(self, method: str, k: int) -> Any:
        from llama_index.core.llms import MockLLM  # type: ignore[import-not-found, unused-ignore]
        from llama_index.core.retrievers import QueryFusionRetriever  # type: ignore[import-not-found, unused-ignore]

        if method == "lexical":
            return self._words
        dense = self._index.as_retriever(similarity_top_k=k)
        if method == "dense":
            return dense
        return QueryFusionRetriever(
            [dense, self._words],
            llm=MockLLM(),
            mode="reciprocal_rerank",
            num_queries=1,
            similarity_top_k=k,
            use_async=False,
        )
