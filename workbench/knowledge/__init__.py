"""The collection: SQLite is the truth, vector and word indexes are caches that can be built again from it."""

from workbench.knowledge.collection import Collection
from workbench.knowledge.rows import DocumentFacts, FileMark
from workbench.knowledge.searching import Scored
from workbench.knowledge.sync import Change, UpdateReport

__all__ = ["Change", "Collection", "DocumentFacts", "FileMark", "Scored", "UpdateReport"]
