"""The truth of a collection, written: documents, chunks, vectors, files and editions become rows of one database.

Reading them is `records.py`. Writing needs the writer lock (`workbench/locking.py`) and a `transaction`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from workbench.knowledge.ledger import read_ledger
from workbench.knowledge.records import EDITION_COLUMNS, FILE_COLUMNS, Records
from workbench.knowledge.rows import FileMark, KeyedChunk, chunk_body, digest, facts_body, identity_body, text_body
from workbench.knowledge.schema import SCHEMA_VERSION, Edition, segments_body
from workbench.types import Document, EmbedderIdentity, Float32


class Store(Records):
    """An open database, read and written."""

    def put_document(self, document: Document, number: int | None) -> tuple[int, bytes]:
        """Store a document, over the one that has `number` (None: a new one); return its number and digest."""
        body = text_body(document)
        row = document_row(document, digest((document.title, body)))
        if number is None:
            number = 1 + self._highest("documents", "number")
        self.write(
            "INSERT INTO documents (number, id, source, content, facts, mark, digest) VALUES (?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (number) DO UPDATE SET id = excluded.id, source = excluded.source, "
            "content = excluded.content, facts = excluded.facts, mark = excluded.mark, digest = excluded.digest",
            (number, *row),
        )
        self.write("INSERT OR REPLACE INTO texts VALUES (?, ?)", (number, body))
        return number, row[-1]

    def delete_documents(self, ids: Sequence[str], numbers: Sequence[int]) -> None:
        """Delete documents with chunks and vectors in all editions, and what is known of the files they came from."""
        for number in numbers:
            keys = list(self.rows("SELECT edition, vector_key FROM chunks WHERE document = ?", (number,)))
            self.write("DELETE FROM documents WHERE number = ?", (number,))
            self._drop_vectors(keys)
        self.write_many("DELETE FROM files WHERE document_id = ?", [(id_,) for id_ in ids])

    def put_chunks(
        self, edition: int, number: int, chunks: Sequence[KeyedChunk], rows: Sequence[int | None], cut: bytes
    ) -> list[tuple[int, bytes]]:
        """Store a document's chunks in the place of those it had; return row and digest of each.

        Args:
            edition: where they belong.
            number: their document's.
            chunks: in order.
            rows: the row that each keeps, for a text that stays; None: a new one.
            cut: under which content and settings they were cut.
        """
        self.write(
            "INSERT OR IGNORE INTO loose SELECT edition, vector_key FROM chunks WHERE document = ? AND edition = ?",
            (number, edition),
        )
        fresh = self._highest("chunks", "row")
        self.write("DELETE FROM chunks WHERE document = ? AND edition = ?", (number, edition))
        written, marks = [], []
        for place, ((chunk, _, key), kept) in enumerate(zip(chunks, rows, strict=True)):
            fresh += kept is None
            row = kept or fresh
            body = chunk_body(chunk)
            mark = digest((chunk.id, chunk.document_id, place, key, body))
            written.append((row, edition, number, place, chunk.id, key, mark, body))
            marks.append((row, mark))
        self.write_many("INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?)", written)
        self.write("INSERT OR REPLACE INTO cuts VALUES (?, ?, ?)", (number, edition, cut))
        return marks

    def drop_chunks_of_others(self, edition: int, number: int) -> None:
        """Delete a document's chunks and vectors in all editions but one, where they are out of date.

        Not by way of the loose vectors: there, those wait that an interrupted writer of another edition had embedded.
        """
        others = (number, edition)
        keys = list(self.rows("SELECT edition, vector_key FROM chunks WHERE document = ? AND edition != ?", others))
        self.write("DELETE FROM cuts WHERE document = ? AND edition != ?", others)
        self.write("DELETE FROM chunks WHERE document = ? AND edition != ?", others)
        self._drop_vectors(keys)

    def put_vectors(self, edition: int, keys: Sequence[bytes], vectors: Float32) -> None:
        """Store `vectors`, shape (len(keys), D). They are loose until a chunk points to them."""
        rows = [(edition, key, vector.tobytes()) for key, vector in zip(keys, vectors, strict=True)]
        marked = [(edition, key, digest((key, vector)), vector) for edition, key, vector in rows]
        self.write_many("INSERT INTO vectors (edition, key, digest, vector) VALUES (?, ?, ?, ?)", marked)
        self.write_many("INSERT OR IGNORE INTO loose VALUES (?, ?)", [row[:2] for row in rows])

    def has_loose_vectors(self, edition: int) -> bool:
        """Say whether there may be vectors of an edition that no chunk points to."""
        return self.first("SELECT 1 FROM loose WHERE edition = ?", (edition,)) is not None

    def drop_loose_vectors(self, edition: int) -> None:
        """Delete the vectors of an edition that no chunk points to; those of another may be an interrupted writer's."""
        self.write(
            "DELETE FROM vectors WHERE rowid IN (SELECT vectors.rowid FROM loose JOIN vectors USING (edition, key) "
            "WHERE loose.edition = ? AND NOT EXISTS "
            "(SELECT 1 FROM chunks WHERE vector_key = loose.key AND edition = loose.edition))",
            (edition,),
        )
        self.write("DELETE FROM loose WHERE edition = ?", (edition,))

    def drop_unused(self) -> None:
        """Delete the vectors that no chunk points to and the marks of files whose document is gone, however it went."""
        self.write(
            "DELETE FROM vectors WHERE NOT EXISTS "
            "(SELECT 1 FROM chunks WHERE vector_key = vectors.key AND chunks.edition = vectors.edition)"
        )
        self.write("DELETE FROM loose")
        self.write("DELETE FROM files WHERE document_id NOT IN (SELECT id FROM documents)")

    def put_file(self, file: FileMark) -> None:
        """Record what became of a source file."""
        row = (file.path, file.sha256, file.size, file.reader, file.document_id, file.kind, file.reason)
        self.write(
            f"INSERT OR REPLACE INTO files ({FILE_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*row, digest(row))
        )

    def delete_files_of(self, document_id: str) -> None:
        """Forget the source files of a document."""
        self.write("DELETE FROM files WHERE document_id = ?", (document_id,))

    def delete_files(self, paths: Iterable[str]) -> None:
        """Forget source files."""
        self.write_many("DELETE FROM files WHERE path = ?", [(path,) for path in paths])

    def add_edition(self, identity: EmbedderIdentity) -> Edition:
        """Add an empty edition, not active."""
        edition = Edition(1 + self._highest("editions", "number"), identity, read_ledger([]).sha256, ())
        self.write(f"INSERT INTO editions ({EDITION_COLUMNS}) VALUES (?, '', '', '', '')", (edition.number,))
        self.record_edition(edition)
        return edition

    def record_edition(self, edition: Edition) -> None:
        """Record what an edition vouches for."""
        row = (edition.number, identity_body(edition.identity), edition.chunks_sha256, segments_body(edition.segments))
        self.write(
            "UPDATE editions SET identity = ?2, chunks_sha256 = ?3, segments = ?4, digest = ?5 WHERE number = ?1",
            (*row, digest(row)),
        )

    def drop_edition(self, number: int) -> None:
        """Delete an edition that is not active, with its chunks and vectors."""
        self.write("DELETE FROM editions WHERE number = ?", (number,))

    def record_state(self, active: int, documents_sha256: bytes) -> None:
        """Record which edition is active and what the documents' ledger is."""
        row = (active, documents_sha256)
        self.write("UPDATE state SET active = ?, documents_sha256 = ?, digest = ?", (*row, digest(row)))

    def touch(self) -> None:
        """Write a page without changing anything: what a checkpoint needs to notice a reader."""
        self.write(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _drop_vectors(self, keys: Sequence[tuple[int, bytes]]) -> None:
        """Delete those of the vectors, named by edition and key, that no chunk points to."""
        self.write_many(
            "DELETE FROM vectors WHERE edition = ?1 AND key = ?2 "
            "AND NOT EXISTS (SELECT 1 FROM chunks WHERE vector_key = ?2 AND edition = ?1)",
            keys,
        )

    def _highest(self, table: str, column: str) -> int:
        """Return the highest number a table ever gave out; what SQLite noted of it may be damaged, so rows tell too."""
        row = self.first(
            "SELECT max((SELECT coalesce(max(CAST(seq AS INTEGER)), 0) FROM sqlite_sequence WHERE name = ?), "
            f"(SELECT coalesce(max({column}), 0) FROM {table}))",
            (table,),
        )
        assert row is not None
        return int(row[0])


def document_row(document: Document, content: bytes) -> tuple[str, str, bytes, str, bytes, bytes]:
    """Return id, source, content, facts, mark and digest of a document, `content` being that of title and text."""
    facts = facts_body(document)
    mark = digest((document.id, content, facts))
    return document.id, document.source, content, facts, mark, digest((mark, document.source))


def match_rows(old: Sequence[tuple[int, bytes]], chunks: Sequence[KeyedChunk]) -> list[int | None]:
    """Return for each chunk the row that it keeps: one of `old` with the same indexed text, in order; None: none."""
    free: dict[bytes, list[int]] = {}
    for row, key in reversed(old):
        free.setdefault(key, []).append(row)
    return [rows.pop() if (rows := free.get(chunk.key)) else None for chunk in chunks]
