"""Writing: groups of documents become rows and segments, one transaction each. The caller holds the writer lock.

Every committed state is whole: rows, ledgers and segments that fit each other. A kill loses at most the open group,
and of that not the embedded batches.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from workbench.config import IndexConfig
from workbench.knowledge.ledger import Ledger
from workbench.knowledge.masks import Masks, find_owners
from workbench.knowledge.rows import KeyedChunk, key_chunk
from workbench.knowledge.schema import State
from workbench.knowledge.segments import (
    FLAT,
    Kept,
    Segment,
    UnusableSegmentError,
    Weight,
    build_segment,
    merge_segments,
    open_segment,
    plan_merge,
    remove_other_segments,
)
from workbench.knowledge.store import Store, match_rows
from workbench.knowledge.sync import Change, Chunker, Embed, Embedding, Group, Plan, Progress, UpdateReport
from workbench.knowledge.view import View, build_view, verify_rows

Cut = dict[str, list[KeyedChunk]]  # by document id


class Writer:
    """Writes into one edition of a `store`, its segments in `folder`; `view` is the state committed last."""

    def __init__(self, store: Store, folder: Path, view: View, index: IndexConfig) -> None:
        """Take the store, its segments' folder, its newest state, and how a settled index should be built."""
        self.store = store
        self.folder = folder
        self.index = index
        self.view = view

    @property
    def _edition(self) -> int:
        return self.view.state.edition.number

    def write(
        self,
        plan: Plan,
        changes: Iterable[Change],
        chunk: Chunker,
        embed: Embed,
        *,
        gone: Sequence[str] = (),
        on_progress: Progress | None = None,
    ) -> UpdateReport:
        """Write all of `changes`, group by group, delete what the plan removes, and settle the segments.

        Args:
            plan: compares the changes with what is stored.
            changes: documents and files, read as they are needed.
            chunk: cuts documents.
            embed: embeds texts.
            gone: paths of files to forget.
            on_progress: see `Collection.apply`.
        """
        embedding = Embedding(self.store, self._edition, self.view.state.edition.identity, embed, on_progress)
        n_cut = 0
        groups = plan.groups(changes)
        group: Group | None = next(groups)
        while group is not None:
            cut = _cut(group, chunk)
            embedding.fill(chain.from_iterable(cut.values()))
            n_cut += sum(map(len, cut.values()))
            # Only now: the next group's documents are still being read while this one is embedded.
            following = next(groups, None)
            self._commit(group, cut, plan if following is None else None, gone)
            group = following
        return plan.report(len(self.view.chunks), n_cut, embedding.n_embedded)

    def delete(self, plan: Plan) -> None:
        """Delete what the plan removes, in one transaction."""
        self._commit(Group(), {}, plan, ())

    def sweep(self) -> None:
        """Remove the segments that no edition needs, and what killed or failed writers left behind."""
        records = [record for edition in self.store.editions() for record in edition.segments]
        remove_other_segments(self.folder, {record.name for record in records})

    def scrub(self) -> int:
        """Write the segments that hold deleted rows anew without them; return how many such rows there were."""
        touched = [kept for kept in self.view.kept if kept.alive is not None]
        if touched:
            with self.store.transaction():
                segments: list[Segment] = []
                for kept in self.view.kept:
                    config = IndexConfig.model_validate(kept.segment.record.wanted)
                    segments += [kept.segment] if kept.alive is None else self._merge([kept], config)
                view = self._record(*self._ledgers, segments)
            self._adopt(view)
        return sum(kept.segment.record.n - int(kept.alive.sum()) for kept in touched if kept.alive is not None)

    def rebuild(self, segments: Sequence[Segment | None]) -> None:
        """Build the segments that are None again from the rows, in the place of those the state lists."""
        with self.store.transaction():
            whole = []
            for record, segment in zip(self.view.state.edition.segments, segments, strict=True):
                config = IndexConfig.model_validate(record.wanted)
                whole.append(segment or self._build(record.first, record.last, config))
            view = self._record(*self._ledgers, [segment for segment in whole if segment.record.n])
        self._adopt(view)

    def rebuild_all(self) -> None:
        """Build one segment of all rows, whatever the state lists."""
        with self.store.transaction():
            rows = self.view.chunks.keys
            segments = [self._build(int(rows[0]), int(rows[-1]), self.index)] if len(rows) else []
            view = self._record(*self._ledgers, segments)
        self._adopt(view)

    @property
    def _ledgers(self) -> tuple[Ledger, Ledger]:
        return self.view.documents, self.view.chunks

    def _commit(self, group: Group, cut: Cut, final: Plan | None, gone: Sequence[str]) -> None:
        """Commit one group; with the last one goes all that ends an update."""
        removed = {} if final is None else final.removed
        if not (group.puts or group.files or removed or (final and (gone or self._unsettled))):
            return
        newest = int(self.view.chunks.keys[-1]) if len(self.view.chunks) else 0
        with self.store.transaction():
            documents, chunks = self._put(group, cut)
            if removed:
                numbers = [mark.number for mark in removed.values()]
                self.store.delete_documents(list(removed), numbers)
                chunks = chunks.change(chunks.owned_by(numbers), {})
                documents = documents.change(numbers, {})
            for file in group.files:
                self.store.put_file(file)
            segments = self._index_rows(chunks, newest, settle=final is not None)
            if final is not None:
                self.store.delete_files(gone)
                self.store.drop_loose_vectors(self._edition)
            outdated = bool(removed) or any(put.outdates_others for put in group.puts)
            view = self._record(documents, chunks, segments, outdated=outdated)
        self._adopt(view)

    def _put(self, group: Group, cut: Cut) -> tuple[Ledger, Ledger]:
        """Write a group's documents and chunks; return the ledgers of documents and chunks as they are then."""
        store, edition = self.store, self._edition
        documents: dict[int, tuple[int, bytes]] = {}
        chunks: dict[int, tuple[int, bytes]] = {}
        gone: set[int] = set()
        for put in group.puts:
            number, mark = store.put_document(put.document, put.mark and put.mark.number)
            documents[number] = (0, mark)
            if put.moved_from is not None:
                store.delete_files_of(put.moved_from)
            if put.outdates_others:
                store.drop_chunks_of_others(edition, number)
            if put.recut:
                old = store.rows_of_document(edition, number)
                own = cut[put.document.id]
                marks = store.put_chunks(edition, number, own, match_rows(old, own), put.cut)
                chunks.update({row: (number, digest) for row, digest in marks})
                gone.update(row for row, _ in old)
        return self.view.documents.change([], documents), self.view.chunks.change(gone - chunks.keys(), chunks)

    def _index_rows(self, chunks: Ledger, newest: int, *, settle: bool) -> list[Segment]:
        """Return the segments of all rows: those of rows above `newest` are new, and older ones may be merged."""
        kept = []
        for segment in self.view.segments:
            alive = find_owners(segment, chunks) > 0
            if alive.any():
                kept.append(Kept(segment, None if alive.all() else alive))
        if len(chunks) and chunks.keys[-1] > newest:
            kept.append(Kept(self._build(newest + 1, int(chunks.keys[-1]), FLAT), None))
        n_merged, as_base = plan_merge(self._weigh(kept), settle=settle)
        untouched, merged = kept[: len(kept) - n_merged], kept[len(kept) - n_merged :]
        segments = [part.segment for part in untouched]
        return segments + self._merge(merged, self.index if as_base else FLAT)

    def _weigh(self, kept: Sequence[Kept]) -> list[Weight]:
        wanted = self.index.model_dump(mode="json")
        return [
            Weight(
                segment.record.n,
                segment.record.n if alive is None else int(alive.sum()),
                place == 0 and segment.record.wanted == wanted,
            )
            for place, (segment, alive) in enumerate(kept)
        ]

    @property
    def _unsettled(self) -> bool:
        """Whether an update that was interrupted has left something to do."""
        n_merged, _ = plan_merge(self._weigh(self.view.kept), settle=True)
        return n_merged > 0 or self.store.has_loose_vectors(self._edition)

    def _build(self, first: int, last: int, config: IndexConfig) -> Segment:
        return build_segment(self.folder, self.store, self._edition, (first, last), config)

    def _merge(self, kept: Sequence[Kept], config: IndexConfig) -> list[Segment]:
        """Return the segment that holds what is kept: none for nothing."""
        if not any(alive is None or alive.any() for _, alive in kept):
            return []
        dimension = self.view.state.edition.identity.dimension
        return [merge_segments(self.folder, kept, dimension, config)]

    def _record(
        self, documents: Ledger, chunks: Ledger, segments: Sequence[Segment], *, outdated: bool = False
    ) -> View:
        """Record the state these make, inside the transaction, and return its view.

        With `outdated`, other editions have lost their chunks of the documents just written or deleted.
        """
        records = tuple(segment.record for segment in segments)
        edition = replace(self.view.state.edition, chunks_sha256=chunks.sha256, segments=records)
        self.store.record_edition(edition)
        for other in self.store.editions() if outdated else ():
            if other.number != edition.number:
                rows = self.store.scan_chunks(other.number)
                self.store.record_edition(replace(other, chunks_sha256=rows.sha256))
        state = State(self.view.state.active, edition, documents.sha256)
        self.store.record_state(state.active, state.documents_sha256)
        return build_view(self.store, state, documents, chunks, segments)

    def _adopt(self, view: View) -> None:
        """Make what was committed the newest view."""
        self.view = view
        self.sweep()


def mend_segments(store: Store, state: State, folder: Path, index: IndexConfig) -> View:
    """Build the unusable segments of the snapshot's `state` again and return its view; the caller holds the lock.

    Raises:
        DamagedCollectionError: the database has not what is needed for it.
        OSError: the disk is full or failing; nothing was changed.
    """
    segments: list[Segment | None] = []
    for record in state.edition.segments:
        try:
            segments.append(open_segment(folder, record))
        except UnusableSegmentError:
            segments.append(None)
    bare = View(state, *verify_rows(store, state), (), Masks((), store.facts))
    writer = Writer(store, folder, bare, index)
    try:
        writer.rebuild(segments)
    except UnusableSegmentError:  # what is there does not hold each chunk once
        writer.rebuild_all()
    return writer.view


def _cut(group: Group, chunk: Chunker) -> Cut:
    """Return the chunks of each document of a group that has to be cut, by document id."""
    documents = [put.document for put in group.puts if put.recut]
    by_document: Cut = {document.id: [] for document in documents}
    for one in chunk(documents) if documents else []:
        by_document[one.document_id].append(key_chunk(one))  # a KeyError is a chunker that made its document up
    return by_document
