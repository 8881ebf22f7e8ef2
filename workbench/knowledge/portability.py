"""A collection as one checksummed file, and back. What may lie in that file and how it is read: the gate, `intake/`.

Only the truth travels, written anew from its live rows: no deleted text, no segments (they are built again). The
settings of a library around it travel as the text they are; nobody here reads them. Exporting the same state twice
gives the same bytes; collections of equal content have equal fingerprints, but not equal bytes, since row numbers tell
their history.
"""

from __future__ import annotations

import os
import shutil
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from workbench import __version__
from workbench.config import IndexConfig
from workbench.errors import CollectionVersionError, DamagedCollectionError
from workbench.intake import admit_collection
from workbench.intake.archive import MAX_BYTES, Manifest, refuse_archive, write_archive
from workbench.knowledge.collection import DATABASE, SEGMENTS, Collection
from workbench.knowledge.inspection import Progress, inspect_rows
from workbench.knowledge.refusals import refuse_missing
from workbench.knowledge.store import Store
from workbench.knowledge.view import fingerprint_content, verify_rows
from workbench.knowledge.writing import mend_segments
from workbench.runs import fingerprint_file, new_folder, recover_folder
from workbench.types import EmbedderIdentity

MAX_DIMENSION = 2**16
LIMITS = (
    # Masks hold one byte for each document number below the highest; numbers go on from the highest ever given.
    ("SELECT min(number), max(number) FROM documents", 2**28),
    ("SELECT min(row), max(row) FROM chunks", 2**60),
    ("SELECT min(number), max(number) FROM editions", 2**20),
    ("SELECT 1, max(seq) FROM sqlite_sequence", 2**60),
)


def export_collection(folder: Path, path: Path, *, settings: str = "", on_progress: Progress | None = None) -> Manifest:
    """Write the newest state of the collection in `folder` to the file `path`, and return what it holds.

    Others may read and write the collection meanwhile. All editions travel, so a rollback stays possible; `settings`
    travel in the manifest as they are.

    Raises:
        MissingCollectionError: there is no collection.
        DamagedCollectionError: a row is not what was written; nothing is exported.
        FileExistsError: `path` exists.
        ConfigError: the settings are longer than an import would read.
        OSError: the disk is full or failing; beside `path`, twice the database's size is needed for a while.
    """
    if not Collection.exists(folder):
        raise refuse_missing(folder / DATABASE)
    recover_folder(path)  # what killed exports left: a copy of all texts
    if path.exists():
        raise FileExistsError(f"{path} exists; remove it, or export to another name")
    place = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    place.mkdir()
    try:
        copy = place / DATABASE
        with closing(Store(folder / DATABASE)) as store:
            store.begin_snapshot()
            store.refuse_lapse()
            store.vacuum(copy)
        with closing(Store(copy)) as store:
            store.first("PRAGMA application_id = 0")  # the count of commits stays with the folder
            found = inspect_rows(store, on_progress)
            if found.findings:
                raise DamagedCollectionError(
                    f"{folder} is damaged and was not exported: {found.summary}; mend it: workbench repair {folder}"
                )
            content = _describe(store)
        manifest = Manifest(
            made_by=__version__,
            size=copy.stat().st_size,
            sha256=fingerprint_file(copy),
            settings=settings,
            **asdict(content),
        )
        write_archive(path, manifest, copy)
    finally:
        shutil.rmtree(place)
    return manifest


def import_collection(
    path: Path,
    folder: Path,
    identity: EmbedderIdentity | None = None,
    *,
    index: IndexConfig | None = None,
    settings_name: str | None = None,
    max_bytes: int = MAX_BYTES,
    on_progress: Progress | None = None,
) -> Manifest:
    """Make the collection in `folder` from an exported file, whole or not at all, and return what it holds.

    Args:
        path: the file. It is not trusted: see `intake/` and `inspection.py`.
        folder: where the collection will lie; it must not exist.
        identity: the embedder questions will come from; None: not checked.
        index: how the index of vectors is built; None: the defaults.
        settings_name: the file in `folder` that gets the settings that came with it, unread, if any did; None: none.
        max_bytes: a larger file is refused.
        on_progress: called with rows checked and rows there are.

    Raises:
        FileExistsError: `folder` exists.
        DamagedCollectionError: the file is not a whole export, or says what no collection of this version says.
        StaleIndexError: its embedder is another than `identity`.
    """
    if folder.exists():
        raise FileExistsError(f"{folder} exists; import into a new folder")
    with new_folder(folder) as place:
        manifest = admit_collection(path, place / DATABASE, max_bytes=max_bytes).manifest
        try:
            with closing(Store(place / DATABASE)) as store:
                _admit(store, manifest, on_progress)
                for edition in store.editions():
                    mend_segments(store, store.take_snapshot(edition.number), place / SEGMENTS, index or IndexConfig())
        except (DamagedCollectionError, CollectionVersionError) as error:
            fault = str(error).partition(";")[0].replace(str(place / DATABASE), "its database")
            raise refuse_archive(path, fault) from error
        Collection.open(place, identity).close()
        if settings_name is not None and manifest.settings:
            (place / settings_name).write_text(manifest.settings, encoding="utf-8", newline="")
        if folder.exists():
            raise FileExistsError(f"{folder} was made meanwhile; import into a new folder")
    return manifest


@dataclass(frozen=True, slots=True)
class _Content:
    identity: EmbedderIdentity
    fingerprint: str
    n_documents: int
    n_chunks: int


def _describe(store: Store) -> _Content:
    """Return what the manifest says of a database."""
    state = store.take_snapshot()
    documents, chunks = verify_rows(store, state)
    identity = state.edition.identity
    content = _Content(identity, fingerprint_content(store, identity, chunks), len(documents), len(chunks))
    store.end_snapshot()
    return content


def _admit(store: Store, manifest: Manifest, on_progress: Progress | None) -> None:
    """Check every row of an unpacked database and make it ready to be opened.

    Raises:
        DamagedCollectionError: it is not what this program would have written.
    """
    store.first("PRAGMA cell_size_check = ON")  # what SQLite advises for files of others
    found = inspect_rows(store, on_progress)
    if found.findings:
        raise store.damaged(f"says: {found.summary}")
    if store.first("PRAGMA application_id") != (0,):
        raise store.damaged("counts commits, as no export does")
    if store.first("PRAGMA encoding") != ("UTF-8",):
        raise store.damaged("holds text in another encoding than UTF-8")
    for query, most in LIMITS:
        least_found, most_found = store.first(query) or (None, None)
        if least_found is not None and not 1 <= least_found <= most_found <= most:
            raise store.damaged(f"numbers its rows from {least_found} to {most_found}, at most 1 to {most}")
    if max(edition.identity.dimension for edition in store.editions()) > MAX_DIMENSION:
        raise store.damaged(f"names vectors of more than {MAX_DIMENSION} dimensions")
    stated = _Content(manifest.identity, manifest.fingerprint, manifest.n_documents, manifest.n_chunks)
    if _describe(store) != stated:
        raise store.damaged("is of another content or embedder than the manifest says")
    store.first("PRAGMA journal_mode = WAL")
    with store.transaction():
        for edition in store.editions():  # segments did not travel, and their names are a stranger's
            store.record_edition(replace(edition, segments=()))
