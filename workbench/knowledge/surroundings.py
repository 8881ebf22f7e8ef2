"""What stands around a chunk in its document: the chunks beside it, and its section."""

from __future__ import annotations

from workbench.knowledge.records import Records, StoredChunk
from workbench.types import Chunk

STEP = 16  # chunks read at once when the end of a section is looked for


def find_neighbours(store: Records, edition: int, chunk_id: str, *, before: int, after: int) -> list[Chunk]:
    """Return a chunk with up to `before` chunks of its document before it and `after` after it, in order.

    Raises:
        KeyError: no chunk has that id.
    """
    found = store.chunk(edition, chunk_id)
    return store.chunks_of_document(edition, found.chunk.document_id, found.place - before, found.place + after)


def find_section(store: Records, edition: int, chunk_id: str) -> list[Chunk]:
    """Return a chunk and all beside it that follow each other under the same headings, in order.

    Raises:
        KeyError: no chunk has that id.
    """
    found = store.chunk(edition, chunk_id)
    before, after = (_walk(store, edition, found, step) for step in (-1, 1))
    return [*reversed(before), found.chunk, *after]


def _walk(store: Records, edition: int, found: StoredChunk, step: int) -> list[Chunk]:
    """Return the chunks before (step -1) or after (1) one, nearest first, up to the first under other headings."""
    walked: list[Chunk] = []
    while True:
        place = found.place + step * (1 + len(walked))
        far = place + step * (STEP - 1)
        read = store.chunks_of_document(edition, found.chunk.document_id, min(place, far), max(place, far))
        for chunk in read[::step]:
            if chunk.headings != found.chunk.headings:
                return walked
            walked.append(chunk)
        if len(read) < STEP:
            return walked
