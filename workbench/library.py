"""`Library`: a collection with all it takes to fill and to ask it. The public face of a knowledge base, beside `Bench`.

A library is one folder: the collection, and `library.yaml`, the settings it was made with, so that later commands need
not repeat them. Parsing, cutting, embedding, indexing and searching are other rooms' work; here they are put in a row.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Self

from workbench import offline
from workbench.config import LibraryConfig, RetrievalConfig, dump_config, leaves_to_fit, load_library_config
from workbench.contracts import Embedder, Reranker, TokenOffsets
from workbench.corpus import (
    FactRules,
    SourceFile,
    check_matched,
    chunk_documents,
    cutter_version,
    match_ids,
    reader_version,
    scan_folder,
)
from workbench.errors import ConfigError, EmptyCorpusError, StaleIndexError
from workbench.knowledge import Change, Collection, FileMark, UpdateReport, read_stamps
from workbench.locking import hold_writer_lock
from workbench.mirroring import SyncPlan, compare_files, read_changes
from workbench.models import CrossEncoderReranker, SentenceEmbedder, built_by, choose_device_and_dtype, find_model
from workbench.retrieval import Pipeline, build_pipeline
from workbench.runs import fingerprint, write_atomically
from workbench.types import EVERYTHING, Chunk, Document, EmbedderIdentity, Float32, Found, ReadFailure, Scope

SETTINGS = "library.yaml"
SYNC_LOCK = "sync.lock"
RULES_MARK = "metadata.rules"  # there: rules were given, so a sync without them is refused
NO_RULES = FactRules(Path("no rules"))

Progress = Callable[[SourceFile], None]  # called with each file that was read


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync did: `update` tells of documents, `failures` of the files that could not become one, old and new."""

    update: UpdateReport
    failures: tuple[ReadFailure, ...]
    events: tuple[str, ...]


class Library:
    """A folder of documents made searchable. Parts are loaded when they are first needed."""

    def __init__(
        self,
        folder: Path,
        config: LibraryConfig,
        *,
        embedder: Embedder | None = None,
        reranker: Callable[[], Reranker] | None = None,
    ) -> None:
        """Take the library's folder and settings; nothing is read or written yet, and the process goes offline.

        With `offline: false` in the settings it does not.

        Args:
            embedder: one that is loaded and shared; None: the library's own is loaded when it is needed.
            reranker: gives one that is shared; None: the library's own is loaded when it is needed.
        """
        offline.apply(config.offline)
        self.folder = folder
        self.config = config
        self._shared_embedder = embedder
        self._load_reranker = reranker or self._load_own_reranker

    @classmethod
    def open(cls, folder: Path, *, config: Path | None = None, overrides: Sequence[str] = ()) -> Self:
        """Return the library in `folder` with the settings of `config`, else its own, else the defaults.

        Raises:
            ConfigError: the settings are malformed; every fault with its line.
        """
        stored = folder / SETTINGS
        path = config or (stored if stored.exists() else None)
        return cls(folder, load_library_config(path, overrides=overrides))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- parts ---------------------------------------------------------------------------------------------------------

    @cached_property
    def embedder(self) -> Embedder:
        """The shared one, or what the settings name, loaded. Raises StaleIndexError if the collection has another."""
        embedder = self._shared_embedder or self.load_embedder()
        if Collection.exists(self.folder):
            self._require(embedder.identity)
        return embedder

    def load_embedder(self) -> SentenceEmbedder:
        """Load the embedder the settings name, whether the collection was built with it or not.

        `auto` takes the backend the collection was built with, so that installing another makes no collection stale.
        That is read from its stamps, so it needs no collection that can be opened.
        """
        models = self.config.models
        backend = models.embedder_backend
        if backend == "auto" and Collection.exists(self.folder):
            stamps = read_stamps(self.folder)
            same = [stamp for stamp in stamps if stamp.name == models.embedder]
            backend = built_by((same or stamps)[0]) if stamps else backend
        installed = find_model(models.embedder, kind="embedder")
        return SentenceEmbedder(installed, device=choose_device_and_dtype(models)[0], backend=backend)

    @cached_property
    def collection(self) -> Collection:
        """The collection, open; not compared with the embedder, which words do without."""
        return Collection.open(self.folder, index=self.config.index)

    @cached_property
    def pipeline(self) -> Pipeline:
        """The steps from a question to its passages."""
        return self.build_finder(self.config.retrieval)

    def build_finder(self, retrieval: RetrievalConfig) -> Pipeline:
        """Return the steps that other settings describe, over the same collection.

        Raises:
            ConfigError: they leave something to be fitted on dev questions, which a collection on its own has not.
        """
        if left := leaves_to_fit(retrieval):
            raise ConfigError(f"retrieval.{left[0]} is fitted on an experiment's dev questions, not for {self.folder}")
        return build_pipeline(
            retrieval, self.collection, self.embedder, reranker=self._load_reranker, fit=None, threshold=None
        )

    def _load_own_reranker(self) -> Reranker:
        models = self.config.models
        return CrossEncoderReranker(
            find_model(models.reranker, kind="reranker"),
            device=choose_device_and_dtype(models)[0],
            backend=models.reranker_backend,
        )

    def close(self) -> None:
        """Close the collection, if it was opened; what is asked of the library next opens it again."""
        if "collection" in self.__dict__:
            self.collection.close()
        for part in ("collection", "embedder", "pipeline"):
            self.__dict__.pop(part, None)

    def take_embedder(self, name: str) -> None:
        """Change the settings to another embedder, here and on disk, after the collection changed to it."""
        models = self.config.models.model_copy(update={"embedder": name})
        self.config = self.config.model_copy(update={"models": models})
        self._shared_embedder = None
        self._remember_settings()
        self.close()

    # -- filling -------------------------------------------------------------------------------------------------------

    def create(self) -> None:
        """Make the collection, empty. Raises FileExistsError if there is one."""
        Collection.create(self.folder, self.embedder.identity, index=self.config.index).close()
        self._remember_settings()

    def plan(self, folders: Sequence[Path], *, facts: FactRules | None = None, drop_facts: bool = False) -> SyncPlan:
        """Compare the files below `folders` with what is recorded, by content; nothing is parsed or changed.

        Args:
            folders: what the collection should mirror.
            facts: users' own metadata and permissions.
            drop_facts: take back what earlier rules said: without it, a sync that forgets the rules is refused, since
                it would open every restricted document to everybody.
        Raises:
            EmptyCorpusError: a folder is missing, or no file matches: that must not empty a collection.
            ConfigError: two folders have one name, a pattern is malformed, a rule that sets readers matches nothing,
                the rules of the sync before are missing, or the collection lies inside a folder.
        """
        if facts is None and not drop_facts and (self.folder / RULES_MARK).exists():
            raise ConfigError(
                f"{self.folder} was synced with metadata rules (permissions may be among them), none are given now; "
                f"give them again: --metadata FILE, or take them back for all documents: --no-metadata"
            )
        for folder in folders:
            if self.folder.resolve().is_relative_to(folder.resolve()):
                raise ConfigError(
                    f"the collection {self.folder} lies inside {folder} and would take itself in; move it"
                )
        files = scan_folder(folders, self.config.include)
        if not files:
            named = ", ".join(str(folder) for folder in folders)
            raise EmptyCorpusError(
                f"no file below {named} matches {', '.join(self.config.include)}; a sync would remove every document: "
                f"mend the folder or `include`, or delete them: workbench delete {self.folder} '**'"
            )
        rules = facts or NO_RULES
        unmatched = check_matched(rules, [file.id for file in files])
        marks = self.collection.file_marks() if Collection.exists(self.folder) else {}
        return compare_files(files, marks, lambda file: self._reader(file, rules), unmatched)

    def sync(
        self,
        folders: Sequence[Path],
        *,
        facts: FactRules | None = None,
        drop_facts: bool = False,
        on_plan: Callable[[SyncPlan], None] | None = None,
        on_progress: Progress | None = None,
    ) -> SyncReport:
        """Add, change, move and remove exactly what changed below `folders`; interrupted, the same call goes on.

        Files are parsed in children while earlier ones are cut and embedded. `facts` and `drop_facts` as in `plan`.

        Raises:
            EmptyCorpusError, ConfigError: as `plan`.
            StaleIndexError: the collection was built with another embedder; nothing was changed.
            BusyError: another process is writing; nothing was changed.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with hold_writer_lock(self.folder / SYNC_LOCK):
            return self._sync(folders, facts, drop_facts, on_plan, on_progress)

    def _sync(
        self,
        folders: Sequence[Path],
        facts: FactRules | None,
        drop_facts: bool,
        on_plan: Callable[[SyncPlan], None] | None,
        on_progress: Progress | None,
    ) -> SyncReport:
        if Collection.exists(self.folder):
            self.collection.refresh()  # another process may have synced since it was opened
            self._require_embedder()
        plan = self.plan(folders, facts=facts, drop_facts=drop_facts)
        if on_plan is not None:
            on_plan(plan)
        if not Collection.exists(self.folder):
            self.create()
        self._remember_settings()
        if facts is not None:
            write_atomically(self.folder / RULES_MARK, "synced with metadata rules\n")
        rules = facts or NO_RULES
        marks = self.collection.file_marks()
        gone = [*plan.removed, *(old for old, _ in plan.moved)]
        lost: list[Change] = []
        with closing(
            read_changes(
                plan.to_read,
                rules,
                marks,
                lost,
                reader=self._reader,
                limits=self.config.limits,
                on_progress=on_progress,
            )
        ) as changes:
            update = self._apply(changes, gone=gone, removed=_documents_of(gone, marks))
        if lost:  # last, since only reading tells which; until then the old marks stay, for a resumed sync
            files = [change.file.path for change in lost if change.file is not None]
            dropped = self._apply(lost, removed=_documents_of(files, marks))
            update = replace(update, removed=tuple(sorted(update.removed + dropped.removed)), n_chunks=dropped.n_chunks)
        if drop_facts:
            (self.folder / RULES_MARK).unlink(missing_ok=True)
        failures = [
            ReadFailure(mark.path, mark.kind, mark.reason)
            for mark in self.collection.file_marks().values()
            if mark.document_id is None
        ]
        return SyncReport(update, tuple(failures), tuple(self.collection.events))

    def delete(self, patterns: Sequence[str]) -> tuple[str, ...]:
        """Delete the documents whose ids match a glob of `patterns`; return their ids.

        A document whose file is still there comes back with the next sync: remove the file too.

        Raises:
            ConfigError: a pattern matches no document.
        """
        return self.collection.delete(self.match(patterns))

    def match(self, patterns: Sequence[str]) -> list[str]:
        """Return the ids of the documents that are, or match a glob of, `patterns`, in order.

        Raises:
            ConfigError: a pattern matches no document.
        """
        known = [facts.id for facts in self.collection.documents()]
        wanted: set[str] = set()
        for pattern in patterns:
            matching = [pattern] if pattern in known else match_ids(pattern, known)
            if not matching:
                nearest = difflib.get_close_matches(pattern, known, n=1)
                hint = f"did you mean {nearest[0]!r}?" if nearest else f"`**` stands for any of its {len(known)} ids"
                raise ConfigError(f"no document of {self.folder} matches {pattern!r}, nothing was done; {hint}")
            wanted.update(matching)
        return sorted(wanted)

    # -- asking --------------------------------------------------------------------------------------------------------

    def search(self, question: str, *, k: int = 5, scope: Scope = EVERYTHING) -> Found:
        """Return the best passages for a question and whether they are enough to answer from."""
        return self.pipeline.find(question, k=k, scope=scope)

    def status(self) -> dict[str, object]:
        """Return what the collection holds, how it is indexed and why, and which files could not be read."""
        collection, marks = self.collection, self.collection.file_marks()
        failed = [f"{mark.path} ({mark.kind})" for mark in marks.values() if mark.document_id is None]
        return {
            "documents": collection.n_documents,
            "chunks": collection.n_chunks,
            "embedder": f"{collection.identity.name} ({collection.identity.backend})",
            "fingerprint": collection.fingerprint,
            "index": "; ".join(collection.describe_index()),
            "files not read": ", ".join(failed) or "none",
            "events": "; ".join(collection.events) or "none",
        }

    # -- inside --------------------------------------------------------------------------------------------------------

    @property
    def cutting(self) -> str:
        """Fingerprint of how documents are cut: settings and code."""
        return fingerprint(self.config.chunking, cutter_version())

    def cut(self, documents: Sequence[Document], offsets: TokenOffsets | None = None) -> list[Chunk]:
        """Cut documents by the settings, measured by `offsets`; None: the library's own embedder, loaded now."""
        return chunk_documents(documents, offsets=offsets or self.embedder, config=self.config.chunking)

    def _reader(self, file: SourceFile, rules: FactRules) -> str:
        """What a file's document depends on beside its bytes."""
        said = [(rule.path, rule.facts, rule.readers) for rule in rules.matching(file.id)]
        return fingerprint(reader_version(), self.cutting, said)

    # Loaded when it is called, not before: a sync that changes nothing needs no model.
    def _embed(self, texts: Sequence[str]) -> Float32:
        return self.embedder.embed_documents(texts)

    def _apply(self, changes: Iterable[Change], *, removed: Sequence[str], gone: Sequence[str] = ()) -> UpdateReport:
        return self.collection.apply(
            changes,
            self.cut,
            self._embed,
            settings=self.cutting,
            removed=removed,
            gone=gone,
        )

    def _require_embedder(self) -> None:
        """Refuse another embedder than the collection's; loaded only where its files do not settle it."""
        if self._shared_embedder is not None:
            self._require(self._shared_embedder.identity)
            return
        installed = find_model(self.config.models.embedder, kind="embedder")
        known = self.collection.identity
        backend = self.config.models.embedder_backend
        same_files = (installed.name, installed.fingerprint) == (known.name, known.fingerprint)
        if not same_files or backend not in ("auto", known.backend.split("-")[0]):
            self._require(self.load_embedder().identity)

    def _require(self, identity: EmbedderIdentity) -> None:
        try:
            self.collection.require(identity)
        except StaleIndexError as error:
            fault = str(error).partition(";")[0]
            raise StaleIndexError(
                f"{fault}; embed it anew beside its readers: workbench reembed {self.folder} {identity.name} (or, if a "
                f"reembed --promote or --rollback was interrupted, give it again)"
            ) from error

    def _remember_settings(self) -> None:
        text = dump_config(self.config)
        path = self.folder / SETTINGS
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_atomically(path, text)


def _documents_of(paths: Sequence[str], marks: Mapping[str, FileMark]) -> list[str]:
    return [id_ for path in paths if (id_ := marks[path].document_id) is not None]
