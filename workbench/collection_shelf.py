"""`CollectionShelf`: a folder of libraries by name, for a server's many threads. One embedder, shared by all of them.

A document is parsed, cut and embedded before anything is locked, and comes in with one short transaction: searches
never wait for a model that embeds, and what is given up on the way leaves nothing behind. Once a call has returned, the
next search sees what it did. Who may do what is `access/`; here, a `Scope` says which documents exist for whom.

A library of the shelf is one like any other. A `workbench sync` of folders into it leaves alone what it does not know
of, and has the last word on the ids of its own files, whatever was added or deleted here under them.
"""

from __future__ import annotations

import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from workbench.arrivals import Arrivals
from workbench.config import LibraryConfig, RetrievalConfig, load_library_config
from workbench.contracts import Embedder, Reranker
from workbench.errors import (
    BusyError,
    CollectionExistsError,
    CollectionNameError,
    MissingCollectionError,
    MissingDocumentError,
    ReadOnlyError,
)
from workbench.knowledge import Collection, ListedDocument
from workbench.library import SETTINGS, SYNC_LOCK, Library
from workbench.locking import hold_writer_lock
from workbench.open_libraries import LentFinder, OpenLibraries
from workbench.runs import sync_folder
from workbench.storing import cut_document, put_document, refuse_hidden
from workbench.types import Document, Found, Scope

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
WRITE_SECONDS = 30.0  # how long one who writes waits for another of this process
INCOMING, SHELF_LOCK = ".incoming", ".shelf.lock"
NEW, DROPPED = ".new-", ".dropped-"


@dataclass(frozen=True, slots=True)
class CollectionFacts:
    """What a collection holds, as far as the asker's scope goes. `generation` is another after every change."""

    name: str
    documents: int
    chunks: int
    embedder: str
    generation: str  # fingerprint of documents, chunks and embedder, in hex


@dataclass(frozen=True, slots=True)
class Added:
    """What became of a document that was brought."""

    document_id: str
    chunks: int
    characters: int
    replaced: bool  # there was one of that id
    seconds: float


class CollectionShelf:
    """Threads share it. Close it, or use it as a context manager. One process at a time has the shelf."""

    def __init__(
        self,
        folder: Path,
        defaults: LibraryConfig,
        *,
        embedder: Embedder,
        reranker: Callable[[], Reranker] | None = None,
        adopted: Mapping[str, Path] | None = None,
        idle: int = 8,
        at_once: int = 4,
    ) -> None:
        """Take the folder, made where it is missing; what a killed process left half-made or half-removed goes.

        Args:
            defaults: settings of new collections; its limits of parsing and its models hold for all of them.
            embedder: of all collections; one that was built with another can be listed and read, not searched.
            reranker: gives the one that is shared; None: each open library loads its own where it is set.
            adopted: collections that lie elsewhere, by the name they have here: read and searched, never changed.
            idle: how many libraries stay open while nobody asks them; memory goes with it.
            at_once: how many requests one collection serves at a time; more wait.
        Raises:
            BusyError: another process has this shelf.
        """
        self.folder, self._defaults = folder, defaults
        self._embedder, self._reranker = embedder, reranker
        self._adopted = dict(adopted or {})
        self._locks_guard = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}  # of those who write, by name
        self._closing = ExitStack()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with ExitStack() as opened:
            opened.enter_context(hold_writer_lock(folder / SHELF_LOCK))
            for left in [*folder.glob(f"{NEW}*"), *folder.glob(f"{DROPPED}*"), *folder.glob(INCOMING)]:
                shutil.rmtree(left)
            self._libraries = OpenLibraries(self._open, idle=idle, at_once=at_once)
            opened.callback(self._libraries.close)
            self._arrivals = Arrivals(folder / INCOMING, defaults.limits)
            opened.callback(self._arrivals.close)
            self._closing = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what is open and let another process have the shelf; a second time does nothing."""
        self._closing.close()

    # -- collections ---------------------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """Return the names of all collections, in order. Links to folders elsewhere are none."""
        own = [path.name for path in self.folder.iterdir() if NAME.fullmatch(path.name) and _holds(path)]
        return sorted([*own, *(name for name in self._adopted if self.exists(name))])

    def exists(self, name: str) -> bool:
        """Say whether there is a collection of that name."""
        if name in self._adopted:
            return Collection.exists(self._adopted[name])
        return NAME.fullmatch(name) is not None and _holds(self.folder / name)

    def create(self, name: str) -> None:
        """Make an empty collection.

        Raises:
            CollectionNameError: it cannot be called so.
            CollectionExistsError: there is one, or one whose name differs in capitals alone.
        """
        self._check_name(name)
        with self._locks_guard:  # one at a time: the name must be free until the folder has it
            same = [other for other in self.names() if other.casefold() == name.casefold()]
            if same:
                raise CollectionExistsError(f"there is a collection {same[0]!r}, so none can be made as {name!r}")
            unfinished = self.folder / f"{NEW}{secrets.token_hex(8)}"
            try:
                self._library(unfinished, self._defaults).create()
                unfinished.rename(self.folder / name)
            except BaseException:
                shutil.rmtree(unfinished, ignore_errors=True)
                raise
            sync_folder(self.folder)

    def drop(self, name: str) -> None:
        """Remove a collection with all it holds; whoever searches it is waited for.

        Its files are unlinked, as a purge does; what the disk itself keeps of them is beyond this program.

        Raises:
            MissingCollectionError: there is none.
            BusyError: another process writes to it, or a search takes too long; nothing was removed.
        """
        with self._writing(name), self._libraries.alone(name):
            if not self.exists(name):
                raise self._missing(name)
            going = self.folder / f"{DROPPED}{secrets.token_hex(8)}"
            with ExitStack() as locks:
                for lock in (SYNC_LOCK, "writer.lock"):
                    locks.enter_context(hold_writer_lock(self.folder / name / lock))
                (self.folder / name).rename(going)  # from here on it is gone, whatever happens to the rest
            sync_folder(self.folder)
            shutil.rmtree(going)

    def facts(self, name: str, *, scope: Scope) -> CollectionFacts:
        """Return what a collection holds. Raises MissingCollectionError."""
        with self._libraries.lend(name) as library:
            collection = library.collection
            return CollectionFacts(
                name=name,
                documents=collection.count_documents(scope),
                chunks=collection.count(scope),
                embedder=collection.identity.name,
                generation=collection.fingerprint,
            )

    # -- documents -----------------------------------------------------------------------------------------------------

    def add_text(
        self,
        name: str,
        text: str,
        *,
        scope: Scope,
        id_: str | None = None,
        title: str | None = None,
        metadata: Mapping[str, object] | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> Added:
        """Bring in a text, over the document of its id, if there is one. Front matter, id, title: see `Arrivals`.

        Args:
            scope: whose documents may be replaced.
            check: called between batches of embedding; what it raises ends the adding, and nothing was changed.
        Raises:
            MissingCollectionError: there is no such collection.
            DocumentError, UnreadableDocumentError: as `Arrivals.read_text`; nothing was changed.
            TakenDocumentError: the id is that of a document outside `scope`; nothing was changed.
            BusyError: others write to the collection for too long; nothing was changed.
        """
        started = time.perf_counter()
        self._require(name)
        document = self._arrivals.read_text(text, id_=id_, title=title, metadata=metadata or {})
        return self._add(name, document, scope, check, started)

    def add_file(
        self,
        name: str,
        filename: str,
        data: bytes,
        *,
        scope: Scope,
        id_: str | None = None,
        title: str | None = None,
        metadata: Mapping[str, object] | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> Added:
        """Bring in a file's bytes; as `add_text`, but parsed by what its name ends in, in a child of its own."""
        started = time.perf_counter()
        self._require(name)
        document = self._arrivals.read_file(filename, data, id_=id_, title=title, metadata=metadata or {})
        return self._add(name, document, scope, check, started)

    def documents(
        self, name: str, *, scope: Scope, limit: int = 50, after: str = ""
    ) -> tuple[list[ListedDocument], str | None]:
        """Return a page of the documents in `scope`, in order of id, and what to give as `after` for the next one.

        Raises:
            MissingCollectionError: there is no such collection.
            ValueError: `limit` is below 1.
        """
        with self._libraries.lend(name) as library:
            found = library.collection.list_documents(after=after, limit=limit + 1, scope=scope)
        page = found[:limit]
        return page, page[-1].facts.id if len(found) > limit else None

    def document(self, name: str, id_: str, *, scope: Scope) -> Document:
        """Return a document with its whole text.

        Raises:
            MissingCollectionError: there is no such collection.
            MissingDocumentError: it holds no such document in `scope`.
        """
        with self._libraries.lend(name) as library:
            return _find(library, name, id_, scope)

    def delete(self, name: str, id_: str, *, scope: Scope) -> None:
        """Delete a document: no later search finds it. Its bytes stay until others overwrite them, or a purge.

        Raises:
            MissingCollectionError, MissingDocumentError: as `document`.
            BusyError: others write to the collection for too long; nothing was changed.
        """
        with self._writing(name), self._libraries.lend(name) as library:
            _find(library, name, id_, scope)
            library.collection.delete([id_])

    # -- asking --------------------------------------------------------------------------------------------------------

    def search(self, name: str, question: str, *, k: int, scope: Scope, threshold: float | None = None) -> Found:
        """Return the best passages by the collection's own settings, and whether they are enough.

        Args:
            threshold: least score of the best one for that; None: what the settings say.
        Raises:
            MissingCollectionError: there is no such collection.
            StaleIndexError: it was built with another embedder.
        """
        with self._libraries.lend(name) as library:
            own = library.config.retrieval
            retrieval = own if threshold is None else own.model_copy(update={"threshold": threshold})
            return library.build_finder(retrieval).find(question, k=k, scope=scope)

    def finder(self, name: str, retrieval: RetrievalConfig | None = None, *, scope: Scope) -> LentFinder:
        """Return a finder over one collection that never leaves `scope`, and that threads may share.

        Args:
            retrieval: how passages are found; None: as the collection's own settings say.
        Raises:
            MissingCollectionError: there is no such collection; later, by the finder, that it was dropped.
        """
        self._require(name)
        return LentFinder(self._libraries, name, retrieval, scope)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _add(self, name: str, document: Document, scope: Scope, check: Callable[[], None], started: float) -> Added:
        with self._libraries.lend(name) as library:
            cut = cut_document(library, document)
        cut.embed(self._embedder, check)
        with self._writing(name), self._libraries.lend(name) as library:
            replaced = refuse_hidden(library, document.id, scope)
            put_document(library, cut, self._embedder)
        return Added(document.id, len(cut.chunks), len(document.text), replaced, time.perf_counter() - started)

    @contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        self._require(name)
        if name in self._adopted:
            raise ReadOnlyError(f"collection {name!r} is an experiment's, and follows its corpus; change that instead")
        with self._locks_guard:
            lock = self._locks.setdefault(name, threading.Lock())
        if not lock.acquire(timeout=WRITE_SECONDS):
            raise BusyError(f"collection {name!r} has been written to for {WRITE_SECONDS:.0f} s; ask again later")
        try:
            yield
            if self.exists(name):
                self._libraries.empty_log(name)
        finally:
            lock.release()

    def _open(self, name: str) -> Library:
        self._require(name)
        if name in self._adopted:
            return self._library(self._adopted[name], self._defaults)
        stored = self.folder / name / SETTINGS
        config = load_library_config(stored) if stored.exists() else self._defaults
        return self._library(self.folder / name, config)

    def _library(self, folder: Path, config: LibraryConfig) -> Library:
        shared = {name: getattr(self._defaults, name) for name in ("limits", "models", "offline")}
        config = config.model_copy(update=shared)
        return Library(folder, config, embedder=self._embedder, reranker=self._reranker)

    def _check_name(self, name: str) -> None:
        if not NAME.fullmatch(name):
            raise CollectionNameError(
                f"{name[:80]!r} is no name for a collection; it takes 1 to 64 of A-Z a-z 0-9 . _ -, the first a letter "
                "or a digit"
            )
        if name.casefold() in {taken.casefold() for taken in self._adopted}:
            raise CollectionNameError(f"the name {name!r} is that of a collection which lies elsewhere; take another")

    def _require(self, name: str) -> None:
        if not self.exists(name):
            raise self._missing(name)

    def _missing(self, name: str) -> MissingCollectionError:
        return MissingCollectionError(f"there is no collection {name[:80]!r}; make it: POST /v1/collections")


def _holds(path: Path) -> bool:
    return not path.is_symlink() and Collection.exists(path)


def _find(library: Library, name: str, id_: str, scope: Scope) -> Document:
    try:
        return library.collection.document(id_, scope)
    except KeyError as error:
        raise MissingDocumentError(f"collection {name!r} holds no document {id_[:80]!r}") from error
