"""A collection: documents, their chunks, and two ways to search them. The face of this room.

A folder: `collection.sqlite` is the truth, `generations/` holds the caches built from it, `writer.lock` admits one
writer. A collection sees one committed state until it updates; others may write meanwhile. Not for use by two
threads at once.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Self

from workbench.errors import MissingCollectionError, StaleIndexError
from workbench.knowledge.generations import (
    UnusableGenerationError,
    read_generation,
    remove_other_generations,
    write_generation,
)
from workbench.knowledge.schema import State, create_database
from workbench.knowledge.store import Store
from workbench.knowledge.sync import Chunker, Embed, Plan, Progress, UpdateReport, embed_missing, plan_update
from workbench.knowledge.ties import Scored
from workbench.locking import hold_writer_lock
from workbench.types import Chunk, Document, EmbedderIdentity, Float32

DATABASE = "collection.sqlite"
LOCK = "writer.lock"
GENERATIONS = "generations"


class Collection:
    """An open collection; use it as a context manager, or close it. `events` tells what went amiss on the way."""

    def __init__(self, folder: Path) -> None:
        """Open the database only; use `create` or `open`."""
        self.folder = folder
        self.events: list[str] = []
        self._store = Store(folder / DATABASE)
        self._state: State | None = None

    @classmethod
    def exists(cls, folder: Path) -> bool:
        """Say whether `folder` holds a collection, whatever its condition."""
        return (folder / DATABASE).exists()

    @classmethod
    def create(cls, folder: Path, identity: EmbedderIdentity) -> Self:
        """Make an empty collection, stamped with its embedder.

        Raises:
            FileExistsError: there is one already.
            BusyError: another process is making one.
        """
        folder.mkdir(parents=True, exist_ok=True)
        with hold_writer_lock(folder / LOCK):
            if cls.exists(folder):
                raise FileExistsError(f"{folder} already holds a collection")
            create_database(folder / DATABASE, identity)
            collection = cls(folder)
            collection._rebuild()
        return collection

    @classmethod
    def open(cls, folder: Path, identity: EmbedderIdentity | None = None) -> Self:
        """Open a collection for reading and, later, updating; an unusable generation is built again and recorded.

        Args:
            folder: where it lies.
            identity: the embedder questions will come from; None: not checked, for reading and word search.

        Raises:
            MissingCollectionError: there is none.
            StaleIndexError: it was built with another embedder.
            DamagedCollectionError: its database is not whole.
            BusyError: it needs mending while another process writes.
        """
        if not cls.exists(folder):
            raise MissingCollectionError(f"{folder} holds no {DATABASE}; make the collection: workbench index CONFIG")
        collection = cls(folder)
        try:
            collection._load()
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

    @property
    def identity(self) -> EmbedderIdentity:
        """The embedder this collection was built with."""
        return self._loaded.identity

    def require(self, identity: EmbedderIdentity) -> None:
        """Refuse another embedder than the collection's.

        Raises:
            StaleIndexError: it differs in any field; the message names each with both values.
        """
        if identity != self.identity:
            theirs, ours = asdict(self.identity), asdict(identity)
            differing = [key for key in theirs if theirs[key] != ours[key]]
            raise StaleIndexError(
                f"{self.folder} was built with {', '.join(f'{key} {theirs[key]!r}' for key in differing)}, but the "
                f"embedder asked for has {', '.join(f'{key} {ours[key]!r}' for key in differing)}; "
                f"embed it anew: rm -r {self.folder} && workbench index CONFIG"
            )

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of documents, chunks and embedder; order of insertion, clock and machine leave no trace."""
        return self._loaded.fingerprint

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
        """Make the collection hold `documents`, chunking and embedding only what changed, in one transaction.

        Args:
            documents: all documents there should be, with unique ids.
            chunk: cuts the new and changed documents.
            embed: embeds texts with the embedder of `identity`, shape (N, D).
            settings: fingerprint of the chunking settings; when it changes, every document is cut anew.
            remove_missing: whether stored documents that are not in `documents` are removed.
            on_progress: called after each batch with texts embedded and texts to embed.

        Raises:
            BusyError: another process is writing; nothing was changed.
        """
        try:
            with hold_writer_lock(self.folder / LOCK):
                self._store.end_snapshot()  # another process may have written since it was taken
                plan = plan_update(self._store.document_marks(), documents, settings, remove_missing)
                chunks = chunk(plan.renewed) if plan.renewed else []
                n_embedded = embed_missing(self._store, chunks, embed, self.identity, on_progress)
                self._commit(plan, chunks, settings)
                if not self._store.checkpoint():
                    log = f"{DATABASE} and its write-ahead log, since another program is reading it"
                    self._record(f"removed text may stay in {self.folder}: in {log}; close that, then update again")
                remove_other_generations(self.folder / GENERATIONS, self._store.take_snapshot())
        finally:
            self._load()
        return UpdateReport(
            added=tuple(document.id for document in plan.added),
            changed=tuple(document.id for document in plan.changed),
            removed=plan.removed,
            n_unchanged=plan.n_unchanged,
            n_chunks=self.n_chunks,
            n_embedded=n_embedded,
            n_reused=len(chunks) - n_embedded,
        )

    @property
    def n_chunks(self) -> int:
        """How many chunks there are."""
        return len(self._ids)

    def document(self, id_: str) -> Document:
        """Return one document. Raises KeyError for an unknown id."""
        return self._store.document(id_)

    def chunks(self, ids: Sequence[str]) -> list[Chunk]:
        """Return the chunks in the order of `ids`. Raises KeyError for an unknown id."""
        return self._store.chunks(ids)

    def all_chunks(self) -> list[Chunk]:
        """Return all chunks in order of id."""
        return list(self._store.all_chunks())

    def search_vectors(self, vector: Float32, *, k: int) -> Scored:
        """Return the `k` nearest chunk ids to `vector`, shape (D,), by inner product; equal scores in order of id."""
        return self._vectors.search(vector, k=k)

    def search_words(self, question: str, *, k: int) -> Scored:
        """Return the `k` best chunk ids by BM25; equal scores in order of id; may be empty."""
        return self._words.search(question, k=k)

    @property
    def _loaded(self) -> State:
        assert self._state is not None
        return self._state

    def _commit(self, plan: Plan, chunks: Sequence[Chunk], settings: str) -> None:
        by_document: dict[str, list[Chunk]] = {document.id: [] for document in plan.renewed}
        for one in chunks:
            by_document[one.document_id].append(one)  # a KeyError is a chunker that made its document up
        with self._store.transaction():
            for id_ in plan.removed:
                self._store.delete_document(id_)
            for document in plan.renewed:
                self._store.put_document(document, settings, by_document[document.id])
            self._store.drop_unused_vectors()
            if plan.renewed or plan.removed:
                write_generation(self.folder / GENERATIONS, self._store, self.identity.dimension)

    def _record(self, event: str) -> None:
        self.events.append(event)
        logging.getLogger(__name__).warning(event)

    def _load(self) -> None:
        """Open the newest state; a generation that cannot be used is built again, under the writer lock."""
        # Twice, because a writer may replace the generation between the reading of its row and of its files.
        if self._try_load() is None or self._try_load() is None:
            return
        with hold_writer_lock(self.folder / LOCK):
            fault = self._try_load()
            if fault is not None:
                self._record(f"rebuilt the indexes of {self.folder} from its database: {fault}")
                self._rebuild()

    def _try_load(self) -> UnusableGenerationError | None:
        state = self._store.take_snapshot()
        if state == self._state:
            return None
        ids = self._store.chunk_ids()
        try:
            self._vectors, self._words = read_generation(self.folder / GENERATIONS, state, ids)
        except UnusableGenerationError as fault:
            return fault
        self._ids, self._state = ids, state
        return None

    def _rebuild(self) -> None:
        """Build the generation from the database and open it; the caller holds the writer lock."""
        dimension = self._store.take_snapshot().identity.dimension
        with self._store.transaction():
            write_generation(self.folder / GENERATIONS, self._store, dimension)
        fault = self._try_load()
        if fault is not None:
            raise fault
