"""Mending rows: chunks cut again from their documents, vectors embedded again from their chunks, and what cannot be
made again removed. What is wrong was found by `inspection.py`; whether anything may be removed is `repair.py`'s affair.

Vectors are embedded and committed first, batch by batch; all else is one transaction. A chunk that is cut again as it
was keeps its row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from workbench.errors import DamagedCollectionError, StaleIndexError
from workbench.knowledge.inspection import NUMBERED, EditionCheck, Inspection
from workbench.knowledge.records import BLOCK_ROWS
from workbench.knowledge.rows import KeyedChunk, digest, key_chunk, text_body
from workbench.knowledge.schema import Edition
from workbench.knowledge.store import Store, match_rows
from workbench.knowledge.sync import Chunker, Embed, Embedding
from workbench.types import Document, EmbedderIdentity

BATCH_CHARACTERS = 2_000_000  # of documents cut together
ORPHANS = (
    "DELETE FROM texts WHERE document NOT IN (SELECT number FROM documents)",
    "DELETE FROM cuts WHERE document NOT IN (SELECT number FROM documents)",
    "DELETE FROM chunks WHERE document NOT IN (SELECT number FROM documents)",
    *(
        f"DELETE FROM {table} WHERE edition NOT IN (SELECT number FROM editions)"
        for table in ("cuts", "chunks", "vectors", "loose")
    ),
)
WITHOUT_VECTOR = (
    "SELECT document, chunks.id FROM chunks LEFT JOIN vectors ON vectors.edition = chunks.edition AND key = vector_key "
    "WHERE chunks.edition = ? AND key IS NULL"
)


@dataclass(frozen=True, slots=True)
class Tools:
    """What makes chunks and vectors from documents."""

    identity: EmbedderIdentity
    chunk: Chunker
    embed: Embed
    settings: str  # fingerprint of the chunking settings


def choose_active(found: Inspection, identity: EmbedderIdentity) -> EditionCheck | None:
    """Return the edition that was active; None: there is none left, so one has to be made.

    Raises:
        DamagedCollectionError: which one it was is lost, and the embedder does not tell.
        StaleIndexError: it is another embedder's.
    """
    if not found.editions:
        return None
    if not found.state_altered and found.active is not None:
        chosen = found.editions[found.active]
        if not chosen.altered and chosen.identity is not None and chosen.identity != identity:
            raise StaleIndexError(
                f"the collection has embedder {chosen.identity.name!r}, so it cannot be mended with {identity.name!r}; "
                "nothing was changed; name the first in the settings, then repair it again"
            )
        return chosen
    of_embedder = [one for one in found.editions.values() if one.identity == identity]
    candidates = of_embedder if len(of_embedder) == 1 else list(found.editions.values())
    if len(candidates) > 1:
        raise DamagedCollectionError(
            f"which of {len(candidates)} editions was active is lost, and embedder {identity.name!r} does not tell; "
            "nothing was changed; repair it with the settings of the embedder that was in use"
        )
    return candidates[0]


def mend_rows(store: Store, found: Inspection, tools: Tools, active: EditionCheck | None) -> list[str]:
    """Make all rows sound, in `active` (None: in a new edition), and return what was done, one line each."""
    with store.transaction():
        edition = active or EditionCheck(store.add_edition(tools.identity).number, tools.identity, b"", altered=True)
        if edition.identity != tools.identity:  # its stamp is lost, and with it what made its vectors
            store.write("DELETE FROM vectors WHERE edition = ?", (edition.number,))
        for key in edition.vectors:
            store.write("DELETE FROM vectors WHERE edition = ? AND key = ?", (edition.number, key))
    # A ledger that matches proves all other chunks; one that does not says nothing of any.
    recut = [
        (number, id_)
        for number, id_ in list(store.rows("SELECT number, id FROM documents ORDER BY id"))
        if number not in found.documents and (number in edition.cuts or not edition.proven)
    ]
    n_embedded = _embed(store, edition.number, tools, recut)
    with store.transaction():
        told = _remove(store, found, edition)
        _put_chunks(store, edition.number, tools, recut)
        store.drop_unused()
        _vouch(store, found, edition.number, tools.identity)
    if not found.documents_proven:
        told.append("recorded anew which documents there are")
    if recut:
        told.append(f"cut {len(recut)} documents again")
    if n_embedded:
        told.append(f"embedded {n_embedded} texts again")
    return told


def _embed(store: Store, edition: int, tools: Tools, recut: Sequence[tuple[int, str]]) -> int:
    """Embed the texts that lack a vector: those of documents to be cut again, and of chunks that stay."""
    embedding = Embedding(store, edition, tools.identity, tools.embed, None)
    for batch in _read_batches(store, recut):
        embedding.fill(chain.from_iterable(chunks for _, _, chunks in _cut(batch, tools)))
    numbers = {number for number, _ in recut}
    bare = [id_ for number, id_ in list(store.rows(WITHOUT_VECTOR, (edition,))) if number not in numbers]
    for start in range(0, len(bare), BLOCK_ROWS):
        embedding.fill(key_chunk(store.chunk(edition, id_).chunk) for id_ in bare[start : start + BLOCK_ROWS])
    return embedding.n_embedded


def _remove(store: Store, found: Inspection, edition: EditionCheck) -> list[str]:
    """Delete what cannot be made again, or belongs to nothing, or can be made again at leisure."""
    told = []
    lost = [one for one in found.editions.values() if one is not edition and not one.rows_sound]
    for one in lost:
        store.drop_edition(one.number)
        name = one.identity.name if one.identity else "an unknown embedder"
        told.append(f"dropped the edition of {name}, which was not active: workbench reembed makes it again")
    store.delete_documents(list(found.documents.values()), list(found.documents))
    store.delete_files(found.marks)
    for command in ORPHANS if found.orphans else ():
        store.write(command)
    if found.marks:
        told.append(f"forgot {len(found.marks)} files, which the next sync reads again")
    if found.documents:
        told.append(f"removed {len(found.documents)} damaged documents")
    for table, column in NUMBERED if found.misnumbered else ():
        store.write("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
        store.write(f"INSERT INTO sqlite_sequence SELECT '{table}', coalesce(max({column}), 0) FROM {table}")
    return told


def _put_chunks(store: Store, edition: int, tools: Tools, recut: Sequence[tuple[int, str]]) -> None:
    old = {number: store.rows_of_document(edition, number) for number, _ in recut}
    for number, _ in recut:  # all before the first is put: an altered row may hold the id of another document's chunk
        store.write("DELETE FROM chunks WHERE document = ? AND edition = ?", (number, edition))
    for batch in _read_batches(store, recut):
        for number, document, chunks in _cut(batch, tools):
            cut = digest((digest((document.title, text_body(document))), tools.settings))
            store.put_chunks(edition, number, chunks, match_rows(old[number], chunks), cut)


def _vouch(store: Store, found: Inspection, active: int, identity: EmbedderIdentity) -> None:
    """Record what there is now. The active edition's segments are built afterwards: until then it lists none."""
    store.record_edition(Edition(active, identity, store.scan_chunks(active).sha256, ()))
    for edition in store.editions():
        if edition.number != active and found.documents:
            store.record_edition(replace(edition, chunks_sha256=store.scan_chunks(edition.number).sha256))
    store.write("INSERT OR IGNORE INTO state VALUES (1, ?, x'', x'')", (active,))
    store.record_state(active, store.scan_documents().sha256)


def _read_batches(store: Store, recut: Sequence[tuple[int, str]]) -> Iterator[list[tuple[int, Document]]]:
    """Yield documents with their numbers, `BATCH_CHARACTERS` at a time."""
    batch: list[tuple[int, Document]] = []
    n_characters = 0
    for number, id_ in recut:
        batch.append((number, store.document(id_)))
        n_characters += len(batch[-1][1].text)
        if n_characters >= BATCH_CHARACTERS:
            yield batch
            batch, n_characters = [], 0
    if batch:
        yield batch


def _cut(batch: Sequence[tuple[int, Document]], tools: Tools) -> Iterator[tuple[int, Document, list[KeyedChunk]]]:
    chunks: dict[str, list[KeyedChunk]] = {document.id: [] for _, document in batch}
    for chunk in tools.chunk([document for _, document in batch]):
        chunks[chunk.document_id].append(key_chunk(chunk))
    for number, document in batch:
        yield number, document, chunks[document.id]
