"""What an update has to do: which documents are new, changed or gone, and which texts still need a vector."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from workbench.knowledge.rows import digest, document_body, vector_key
from workbench.knowledge.store import Store
from workbench.types import Chunk, Document, EmbedderIdentity, Float32

Chunker = Callable[[Sequence[Document]], list[Chunk]]
Embed = Callable[[Sequence[str]], Float32]
Progress = Callable[[int, int], None]  # texts embedded, texts to embed

BATCH_SIZE = 256  # texts embedded and committed together: at most this much work is lost to a kill


@dataclass(frozen=True, slots=True)
class UpdateReport:
    """What an update did. `added`, `changed` and `removed` are document ids in order."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    n_unchanged: int
    n_chunks: int  # chunks of the whole collection afterwards
    n_embedded: int  # texts that were embedded
    n_reused: int  # chunks of added and changed documents whose vector was there already


@dataclass(frozen=True, slots=True)
class Plan:
    """Which documents are written and which go; both in order of id."""

    added: tuple[Document, ...]
    changed: tuple[Document, ...]
    removed: tuple[str, ...]
    n_unchanged: int

    @property
    def renewed(self) -> tuple[Document, ...]:
        """The documents to chunk."""
        return self.added + self.changed


def plan_update(marks: Mapping[str, str], documents: Sequence[Document], settings: str, remove_missing: bool) -> Plan:
    """Compare `documents` with the `marks` of those stored.

    Raises:
        ValueError: two documents share an id.
    """
    wanted = {document.id: document for document in documents}
    if len(wanted) != len(documents):
        raise ValueError(f"{len(documents)} documents share {len(wanted)} ids; ids must be unique")
    added, changed = [], []
    for id_ in sorted(wanted):
        if id_ not in marks:
            added.append(wanted[id_])
        elif marks[id_] != mark_document(wanted[id_], settings):
            changed.append(wanted[id_])
    removed = tuple(sorted(marks.keys() - wanted.keys())) if remove_missing else ()
    n_unchanged = len(marks) - len(changed) - len(removed)
    return Plan(tuple(added), tuple(changed), removed, n_unchanged)


def mark_document(document: Document, settings: str) -> str:
    """Return the mark that changes with a document's content, title, source, metadata or chunking settings."""
    return digest((document.id, document.fingerprint, settings, document_body(document)))


def embed_missing(
    store: Store, chunks: Sequence[Chunk], embed: Embed, identity: EmbedderIdentity, on_progress: Progress | None
) -> int:
    """Embed each text that has no vector yet, batch by batch, each committed when done; return how many.

    The batches are cut before the first is embedded and committed whole: after a kill the rest falls into the same
    batches, so a resumed update gives the same vectors.
    """
    texts = {vector_key(chunk): chunk.indexed_text for chunk in chunks}
    stored = store.vector_keys()
    missing = [key for key in texts if key not in stored]
    for start in range(0, len(missing), BATCH_SIZE):
        batch = missing[start : start + BATCH_SIZE]
        vectors = _check_vectors(embed([texts[key] for key in batch]), len(batch), identity)
        with store.transaction():
            store.put_vectors(batch, vectors)
        if on_progress is not None:
            on_progress(start + len(batch), len(missing))
    return len(missing)


def _check_vectors(vectors: Float32, n_texts: int, identity: EmbedderIdentity) -> Float32:
    if vectors.shape != (n_texts, identity.dimension):
        wanted = (n_texts, identity.dimension)
        raise ValueError(f"{identity.name} gave vectors of shape {vectors.shape}, expected {wanted}")
    if not np.isfinite(vectors).all():
        raise ValueError(f"{identity.name} gave a vector that is not finite")
    lengths = np.linalg.norm(vectors, axis=1)
    if identity.normalised and np.abs(lengths - 1).max() > 1e-2:
        raise ValueError(f"{identity.name} says its vectors have length 1, but one has length {lengths.max():.3f}")
    return np.ascontiguousarray(vectors, dtype=np.float32)
