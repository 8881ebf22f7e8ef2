"""Repairing a collection from its own truth, which is the documents: chunks are cut from them again, vectors embedded
from the chunks, segments built from both. No log is replayed and nothing is guessed.

A damaged document cannot be made again from anything here. It is named, and removed only when that is asked for; the
next sync reads it from its file. The same holds for a whole database that SQLite cannot read to its end.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from workbench.config import IndexConfig
from workbench.errors import DamagedCollectionError
from workbench.knowledge.collection import DATABASE, LOCK, SEGMENTS, Collection
from workbench.knowledge.inspection import Finding, Inspection, Part, Progress, drop_advice
from workbench.knowledge.masks import Masks
from workbench.knowledge.mending import Tools, choose_active, mend_rows
from workbench.knowledge.refusals import refuse_missing
from workbench.knowledge.schema import create_database
from workbench.knowledge.segments import remove_other_segments
from workbench.knowledge.store import Store
from workbench.knowledge.sync import Chunker, Embed
from workbench.knowledge.verify import inspect_collection, verify_collection
from workbench.knowledge.view import View, verify_rows
from workbench.knowledge.writing import Writer
from workbench.locking import hold_writer_lock
from workbench.types import EmbedderIdentity

N_SEARCHES = 20
EVERY_DOCUMENT = "all documents"
LOST = "SELECT DISTINCT document_id FROM files WHERE document_id NOT IN (SELECT id FROM documents) ORDER BY document_id"


@dataclass(frozen=True, slots=True)
class RepairReport:
    """What was found, what was done about it, and what verifying it again finds, which should be nothing."""

    found: tuple[Finding, ...]
    mended: tuple[str, ...]  # one line each
    dropped: tuple[str, ...]  # ids of damaged documents removed and of lost ones, as far as they are known
    left: tuple[Finding, ...]


def repair_collection(
    folder: Path,
    identity: EmbedderIdentity,
    chunk: Chunker,
    embed: Embed,
    *,
    settings: str = "",
    index: IndexConfig | None = None,
    drop_damaged: bool = False,
    on_progress: Progress | None = None,
) -> RepairReport:
    """Mend all that `verify_collection` finds, and verify it again.

    Args:
        folder: where the collection lies; it need not open.
        identity: the collection's embedder, `embed`'s.
        chunk: cuts documents, as the collection's were cut.
        embed: embeds texts, shape (N, D).
        settings: fingerprint of the chunking settings.
        index: how indexes are built anew; None: the defaults.
        drop_damaged: whether damaged documents are removed; of a database that cannot be read, that is all of them.
        on_progress: called with rows inspected and rows there are.

    Raises:
        MissingCollectionError: there is no collection.
        CollectionVersionError: another version of this program made it; nothing was changed, whatever was asked for.
        DamagedCollectionError: documents are damaged or lost, and `drop_damaged` is not set; nothing was changed.
        StaleIndexError: the collection's embedder is another than `identity`; nothing was changed.
        BusyError: another process is writing; nothing was changed.
    """
    if not Collection.exists(folder):
        raise refuse_missing(folder / DATABASE)
    with hold_writer_lock(folder / LOCK):
        store, found = _open(folder, on_progress)
        if store is None:
            _refuse_to_drop(folder, found, [EVERY_DOCUMENT], drop_damaged)
            remove_other_segments(folder / SEGMENTS, ())
            create_database(folder / DATABASE, identity)
            mended, dropped = ["made an empty database in the place of one that cannot be read"], [EVERY_DOCUMENT]
        else:
            with closing(store):
                dropped = sorted({*found.documents.values(), *(id_ for (id_,) in list(store.rows(LOST)))})
                if found.documents or not found.documents_proven:
                    _refuse_to_drop(folder, found, dropped or ["documents whose ids are lost"], drop_damaged)
                tools = Tools(identity, chunk, embed, settings)
                mended = _mend(store, found, tools, folder / SEGMENTS, index or IndexConfig())
        left = verify_collection(folder) if found.findings else []
    return RepairReport(tuple(found.findings), tuple(mended), tuple(dropped), tuple(left))


def _open(folder: Path, on_progress: Progress | None) -> tuple[Store | None, Inspection]:
    """Return the database and what was found in it; None: it cannot be read to its end."""
    try:
        store = Store(folder / DATABASE)
    except DamagedCollectionError as error:
        found = Inspection(whole=False)
        found.note(Part.FILE, DATABASE, f"cannot be opened: {drop_advice(error)}")
        return None, found
    found = inspect_collection(store, folder / SEGMENTS, N_SEARCHES, on_progress)
    if not found.whole:
        # Indexes are made from the tables: damage in them alone costs nothing, and that the rows are sound they tell.
        with suppress(DamagedCollectionError, sqlite3.IntegrityError), store.transaction():
            store.write("REINDEX")
        again = inspect_collection(store, folder / SEGMENTS, N_SEARCHES, on_progress)
        again.findings[:0] = found.findings  # what was found stays told
        found = again
    if not found.whole:
        store.close()
        return None, found
    return store, found


def _refuse_to_drop(folder: Path, found: Inspection, ids: list[str], drop_damaged: bool) -> None:
    if not drop_damaged:
        named = ", ".join(ids[:10]) + (f" and {len(ids) - 10} more" if len(ids) > 10 else "")
        raise DamagedCollectionError(
            f"{folder} cannot be repaired without giving up {named} ({found.summary}); nothing was changed; what their "
            f"files still hold comes back: workbench repair {folder} --drop-damaged && workbench sync {folder} FOLDER"
        )


def _mend(store: Store, found: Inspection, tools: Tools, folder: Path, index: IndexConfig) -> list[str]:
    """Mend rows, then segments; return what was done."""
    told: list[str] = []
    parts = {finding.part for finding in found.findings}
    in_rows = bool(parts - {Part.COMMIT, Part.SEGMENT, Part.SEARCH})
    active = choose_active(found, tools.identity) if in_rows else None
    if Part.COMMIT in parts:
        with store.transaction(accept_lapse=True):
            told.append("took the state there is for the newest; what was changed after it is lost: workbench sync")
    if in_rows:
        told += mend_rows(store, found, tools, active)
    for edition in store.editions():
        check = found.editions.get(edition.number)
        if check is None or not check.segments_sound or not edition.segments:
            state = store.take_snapshot(edition.number)
            bare = View(state, *verify_rows(store, state), (), Masks((), store.facts))
            writer = Writer(store, folder, bare, index)
            writer.rebuild_all()
            if writer.view.segments:
                told.append(f"built the indexes of embedder {edition.identity.name} again")
    store.end_snapshot()
    store.checkpoint()
    return told
