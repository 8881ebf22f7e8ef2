"""A collection: documents, their chunks, and two ways to search them. The face of this room.

A folder: `collection.sqlite` is the truth, `collection.commits` counts its commits, `segments/` holds caches of it,
`writer.lock` admits one writer. A collection sees one committed state until it writes or is refreshed; others may write
meanwhile. Threads may hand one on, but not use it at once.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from workbench.config import IndexConfig
from workbench.knowledge.listing import ListedDocument, list_documents, read_allowed
from workbench.knowledge.refusals import refuse_embedder, refuse_missing, refuse_promoted, tell_unemptied
from workbench.knowledge.rows import DocumentFacts, FileMark, text_key
from workbench.knowledge.schema import State, create_database
from workbench.knowledge.searching import Scored, find_vectors, find_words
from workbench.knowledge.segments import UnusableSegmentError
from workbench.knowledge.store import Store
from workbench.knowledge.surroundings import find_neighbours, find_section
from workbench.knowledge.sync import Change, Chunker, Embed, Plan, Progress, UpdateReport
from workbench.knowledge.view import View, fingerprint_content, read_view
from workbench.knowledge.writing import Writer, mend_segments
from workbench.locking import hold_writer_lock
from workbench.types import EVERYTHING, Chunk, Document, EmbedderIdentity, Float32, Scope

DATABASE = "collection.sqlite"
LOCK = "writer.lock"
SEGMENTS = "segments"


class Collection:
    """An open collection; use it as a context manager, or close it. `events` tells what went amiss on the way."""

    def __init__(self, folder: Path, index: IndexConfig) -> None:
        """Open the database only; use `create` or `open`."""
        self.folder = folder
        self.events: list[str] = []
        self.leaves_log = False  # True: who writes calls `empty_log` when nobody reads
        self._index = index
        self._store = Store(folder / DATABASE)
        self._view: View | None = None  # None: nothing was read yet, or a refresh failed half-way
        self._resting = False  # then the view is worth nothing until the next refresh
        self._expected: EmbedderIdentity | None = None  # whoever asks embeds with this one

    @classmethod
    def exists(cls, folder: Path) -> bool:
        """Say whether `folder` holds a collection, whatever its condition."""
        return (folder / DATABASE).exists()

    @classmethod
    def create(cls, folder: Path, identity: EmbedderIdentity, *, index: IndexConfig | None = None) -> Self:
        """Make an empty collection, stamped with its embedder.

        Args:
            folder: where it will lie; made where it is missing.
            identity: the embedder of all its vectors.
            index: how this object builds the index of vectors; None: the defaults.
        Raises:
            FileExistsError: there is one already.
            BusyError: another process is making one.
        """
        folder.mkdir(parents=True, exist_ok=True)
        with hold_writer_lock(folder / LOCK):
            if cls.exists(folder):
                raise FileExistsError(f"{folder} already holds a collection")
            create_database(folder / DATABASE, identity)
        return cls.open(folder, identity, index=index)

    @classmethod
    def open(cls, folder: Path, identity: EmbedderIdentity | None = None, *, index: IndexConfig | None = None) -> Self:
        """Open a collection for reading and, later, writing; an unusable segment is built again and recorded.

        Args:
            folder: where it lies.
            identity: the embedder questions will come from; None: not checked, for reading and word search.
            index: how this object builds the index of vectors when it writes; None: the defaults.
        Raises:
            MissingCollectionError: there is none.
            StaleIndexError: it was built with another embedder.
            DamagedCollectionError: its database is not whole.
            CollectionVersionError: another version of this program made it.
            BusyError: it needs mending while another process writes.
        """
        if not cls.exists(folder):
            raise refuse_missing(folder / DATABASE)
        collection = cls(folder, index or IndexConfig())
        try:
            collection.refresh()
            if identity is not None:
                collection.require(identity)
        except BaseException:
            collection.close()
            raise
        return collection

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database; a second time does nothing."""
        self._store.close()

    def refresh(self) -> None:
        """See the newest committed state, with the errors of `open`; what did not change is not read again.

        After an error nothing is seen, neither the old state nor the new: what is asked next tries again.
        """
        try:
            self._refresh()
        except BaseException:
            self._view = None
            self._store.end_snapshot()
            raise

    def rest(self) -> None:
        """Let go of the snapshot, which keeps deleted text on the disk; what is asked next sees the newest state."""
        self._store.end_snapshot()
        self._resting = True

    def empty_log(self) -> bool:
        """Empty the write-ahead log, so that deleted text is in no file; False: somebody's snapshot prevents it."""
        return self._store.checkpoint()

    def _refresh(self) -> None:
        failed: State | None = None
        while (state := self._take_state()) != failed:  # else no writer took the segments away between two reads
            if (self._view is not None and state == self._view.state) or self._try_view(state) is None:
                return
            failed = state
        with hold_writer_lock(self.folder / LOCK):
            self._refresh_alone()

    # -- what it is ----------------------------------------------------------------------------------------------------

    @property
    def identity(self) -> EmbedderIdentity:
        """The embedder this collection was built with."""
        return self._loaded.state.edition.identity

    def require(self, identity: EmbedderIdentity) -> None:
        """Refuse another embedder than the collection's.

        Raises:
            StaleIndexError: it differs in any field; the message names each with both values.
        """
        if identity != self.identity:
            raise refuse_embedder(self.folder, self.identity, identity)

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of documents, facts, chunks, embedder; sources, history, clock and machine leave no trace."""
        return fingerprint_content(self._store, self.identity, self._loaded.chunks)

    @property
    def n_chunks(self) -> int:
        """How many chunks there are."""
        return len(self._loaded.chunks)

    @property
    def n_documents(self) -> int:
        """How many documents there are."""
        return len(self._loaded.documents)

    def count(self, scope: Scope = EVERYTHING) -> int:
        """Return how many chunks lie in `scope`."""
        return self._loaded.masks.count(scope)

    def count_documents(self, scope: Scope) -> int:
        """Return how many documents lie in `scope`."""
        return self._loaded.masks.count_documents(scope)

    def describe_index(self) -> list[str]:
        """Return one line a segment: how many of its rows are still there, how they are indexed, and why."""
        return self._loaded.describe()

    # -- reading -------------------------------------------------------------------------------------------------------

    def document(self, id_: str, scope: Scope = EVERYTHING) -> Document:
        """Return one document. Raises KeyError for an unknown id, and for one outside `scope`."""
        return read_allowed(self._rows, id_, scope)

    def documents(self) -> list[DocumentFacts]:
        """Return the facts of all documents in order of id, without their texts."""
        return self._rows.check_count([facts for _, facts in self._rows.facts()], self.n_documents)

    def list_documents(self, *, after: str, limit: int, scope: Scope = EVERYTHING) -> list[ListedDocument]:
        """Return the first `limit` documents in `scope` whose id comes after `after` ("": from the start), in order."""
        return list_documents(self._rows, self._edition, after=after, limit=limit, scope=scope)

    def file_marks(self) -> dict[str, FileMark]:
        """Return what became of each source file that was recorded, by path."""
        return self._rows.file_marks()

    def chunks(self, ids: Sequence[str]) -> list[Chunk]:
        """Return the chunks in the order of `ids`. Raises KeyError for an unknown id."""
        return [self._rows.chunk(self._edition, id_).chunk for id_ in ids]

    def all_chunks(self) -> list[Chunk]:
        """Return all chunks in order of id."""
        return self._rows.check_count(list(self._rows.all_chunks(self._edition)), self.n_chunks)

    def neighbours(self, chunk_id: str, *, before: int, after: int) -> list[Chunk]:
        """Return a chunk, up to `before` before it in its document and `after` after it, in order, or a KeyError."""
        return find_neighbours(self._rows, self._edition, self._loaded.chunks, chunk_id, before=before, after=after)

    def section(self, chunk_id: str) -> list[Chunk]:
        """Return a chunk and all around it that follow each other under the same headings, in order, or a KeyError."""
        return find_section(self._rows, self._edition, self._loaded.chunks, chunk_id)

    def vectors_of(self, ids: Sequence[str]) -> Float32:
        """Return the stored vectors of chunks, shape (len(ids), D). Raises KeyError for an unknown id."""
        return self._rows.vectors_of(self._edition, ids, self.identity.dimension)

    def without_vector(self, texts: Sequence[str]) -> list[str]:
        """Return those of `texts`, as they are indexed, that no update has embedded yet, each once, in order."""
        return [text for text in dict.fromkeys(texts) if not self._rows.has_vector(self._edition, text_key(text))]

    # -- searching -----------------------------------------------------------------------------------------------------

    def search_vectors(self, vector: Float32, *, k: int, scope: Scope = EVERYTHING) -> Scored:
        """Return the `k` chunk ids in `scope` nearest to `vector`, shape (D,), by inner product; ties by id."""
        return find_vectors(self._rows, self._loaded, vector, k=k, scope=scope)

    def search_words(self, question: str, *, k: int, scope: Scope = EVERYTHING) -> Scored:
        """Return the `k` best chunk ids in `scope` by BM25; ties by id; may be empty.

        The statistics are those of the chunks in `scope`: the scores tell nothing of any other.
        """
        return find_words(self._rows, self._loaded, question, k=k, scope=scope)

    # -- writing -------------------------------------------------------------------------------------------------------

    def update(
        self,
        documents: Sequence[Document],
        chunk: Chunker,
        embed: Embed,
        *,
        settings: str = "",
        remove_missing: bool = True,
        on_progress: Progress | None = None,
    ) -> UpdateReport:
        """Make the collection hold `documents`; as `apply`, for documents that are all at hand.

        Args:
            documents: all documents there should be, with unique ids.
            chunk: cuts new and changed documents.
            embed: embeds texts with the embedder of `identity`, shape (N, D).
            settings: fingerprint of the chunking settings; when it changes, every document is cut anew.
            remove_missing: whether stored documents that are not in `documents` are removed.
            on_progress: called after each batch with texts embedded and texts known so far to need it.
        Raises:
            ValueError: two documents share an id; nothing was changed.
            BusyError: another process is writing; nothing was changed.
        """
        wanted = {document.id: document for document in documents}
        if len(wanted) != len(documents):
            raise ValueError(f"{len(documents)} documents share {len(wanted)} ids; ids must be unique")
        with self.writing() as writer:
            marks = self._store.document_marks(self._edition)
            plan = Plan(marks, marks.keys() - wanted.keys() if remove_missing else (), settings)
            changes = (Change(wanted[id_]) for id_ in sorted(wanted))
            return writer.write(plan, changes, chunk, embed, on_progress=on_progress)

    def apply(
        self,
        changes: Iterable[Change],
        chunk: Chunker,
        embed: Embed,
        *,
        settings: str = "",
        removed: Iterable[str] = (),
        gone: Sequence[str] = (),
        on_progress: Progress | None = None,
    ) -> UpdateReport:
        """Bring documents and files in as they arrive; chunk and embed only what changed.

        Committed in groups of about 2,000 chunks, each a consistent state, so that after a kill the same call goes on
        where it stopped; what fits one group is one transaction. A new document with the content of one in `removed`
        is that one, moved: it keeps its rows and costs no embedding.

        Args:
            changes: documents and files to put, each id once; documents not named stay.
            chunk: cuts new and changed documents.
            embed: embeds texts with the embedder of `identity`, shape (N, D).
            settings: fingerprint of the chunking settings; a document cut under others is cut anew.
            removed: ids of documents to delete; unknown ones are passed over.
            gone: paths of files to forget.
            on_progress: called after each batch with texts embedded and texts known so far to need it.
        Raises:
            ValueError: an id comes twice; the groups before it stay.
            BusyError: another process is writing; nothing was changed.
        """
        with self.writing() as writer:
            plan = Plan(self._store.document_marks(self._edition), removed, settings)
            return writer.write(plan, changes, chunk, embed, gone=gone, on_progress=on_progress)

    def delete(self, ids: Iterable[str]) -> tuple[str, ...]:
        """Delete documents and what is known of their files; return those of `ids` that were there, in order.

        Raises BusyError: another process is writing; nothing was changed.
        """
        with self.writing() as writer:
            plan = Plan(self._store.document_marks(self._edition), ids, "")
            writer.delete(plan)
            return tuple(plan.removed)

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        """Hold the writer lock and yield a writer on the newest state, whose commits this collection then sees.

        For the other files of this room.

        Raises:
            BusyError: another process is writing; nothing was changed.
            StaleIndexError: another embedder was promoted since this collection was opened.
        """
        try:
            with hold_writer_lock(self.folder / LOCK):
                self._refresh_alone()  # another process may have written since
                self._store.settle_count()
                writer = Writer(self._store, self.folder / SEGMENTS, self._loaded, self._index)
                writer.sweep()
                try:
                    yield writer
                finally:
                    self._see(writer.view)
                emptied = self.leaves_log or self.empty_log()
            if not emptied:  # told without the lock: whoever reads the log may be slow
                self._record(tell_unemptied(self.folder))
        finally:
            self.refresh()

    # -- inside --------------------------------------------------------------------------------------------------------

    @property
    def _loaded(self) -> View:
        if self._view is None or self._resting:
            self.refresh()
        assert self._view is not None
        return self._view

    @property
    def _rows(self) -> Store:
        """The database, at the snapshot of what was loaded."""
        if self._view is None or self._resting:
            self.refresh()
        return self._store

    @property
    def _edition(self) -> int:
        return self._loaded.state.edition.number

    def _record(self, event: str) -> None:
        if event not in self.events:  # a writer that stays open beside a reader has it at each write
            self.events.append(event)
        logging.getLogger(__name__).warning(event)

    def _take_state(self) -> State:
        """Snapshot the newest state; another embedder than so far is refused: whoever asks embeds with the old one."""
        state = self._store.take_snapshot()
        self._resting = False
        if self._expected is not None and state.edition.identity != self._expected:
            raise refuse_promoted(self.folder, self._expected, state.edition.identity)
        return state

    def _try_view(self, state: State) -> UnusableSegmentError | None:
        """Open the snapshot's `state`; return why it could not be."""
        opened = () if self._view is None else self._view.segments
        try:
            self._see(read_view(self._store, state, self.folder / SEGMENTS, opened))
        except UnusableSegmentError as fault:
            return fault
        return None

    def _refresh_alone(self) -> None:
        """See the newest state, mending its segments where they are unusable; the caller holds the writer lock."""
        state = self._take_state()
        if self._view is not None and state == self._view.state:
            return
        fault = self._try_view(state)
        if fault is not None:
            self._record(f"rebuilt the indexes of {self.folder} from its database: {fault}")
            self._see(mend_segments(self._store, state, self.folder / SEGMENTS, self._index))
            self._store.take_snapshot()  # mending committed, and so ended the one before

    def _see(self, view: View) -> None:
        self._view, self._expected = view, view.state.edition.identity
