"""What an update has to do: which documents are new, changed, moved or gone, in which groups, and what to embed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from workbench.knowledge.records import DocumentMark
from workbench.knowledge.rows import FileMark, KeyedChunk, digest, text_body
from workbench.knowledge.store import Store, document_row
from workbench.types import Chunk, Document, EmbedderIdentity, Float32

Chunker = Callable[[Sequence[Document]], list[Chunk]]
Embed = Callable[[Sequence[str]], Float32]
Progress = Callable[[int, int], None]  # texts embedded, texts known so far to need it

BATCH_SIZE = 256  # texts embedded and committed together: at most this much work is lost to a kill
GROUP_CHARACTERS = 2_000_000  # of documents committed together: about 2,000 chunks
GROUP_DOCUMENTS = 2_000


@dataclass(frozen=True, slots=True)
class Change:
    """A document that there should be, a file to be recorded with it, or a file that failed (no document)."""

    document: Document | None = None
    file: FileMark | None = None


@dataclass(frozen=True, slots=True)
class UpdateReport:
    """What an update did. `added`, `changed` and `removed` are document ids in order, `moved` pairs (old, new)."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    n_unchanged: int
    n_chunks: int  # chunks of the whole collection afterwards
    n_embedded: int  # texts that were embedded
    n_reused: int  # chunks of documents cut anew whose vector was there already
    moved: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Put:
    """A document to be written over the one `mark` describes; None: there is none."""

    document: Document
    mark: DocumentMark | None
    moved_from: str | None
    cut: bytes  # under which content and settings its chunks are to be cut
    content: bytes

    @property
    def recut(self) -> bool:
        """Whether it has to be chunked: its text, its id or the settings are new."""
        return self.mark is None or self.mark.cut != self.cut or self.moved_from is not None

    @property
    def outdates_others(self) -> bool:
        """Whether its chunks in other editions are worth nothing now."""
        return self.mark is not None and (self.mark.content != self.content or self.moved_from is not None)


@dataclass(slots=True)
class Group:
    """What is committed together. A document is never split, however long it is."""

    puts: list[Put] = field(default_factory=list)
    files: list[FileMark] = field(default_factory=list)
    n_characters: int = 0

    @property
    def full(self) -> bool:
        """Whether the next document goes into the next group."""
        n_members = max(len(self.puts), len(self.files))
        return self.n_characters >= GROUP_CHARACTERS or n_members >= GROUP_DOCUMENTS


class Plan:
    """Compares documents, as they arrive, with those stored, and remembers what became of each."""

    def __init__(self, marks: Mapping[str, DocumentMark], removed: Iterable[str], settings: str) -> None:
        """Take the stored documents' marks, which of them are to go, and the fingerprint of the chunking settings."""
        self._marks = marks
        self._settings = settings
        self._seen: set[str] = set()
        self._going = {id_: marks[id_] for id_ in sorted(set(removed)) if id_ in marks}
        self._movable: dict[bytes, list[str]] = {}
        for id_ in reversed(self._going):
            self._movable.setdefault(self._going[id_].content, []).append(id_)
        self._added: list[str] = []
        self._changed: list[str] = []
        self._moved: list[tuple[str, str]] = []

    def groups(self, changes: Iterable[Change]) -> Iterator[Group]:
        """Yield what has to be written, in groups cut by the order of arrival; at least one, which may be empty.

        A resumed update finds the finished groups unchanged, so it cuts the rest as the first attempt did.

        Raises:
            ValueError: two documents share an id, or one is to be removed as well.
        """
        group = Group()
        for change in changes:
            put = None if change.document is None else self._compare(change.document)
            if group.full and (put is not None or change.file is not None):
                yield group
                group = Group()
            if put is not None:
                group.puts.append(put)
                group.n_characters += len(put.document.text)
            if change.file is not None:
                group.files.append(change.file)
        yield group

    @property
    def removed(self) -> dict[str, DocumentMark]:
        """The documents to delete: those to go that did not move."""
        moved = {old for old, _ in self._moved}
        return {id_: mark for id_, mark in self._going.items() if id_ not in moved}

    def report(self, n_chunks: int, n_cut: int, n_embedded: int) -> UpdateReport:
        """Return what became of all documents, given the chunks there are now, those cut, and texts embedded."""
        return UpdateReport(
            added=tuple(sorted(self._added)),
            changed=tuple(sorted(self._changed)),
            removed=tuple(self.removed),
            n_unchanged=len(self._marks) - len(self._changed) - len(self._going),
            n_chunks=n_chunks,
            n_embedded=n_embedded,
            n_reused=n_cut - n_embedded,
            moved=tuple(sorted(self._moved)),
        )

    def _compare(self, document: Document) -> Put | None:
        if document.id in self._seen or document.id in self._going:
            fault = "is given twice" if document.id in self._seen else "is to be removed as well"
            raise ValueError(f"document {document.id!r} {fault}; ids must be unique")
        self._seen.add(document.id)
        content = digest((document.title, text_body(document)))
        cut, mark, moved_from = digest((content, self._settings)), self._marks.get(document.id), None
        if mark is None and self._movable.get(content):
            moved_from = self._movable[content].pop()
            mark = self._marks[moved_from]
            self._moved.append((moved_from, document.id))
        elif mark is None:
            self._added.append(document.id)
        elif (mark.digest, mark.cut) == (document_row(document, content)[-1], cut):
            return None
        else:
            self._changed.append(document.id)
        return Put(document, mark, moved_from, cut, content)


class Embedding:
    """Embeds each text that has no vector yet, batch by batch, each committed when done.

    The batches are cut before the first of a group is embedded and committed whole: after a kill the rest falls into
    the same batches, so a resumed update gives the same vectors.
    """

    def __init__(
        self, store: Store, edition: int, identity: EmbedderIdentity, embed: Embed, on_progress: Progress | None
    ) -> None:
        self._store = store
        self._edition = edition
        self._identity = identity
        self._embed = embed
        self._on_progress = on_progress
        self._n_known = 0
        self.n_embedded = 0

    def fill(self, chunks: Iterable[KeyedChunk]) -> None:
        """Embed the texts of `chunks` that were never embedded."""
        texts = {chunk.key: chunk.text for chunk in chunks}
        missing = [key for key in texts if not self._store.has_vector(self._edition, key)]
        self._n_known += len(missing)
        for start in range(0, len(missing), BATCH_SIZE):
            batch = missing[start : start + BATCH_SIZE]
            vectors = check_vectors(self._embed([texts[key] for key in batch]), len(batch), self._identity)
            with self._store.transaction():
                self._store.put_vectors(self._edition, batch, vectors)
            self.n_embedded += len(batch)
            if self._on_progress is not None:
                self._on_progress(self.n_embedded, self._n_known)


def check_vectors(vectors: Float32, n_texts: int, identity: EmbedderIdentity) -> Float32:
    """Return `vectors` as they are stored.

    Raises:
        ValueError: they have another shape than asked for, are not finite, or not of length 1 though they should be.
    """
    if vectors.shape != (n_texts, identity.dimension):
        wanted = (n_texts, identity.dimension)
        raise ValueError(f"{identity.name} gave vectors of shape {vectors.shape}, expected {wanted}")
    if not np.isfinite(vectors).all():
        raise ValueError(f"{identity.name} gave a vector that is not finite")
    lengths = np.linalg.norm(vectors, axis=1)
    if identity.normalised and np.abs(lengths - 1).max() > 1e-2:
        raise ValueError(f"{identity.name} says its vectors have length 1, but one has length {lengths.max():.3f}")
    return np.ascontiguousarray(vectors, dtype=np.float32)
