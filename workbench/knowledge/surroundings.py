"""What stands around a chunk in its document: the chunks beside it, and its section."""

from __future__ import annotations

from workbench.knowledge.ledger import Ledger
from workbench.knowledge.records import Records, StoredChunk
from workbench.types import Chunk

STEP = 16  # chunks read at once when the end of a section is looked for


def find_neighbours(
    store: Records, edition: int, chunks: Ledger, chunk_id: str, *, before: int, after: int
) -> list[Chunk]:
    """Return a chunk with up to `before` chunks of its document before it and `after` after it, in order.

    Args:
        store: where it is read.
        edition: of the chunk.
        chunks: the ledger of that edition: it tells how many chunks the document has.
        chunk_id: of the chunk.
        before: how many at most.
        after: how many at most.

    Raises:
        KeyError: no chunk has that id.
    """
    found = store.chunk(edition, chunk_id)
    n = chunks.count_beside(found.row)
    places = range(max(0, found.place - before), min(n, found.place + after + 1))
    return store.chunks_of_document(edition, found.chunk.document_id, places)


def find_section(store: Records, edition: int, chunks: Ledger, chunk_id: str) -> list[Chunk]:
    """Return a chunk and all beside it that follow each other under the same headings, in order; as `find_neighbours`.

    Raises:
        KeyError: no chunk has that id.
    """
    found = store.chunk(edition, chunk_id)
    n = chunks.count_beside(found.row)
    before, after = (_walk(store, edition, found, n, step) for step in (-1, 1))
    return [*reversed(before), found.chunk, *after]


def _walk(store: Records, edition: int, found: StoredChunk, n: int, step: int) -> list[Chunk]:
    """Return the chunks before (step -1) or after (1) one, nearest first, up to the first under other headings."""
    walked: list[Chunk] = []
    while True:
        place = found.place + step * (1 + len(walked))
        far = place + step * (STEP - 1)
        places = range(max(0, min(place, far)), min(n, max(place, far) + 1))
        read = store.chunks_of_document(edition, found.chunk.document_id, places)
        for chunk in read[::step]:
            if chunk.headings != found.chunk.headings:
                return walked
            walked.append(chunk)
        if len(read) < STEP:
            return walked
