"""What deletions leave behind, as canaries: taken before a purge, and compared with what stays.

Texts and names can be taken from documents that are still there. Of those deleted earlier, vectors and words lie in
segments until these are written anew, and vectors of interrupted updates in the database.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from workbench.knowledge.canaries import (
    Canary,
    Search,
    name_canaries,
    text_canaries,
    thin_out,
    vector_canaries,
    word_canaries,
)
from workbench.knowledge.masks import find_owners
from workbench.knowledge.segments import Segment
from workbench.knowledge.store import Store
from workbench.knowledge.view import View
from workbench.types import Bool, Document, Float32

BUFFER = 2**20  # bytes of rows searched at once
# All that rows say in words or numbers; what is left out are digests and counts.
CONTENT = (
    "SELECT id, source, facts FROM documents",
    "SELECT body FROM texts",
    "SELECT id, body FROM chunks",
    "SELECT path, document_id, reader, kind, reason FROM files",
    "SELECT identity FROM editions",
    "SELECT vector FROM vectors",
)
CHUNK_IDS = "SELECT id FROM chunks WHERE document = ?"
UNUSED_VECTORS = (
    "SELECT vector FROM vectors WHERE NOT EXISTS "
    "(SELECT 1 FROM chunks WHERE vector_key = vectors.key AND chunks.edition = vectors.edition)"
)


def take_canaries(store: Store, views: Sequence[View], going: Mapping[str, int], named: Sequence[str]) -> list[Canary]:
    """Return canaries of all that a purge has to remove, a limited number of each kind.

    Args:
        store: the database.
        views: of all editions.
        going: number of each document to be deleted, by id.
        named: ids that were asked for, also those that are not there any more.
    """
    texts: list[Canary] = []
    names, facts = [*named], set[str]()
    for id_, number in going.items():
        document = store.document(id_)
        texts += text_canaries(document.title) + text_canaries(document.text)
        names += [document.source, *(chunk_id for (chunk_id,) in store.rows(CHUNK_IDS, (number,)))]
        facts.update(_name_facts(document))
    staying = {id_ for (id_,) in store.rows("SELECT id FROM documents")} - going.keys()
    for mark in store.file_marks().values():
        if mark.document_id is not None and mark.document_id not in staying:
            names += [mark.path, mark.document_id]
            facts.add(mark.reason)
    kinds = (
        texts,
        name_canaries(names),
        [canary for fact in sorted(facts) for canary in text_canaries(fact, "fact")],
        vector_canaries(_take_vectors(store, views, going)),
        word_canaries(_take_words(views, going)),
    )
    return [one for kind in kinds for one in kind[thin_out(len(kind))]]


def set_shared_aside(store: Store, canaries: Sequence[Canary]) -> list[Canary]:
    """Return the canaries that no row of the database holds: the others are also in documents that stay."""
    search, shared = Search(canaries), set[int]()
    for content in _read_content(store):
        shared.update(search.find(content))
    return [canary for number, canary in enumerate(canaries) if number not in shared]


def find_dead(segment: Segment, view: View, going: Mapping[str, int]) -> Bool:
    """Return, shape (n,), which positions of a segment belong to no document, or to one of those to go."""
    owners = find_owners(segment, view.chunks)
    return np.isin(owners, np.array([0, *going.values()], np.int64))


def _name_facts(document: Document) -> Iterator[str]:
    """Yield the values of a document's metadata, as they are stored, and its readers."""
    for value in document.metadata.values():
        yield from value if isinstance(value, tuple) else (str(value),)
    yield from document.readers or ()


def _take_vectors(store: Store, views: Sequence[View], going: Mapping[str, int]) -> Iterator[Float32]:
    unused = list(store.rows(UNUSED_VECTORS))
    for (vector,) in unused[thin_out(len(unused))]:
        yield np.frombuffer(vector, np.float32)
    for view in views:
        for segment in view.segments:
            positions = np.flatnonzero(find_dead(segment, view, going))
            yield from segment.vectors.vectors()[positions[thin_out(len(positions))]]


def _take_words(views: Sequence[View], going: Mapping[str, int]) -> NDArray[np.uint64]:
    """Return the hashes of words that are in deleted chunks only."""
    dead, alive = [np.empty(0, np.uint64)], [np.empty(0, np.uint64)]
    for view in views:
        for segment in view.segments:
            words = segment.words
            if len(words.words):
                kept = ~find_dead(segment, view, going)
                counts = np.add.reduceat(kept[words.positions], words.starts[:-1], dtype=np.int64)
                dead.append(words.words[counts == 0])
                alive.append(words.words[counts > 0])
    return np.setdiff1d(np.concatenate(dead), np.concatenate(alive))


def _read_content(store: Store) -> Iterator[bytes]:
    """Yield all that the rows hold, in pieces; zero bytes keep values apart."""
    parts: list[bytes] = []
    n_bytes = 0
    for query in CONTENT:
        for row in store.rows(query):
            for value in row:
                if value is not None:
                    parts.append(value if isinstance(value, bytes) else value.encode())
                    n_bytes += len(parts[-1])
            if n_bytes > BUFFER:
                yield b"\0\0".join(parts)
                parts, n_bytes = [], 0
    yield b"\0\0".join(parts)
