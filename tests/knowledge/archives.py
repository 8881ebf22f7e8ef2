"""A collection with a history, and what its export holds, for the tests of exporting and importing."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.knowledge.fakes import IDENTITY, HashEmbedder, cut_paragraphs, make_document
from workbench.intake.archive import DATABASE, MANIFEST, Manifest
from workbench.knowledge import Collection
from workbench.knowledge.reembed import reembed_collection
from workbench.types import Document

DOCUMENTS = [
    make_document(f"part{number}.md", "\n".join(f"step {line} turns wheel {line * number}" for line in range(9)))
    for number in range(5)
]
OTHER = replace(IDENTITY, name="other", fingerprint="1" * 64)


def fill(collection: Collection, documents: Sequence[Document]) -> None:
    collection.update(documents, cut_paragraphs, HashEmbedder().embed_documents)


def make_original(folder: Path) -> Path:
    """Make a collection with several segments, deleted rows and two editions."""
    with Collection.create(folder, IDENTITY) as collection:
        fill(collection, [*DOCUMENTS, make_document("gone.md", "canary zyxwvut")])
        fill(collection, [*DOCUMENTS[:-1], replace(DOCUMENTS[-1], readers=("staff",))])
        reembed_collection(collection, OTHER, HashEmbedder().embed_documents, cut_paragraphs)
    return folder


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def members(archive: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as opened:
        return {name: opened.read(name) for name in (MANIFEST, DATABASE)}


def stated(archive: Path) -> Manifest:
    """Return what an archive says of itself."""
    return Manifest.model_validate_json(members(archive)[MANIFEST])
