"""The collection: SQLite is the truth, FAISS and BM25 are caches that can be built again from it."""

from workbench.knowledge.collection import Collection
from workbench.knowledge.sync import UpdateReport

__all__ = ["Collection", "UpdateReport"]
