"""The collection: SQLite is the truth, vector and word indexes are caches that can be built again from it."""

from workbench.intake.archive import Manifest
from workbench.knowledge.collection import Collection
from workbench.knowledge.comparison import EditionComparison, compare_editions, sample_questions
from workbench.knowledge.inspection import Finding
from workbench.knowledge.listing import ListedDocument
from workbench.knowledge.portability import export_collection, import_collection
from workbench.knowledge.purge import PurgeReceipt, purge_collection
from workbench.knowledge.reembed import (
    drop_edition,
    list_editions,
    promote_edition,
    reembed_collection,
    rollback_edition,
)
from workbench.knowledge.repair import RepairReport, repair_collection
from workbench.knowledge.rows import DocumentFacts, FileMark
from workbench.knowledge.searching import Scored
from workbench.knowledge.stamps import read_stamps
from workbench.knowledge.sync import Change, UpdateReport
from workbench.knowledge.verify import verify_collection

__all__ = [
    "Change",
    "Collection",
    "DocumentFacts",
    "EditionComparison",
    "FileMark",
    "Finding",
    "ListedDocument",
    "Manifest",
    "PurgeReceipt",
    "RepairReport",
    "Scored",
    "UpdateReport",
    "compare_editions",
    "drop_edition",
    "export_collection",
    "import_collection",
    "list_editions",
    "promote_edition",
    "purge_collection",
    "read_stamps",
    "reembed_collection",
    "repair_collection",
    "rollback_edition",
    "sample_questions",
    "verify_collection",
]
