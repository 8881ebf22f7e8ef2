"""The truth of a collection, read: documents, chunks, vectors, files and editions from the rows of one database.

Every row carries its own SHA-256, checked whenever it is read, and the state vouches for all of them together, so
neither a flipped bit nor a lost row can pass for content. Writing them is `store.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from workbench.knowledge.database import Database
from workbench.knowledge.ledger import Ledger, read_ledger
from workbench.knowledge.rows import (
    DocumentFacts,
    FileMark,
    digest,
    has_types,
    read_chunk_body,
    read_document,
    read_facts,
    read_identity_body,
)
from workbench.knowledge.schema import Edition, State, read_segments_body
from workbench.types import Chunk, Document, Float32

Row = TypeVar("Row")
EDITION_COLUMNS = "number, identity, chunks_sha256, segments, digest"
DOCUMENT_COLUMNS = "documents.number, documents.id, source, content, facts, mark, documents.digest"
CHUNK_COLUMNS = "chunks.row, chunks.id, documents.id, place, vector_key, body, chunks.digest"
CHUNKS = "chunks JOIN documents ON documents.number = chunks.document"
FILE_COLUMNS = "path, sha256, size, reader, document_id, kind, reason, digest"
BLOCK_ROWS = 4096  # vectors held in memory together


class DocumentMark(NamedTuple):
    """What tells whether a stored document is up to date, without its text."""

    number: int
    content: bytes  # digest of title, text and blocks
    digest: bytes  # of the whole row
    cut: bytes | None  # under which content and settings it was chunked; None: not yet in this edition


class StoredChunk(NamedTuple):
    """A chunk's row number, its place in its document, and itself."""

    row: int
    place: int
    chunk: Chunk


class Records(Database):
    """An open database, read in its own terms."""

    # -- state ---------------------------------------------------------------------------------------------------------

    def take_snapshot(self, edition: int | None = None) -> State:
        """Let reads see what is committed now, and nothing later, until the next snapshot or transaction.

        Args:
            edition: which one the state is of; None: the active one.

        Raises:
            DamagedCollectionError: the state row, or the edition it names, is lost or altered; or it is an older state.
        """
        self.begin_snapshot()
        self.refuse_lapse()
        active, documents_sha256 = self.vouched()
        return State(active, self.edition(edition or active), documents_sha256)

    def vouched(self) -> tuple[int, bytes]:
        """Return the number of the active edition and the SHA-256 of the documents' ledger, from the state row."""
        row = self.first("SELECT active, documents_sha256, digest FROM state")
        if row is None or not has_types(row, int, bytes, bytes) or row[-1] != digest(row[:-1]):
            raise self.damaged("has lost or altered its state row")
        return row[0], row[1]

    def edition(self, number: int) -> Edition:
        """Return one edition. Raises DamagedCollectionError for one that is not there."""
        row = self.first(f"SELECT {EDITION_COLUMNS} FROM editions WHERE number = ?", (number,))
        if row is None or not has_types(row, int, str, bytes, str, bytes) or row[-1] != digest(row[:-1]):
            raise self.damaged(f"has lost or altered edition {number}")
        return Edition(number, read_identity_body(row[1]), row[2], read_segments_body(row[3]))

    def editions(self) -> list[Edition]:
        """Return all editions in order of number."""
        return [self.edition(number) for (number,) in list(self.rows("SELECT number FROM editions ORDER BY number"))]

    def scan_documents(self) -> Ledger:
        """Return the ledger of the documents."""
        return self._scan("SELECT number, 0, digest FROM documents ORDER BY number")

    def scan_chunks(self, edition: int) -> Ledger:
        """Return the ledger of an edition's chunks."""
        return self._scan("SELECT row, document, digest FROM chunks WHERE edition = ? ORDER BY row", (edition,))

    # -- documents -----------------------------------------------------------------------------------------------------

    def document_marks(self, edition: int) -> dict[str, DocumentMark]:
        """Return what is known of each document by id."""
        query = (
            "SELECT id, number, content, digest, cuts.mark FROM documents "
            "LEFT JOIN cuts ON cuts.document = number AND cuts.edition = ?"
        )
        return {id_: DocumentMark(*rest) for id_, *rest in self.rows(query, (edition,))}

    def document_digests(self) -> list[bytes]:
        """Return the digest of each document's content and facts, its source left out."""
        marks = []
        for id_, mark, source, whole in self.rows("SELECT id, mark, source, digest FROM documents"):
            if whole != digest((mark, source)):
                raise self.damaged(f"has altered document {id_!r}")
            marks.append(mark)
        return marks

    def facts(self) -> Iterator[tuple[int, DocumentFacts]]:
        """Yield number and facts of each document in order of id."""
        # Not in the order of the index: a document lost from it would be lost here too.
        for row in self.rows(f"SELECT {DOCUMENT_COLUMNS} FROM documents NOT INDEXED ORDER BY documents.id"):
            yield row[0], self._read_facts(row)

    def facts_after(self, id_: str) -> Iterator[tuple[int, DocumentFacts]]:
        """Yield number and facts of each document whose id comes after `id_`, in order of id."""
        for row in self.rows(f"SELECT {DOCUMENT_COLUMNS} FROM documents WHERE id > ? ORDER BY id", (id_,)):
            yield row[0], self._read_facts(row)

    def document(self, id_: str) -> Document:
        """Return one document. Raises KeyError for an unknown id."""
        query = f"SELECT {DOCUMENT_COLUMNS}, body FROM documents LEFT JOIN texts ON document = number WHERE id = ?"
        row = self.first(query, (id_,))
        if row is None:
            raise self._unknown("documents", id_)
        *columns, body = row
        facts = self._read_facts(columns)
        if type(body) is not str or columns[3] != digest((facts.title, body)):
            raise self.damaged(f"has lost or altered the text of document {id_!r}")
        return read_document(facts, body)

    def file_marks(self) -> dict[str, FileMark]:
        """Return what became of each source file, by path."""
        marks = {}
        for row in self.rows(f"SELECT {FILE_COLUMNS} FROM files ORDER BY path"):
            types = (str, str, int, str, type(None) if row[4] is None else str, str, str, bytes)
            if not has_types(row, *types) or row[-1] != digest(row[:-1]):
                raise self.damaged(f"has altered what it knows of file {row[0]!r}")
            marks[row[0]] = FileMark(*row[:-1])
        return marks

    # -- chunks and vectors --------------------------------------------------------------------------------------------

    def chunk(self, edition: int, id_: str) -> StoredChunk:
        """Return one chunk. Raises KeyError for an unknown id."""
        query = f"SELECT {CHUNK_COLUMNS} FROM {CHUNKS} WHERE edition = ? AND chunks.id = ?"
        row = self.first(query, (edition, id_))
        if row is None:
            raise self._unknown("chunks", id_, edition)
        return self._read_chunk(row)

    def all_chunks(self, edition: int) -> Iterator[Chunk]:
        """Yield an edition's chunks in order of id."""
        source = CHUNKS.replace("chunks JOIN", "chunks NOT INDEXED JOIN")  # a chunk lost from an index is not lost here
        query = f"SELECT {CHUNK_COLUMNS} FROM {source} WHERE edition = ? ORDER BY chunks.id"
        return (self._read_chunk(row).chunk for row in self.rows(query, (edition,)))

    def chunks_of_rows(self, edition: int, first: int, last: int) -> Iterator[Chunk]:
        """Yield an edition's chunks of the rows `first` to `last`, in order of row."""
        query = f"SELECT {CHUNK_COLUMNS} FROM {CHUNKS} WHERE edition = ? AND row BETWEEN ? AND ? ORDER BY row"
        return (self._read_chunk(row).chunk for row in self.rows(query, (edition, first, last)))

    def chunks_of_document(self, edition: int, document_id: str, places: range) -> list[Chunk]:
        """Return a document's chunks at `places` (counted from 0), which are all there, in order."""
        query = (
            f"SELECT {CHUNK_COLUMNS} FROM {CHUNKS} WHERE documents.id = ? AND edition = ? "
            "AND place BETWEEN ? AND ? ORDER BY place"
        )
        found = [
            self._read_chunk(row) for row in self.rows(query, (document_id, edition, places.start, places.stop - 1))
        ]
        if [one.place for one in found] != list(places):
            raise self.damaged(f"has lost chunks of document {document_id!r} from its index")
        return [one.chunk for one in found]

    def ids_of_rows(self, rows: Sequence[int]) -> list[str]:
        """Return the chunk ids of `rows`, which are there, in order; whoever reads the chunk checks its digest."""
        # The id in the row and the one in the index must agree: an altered one may be that of another chunk.
        query = (
            "SELECT one.id FROM chunks AS one JOIN chunks AS other INDEXED BY chunks_by_id "
            "ON other.edition = one.edition AND other.id = one.id AND other.row = one.row WHERE one.row = ?"
        )
        found = [self.first(query, (row,)) for row in rows]
        if None in found:
            raise self.damaged(f"has lost or altered chunk row {rows[found.index(None)]}")
        return [row[0] for row in found if row is not None]

    def rows_of_document(self, edition: int, number: int) -> list[tuple[int, bytes]]:
        """Return row and vector key of a document's chunks in order of place."""
        query = "SELECT row, vector_key FROM chunks WHERE document = ? AND edition = ? ORDER BY place"
        return list(self.rows(query, (number, edition)))

    def has_vector(self, edition: int, key: bytes) -> bool:
        """Say whether a text was embedded, by an update that was interrupted included."""
        return self.first("SELECT 1 FROM vectors WHERE edition = ? AND key = ?", (edition, key)) is not None

    def vectors_of(self, edition: int, ids: Sequence[str], dimension: int) -> Float32:
        """Return the vectors of chunks, shape (len(ids), dimension). Raises KeyError for an unknown id."""
        vectors = np.empty((len(ids), dimension), dtype=np.float32)
        query = (
            "SELECT chunks.id, key, vector, vectors.digest FROM chunks LEFT JOIN vectors "
            "ON vectors.edition = chunks.edition AND key = vector_key "
            "WHERE chunks.row = (SELECT row FROM chunks WHERE edition = ? AND id = ?)"
        )
        for place, id_ in enumerate(ids):
            row = self.first(query, (edition, id_))
            if row is None:
                raise self._unknown("chunks", id_, edition)
            if row[0] != id_:  # the index led to another row
                raise self.damaged(f"has altered its index of chunk {id_!r}")
            vectors[place] = self._read_vector(*row)
        return vectors

    def vector_blocks(self, edition: int, first: int, last: int, dimension: int) -> Iterator[Float32]:
        """Yield the vectors of the rows `first` to `last` in order of row, in blocks of shape (B, dimension)."""
        query = (
            "SELECT chunks.id, key, vector, vectors.digest FROM chunks LEFT JOIN vectors "
            "ON vectors.edition = chunks.edition AND key = vector_key "
            "WHERE chunks.edition = ? AND chunks.row BETWEEN ? AND ? ORDER BY chunks.row"
        )
        block: list[Float32] = []
        for row in self.rows(query, (edition, first, last)):
            block.append(self._read_vector(*row))
            if len(block) == BLOCK_ROWS:
                yield np.stack(block)
                block = []
        if block:
            yield np.stack(block)

    # -- rows ----------------------------------------------------------------------------------------------------------

    def check_count(self, found: list[Row], n: int) -> list[Row]:
        """Return what was found, where the ledger counts as many; it was read from an index, so rows may be lost."""
        if len(found) != n:
            raise self.damaged(f"holds {len(found)} of {n} rows")
        return found

    def _unknown(self, table: str, id_: str, edition: int | None = None) -> Exception:
        """Return the error for an id that was not found: its row may be lost, or its place in the index."""
        where, values = ("id = ?", (id_,)) if edition is None else ("id = ? AND edition = ?", (id_, edition))
        for source in (table, f"{table} NOT INDEXED"):  # the index alone, then the rows alone
            if self.first(f"SELECT 1 FROM {source} WHERE {where}", values) is not None:
                return self.damaged(f"holds {id_!r} only in part of {table}")
        return KeyError(id_)

    def _scan(self, query: str, values: Sequence[object] = ()) -> Ledger:
        try:
            return read_ledger(list(self.rows(query, values)))
        except (TypeError, ValueError) as error:
            raise self.damaged(f"holds a row that is none ({error})") from error

    def _read_facts(self, row: Sequence[Any]) -> DocumentFacts:
        _, id_, source, content, facts, mark, whole = row
        sound = has_types(row, int, str, str, bytes, str, bytes, bytes)
        if not sound or mark != digest((id_, content, facts)) or whole != digest((mark, source)):
            raise self.damaged(f"has altered document {id_!r}")
        return read_facts(id_, source, facts)

    def _read_chunk(self, row: Sequence[Any]) -> StoredChunk:
        number, id_, document_id, place, key, body, mark = row
        sound = has_types(row, int, str, str, int, bytes, str, bytes)
        if not sound or mark != digest((id_, document_id, place, key, body)):
            raise self.damaged(f"has altered chunk {id_!r}")
        return StoredChunk(number, place, read_chunk_body(id_, document_id, body))

    def _read_vector(self, id_: str, key: object, vector: Any, mark: object) -> Float32:
        if not has_types((key, vector, mark), bytes, bytes, bytes) or mark != digest((key, vector)):
            raise self.damaged(f"has lost or altered the vector of chunk {id_!r}")
        return np.frombuffer(vector, dtype=np.float32)
