"""Purging: what was deleted leaves the disk, and every byte of the folder is searched for it afterwards.

Deleting makes content unfindable; it may stay in segments, in the write-ahead log and in free pages. A purge writes all
of these anew from what is alive. It can be killed at any point: the next one finishes.

The proof: before anything goes, canaries are taken from it (`canaries.py`, `remains.py`). Those that the remaining rows
hold too are set aside, since there they are by right; none of the others may be found in any file of the folder.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import BusyError, IncompletePurgeError
from workbench.knowledge.canaries import Hit, Search
from workbench.knowledge.collection import Collection
from workbench.knowledge.editions import open_others
from workbench.knowledge.remains import find_dead, set_shared_aside, take_canaries
from workbench.knowledge.store import Store
from workbench.knowledge.sync import Plan
from workbench.knowledge.writing import Writer

Progress = Callable[[int, int], None]  # bytes searched, bytes there are
NOT_COVERED = (
    "backups and exports made before",
    "snapshots and journals of the file system",
    "blocks that a flash drive has set aside (wear levelling)",
    "memory and swap of running processes",
    "the documents' own files: the next sync reads them again",
)


@dataclass(frozen=True, slots=True)
class PurgeReceipt:
    """What a purge removed and how that was proved. It exists only where no canary was found.

    Of documents deleted before this purge, no text is left to take canaries from: their proof rests on their words and
    vectors in segments, as far as these had not been written anew, and on ids named.
    """

    documents: tuple[str, ...]  # ids deleted by this purge, in order
    unknown: tuple[str, ...]  # ids asked for that were not there: deleted before, or never there
    n_chunks: int  # rows of all editions
    n_vectors: int  # rows of all editions, unused ones of interrupted updates included
    n_dead_rows: int  # deleted rows that segments held
    n_canaries: Mapping[str, int]  # searched for, by kind: each in all its forms, none of them found
    n_too_plain: int  # canaries not counted above: some form of them is too plain to look up (zeros, say)
    n_shared: int  # canaries set aside: what stays holds them too
    n_files: int
    n_bytes: int
    fingerprint_before: str
    fingerprint_after: str
    not_covered: tuple[str, ...] = NOT_COVERED


def purge_collection(
    collection: Collection, ids: Iterable[str] = (), *, on_progress: Progress | None = None
) -> PurgeReceipt:
    """Remove documents and all that earlier deletions left behind, physically; prove it and return the receipt.

    Args:
        collection: open here and nowhere else: a reader's snapshot keeps what it sees on the disk.
        ids: documents to delete first.
        on_progress: called while the folder is searched.

    Raises:
        BusyError: another process reads or writes. If a reader came only meanwhile, the documents are deleted, but not
            yet purged: purge again.
        IncompletePurgeError: a canary was found; the message names the file.
        OSError: the disk is full: for a while, the database is needed twice over, and so are segments. Purge again.
    """
    wanted = sorted(set(ids))
    with collection.writing() as writer:
        before, store = collection.fingerprint, writer.store
        _empty_log(store, "nothing was deleted")
        plan = Plan(store.document_marks(writer.view.state.edition.number), wanted, "")
        going = {id_: mark.number for id_, mark in plan.removed.items()}
        views = [one.view for one in (writer, *open_others(writer))]
        canaries = take_canaries(store, views, going, wanted)
        n_dead = sum(int(find_dead(one, view, going).sum()) for view in views for one in view.segments)
        counts = _count_rows(store)
        _remove(writer, plan)
        n_chunks, n_vectors = (then - now for then, now in zip(counts, _count_rows(store), strict=True))
        _empty_log(store, f"{len(going)} documents are deleted, but their bytes may still be there")
        search = Search(set_shared_aside(store, canaries))
        n_files, n_bytes = _prove(collection.folder, search, on_progress)
    return PurgeReceipt(
        documents=tuple(going),
        unknown=tuple(id_ for id_ in wanted if id_ not in going),
        n_chunks=n_chunks,
        n_vectors=n_vectors,
        n_dead_rows=n_dead,
        n_canaries=dict(Counter(canary.kind for canary in search.canaries if not canary.is_plain)),
        n_too_plain=sum(canary.is_plain for canary in search.canaries),
        n_shared=len(canaries) - len(search.canaries),
        n_files=n_files,
        n_bytes=n_bytes,
        fingerprint_before=before,
        fingerprint_after=collection.fingerprint,
    )


def _empty_log(store: Store, meanwhile: str) -> None:
    """Bring the write-ahead log into the database and empty it.

    Raises:
        BusyError: a reader's snapshot needs it.
    """
    with store.transaction():
        store.touch()
    if not store.checkpoint():
        raise BusyError(
            f"{store.path.parent} is being read by another process, or by another object of this one, which keeps what "
            f"it sees on the disk: {meanwhile}; close it, then purge again"
        )


def _remove(writer: Writer, plan: Plan) -> None:
    """Delete what the plan removes and what nothing points to; write anew all that holds traces of deleted rows."""
    writer.delete(plan)
    try:
        with writer.store.transaction():
            writer.store.drop_unused()
        for one in (writer, *open_others(writer)):
            one.scrub()
        writer.sweep()
        writer.store.vacuum()
        for leftover in writer.store.path.parent.glob(f".{writer.store.path.name}.new*"):
            leftover.unlink()  # of a process killed while it made the database
    except BusyError:
        raise
    except OSError as error:
        message = f"{error.strerror}; {len(plan.removed)} documents are deleted, but not yet purged: purge again"
        raise OSError(error.errno, message, error.filename) from error


def _prove(folder: Path, search: Search, on_progress: Progress | None) -> tuple[int, int]:
    """Search every file of the folder; return how many there are, and how many bytes.

    Raises:
        IncompletePurgeError: something was found.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    n_bytes, total = 0, sum(path.stat().st_size for path in paths)
    hits: list[Hit] = []
    for path in paths:
        n_read, found = search.find_in_file(path)
        n_bytes, hits = n_bytes + n_read, hits + found
        if on_progress is not None:
            on_progress(n_bytes, total)
    if hits:
        n_files = len({hit.path for hit in hits})
        raise IncompletePurgeError(
            f"{hits[0].path} still holds a removed {hits[0].canary.kind} at byte {hits[0].place} ({len(hits)} canaries "
            f"in {n_files} files); if that file is not the collection's own, remove it, then purge again"
        )
    return len(paths), n_bytes


def _count_rows(store: Store) -> tuple[int, int]:
    """Return how many chunks and vectors all editions hold."""
    row = store.first("SELECT (SELECT count(*) FROM chunks), (SELECT count(*) FROM vectors)")
    assert row is not None
    return row[0], row[1]
