"""Every row of a database against what vouches for it: what is altered, what is lost, what contradicts the rest.

Nothing is changed here. So `verify` can tell what is wrong, `repair` what has to be made again, and an import whether a
stranger's database may be let in. Judging one row is `judging.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from workbench.errors import DamagedCollectionError
from workbench.knowledge.judging import judge_chunk, judge_document, judge_edition, judge_mark, judge_vector
from workbench.knowledge.ledger import Ledger
from workbench.knowledge.records import DOCUMENT_COLUMNS, EDITION_COLUMNS, FILE_COLUMNS, Records
from workbench.knowledge.rows import digest, has_types
from workbench.types import EmbedderIdentity

Progress = Callable[[int, int], None]  # rows read, rows there are
NUMBERED = (("documents", "number"), ("chunks", "row"), ("editions", "number"))  # tables whose numbers never come back


class Part(StrEnum):
    """What a finding is about."""

    FILE = "file"
    COMMIT = "commit"
    STATE = "state"
    EDITION = "edition"
    DOCUMENT = "document"
    MARK = "file mark"
    CHUNK = "chunk"
    VECTOR = "vector"
    SEGMENT = "segment"
    SEARCH = "search"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was written: which, and in what way."""

    part: Part
    name: str
    fault: str

    def __str__(self) -> str:
        return f"{self.part} {self.name} {self.fault}"


@dataclass(slots=True)
class EditionCheck:
    """What was found of one edition."""

    number: int
    identity: EmbedderIdentity | None  # None: unreadable
    chunks_sha256: object  # as read
    altered: bool  # its own row is not what was written
    proven: bool = False  # its chunks are all there, and no others: their ledger is the recorded one
    cuts: set[int] = field(default_factory=set)  # numbers of documents some chunk of which is damaged
    vectors: set[bytes] = field(default_factory=set)  # keys of vectors that are damaged or missing
    segments_sound: bool = True  # as far as they were looked at

    @property
    def rows_sound(self) -> bool:
        """Whether its own row, its chunks and its vectors are as they were written."""
        return self.proven and not (self.altered or self.cuts or self.vectors)


@dataclass(slots=True)
class Inspection:
    """What was found: for people in `findings`, for a repair in the rest."""

    findings: list[Finding] = field(default_factory=list)
    whole: bool = True  # SQLite finds its file sound
    orphans: bool = False  # there are rows whose document or edition is gone
    misnumbered: bool = False  # new rows might get numbers that are taken
    active: int | None = None  # number of the active edition, as read; None: there is none such
    state_altered: bool = False
    documents: dict[int, str] = field(default_factory=dict)  # number and id of those that are damaged
    documents_proven: bool = False  # the documents are all there, and no others
    marks: list[str] = field(default_factory=list)  # paths whose mark is damaged
    editions: dict[int, EditionCheck] = field(default_factory=dict)

    @property
    def documents_sound(self) -> bool:
        """Whether all documents are there and as they were written, and nothing else."""
        return self.documents_proven and not (self.documents or self.orphans)

    @property
    def summary(self) -> str:
        """The first findings, and how many more there are."""
        named = ", ".join(map(str, self.findings[:3]))
        return named if len(self.findings) <= 3 else f"{named} and {len(self.findings) - 3} more findings"

    def note(self, part: Part, name: object, fault: str) -> None:
        """Add a finding."""
        self.findings.append(Finding(part, name.hex()[:12] if isinstance(name, bytes) else str(name), fault))


def inspect_rows(store: Records, on_progress: Progress | None = None) -> Inspection:
    """Read every row of the snapshot; a database that cannot be read to its end is told as not whole."""
    found = Inspection()
    try:
        _inspect_file(store, found)
        if found.whole:
            documents_sha256 = _inspect_state(store, found)
            _inspect_editions(store, found)
            steps = _count_rows(store, on_progress)
            _inspect_documents(store, found, steps)
            _inspect_cuts(store, found)
            _inspect_marks(store, found)
            for edition in found.editions.values():
                _inspect_vectors(store, found, edition, steps)
            _compare_ledgers(store, found, documents_sha256)
    except DamagedCollectionError as error:
        found.whole = False
        found.note(Part.FILE, store.path.name, f"cannot be read to its end: {drop_advice(error)}")
    return found


def drop_advice(error: Exception) -> str:
    """Return what an error says is wrong, without the command that follows: here the findings are what is asked for."""
    return str(error).partition(";")[0]


def _inspect_file(store: Records, found: Inspection) -> None:
    for (fault,) in list(store.rows("PRAGMA integrity_check(20)")):
        if fault != "ok":
            found.whole = False
            found.note(Part.FILE, store.path.name, f"is not sound: {fault}")
    if found.whole:
        for table, _, parent, _ in list(store.rows("PRAGMA foreign_key_check")):
            found.orphans = True
            found.note(Part.FILE, store.path.name, f"holds a row of {table} without its row of {parent}")
        _inspect_numbers(store, found)


def _inspect_numbers(store: Records, found: Inspection) -> None:
    for table, column in NUMBERED:
        ((highest,),) = store.rows(f"SELECT max({column}) FROM {table}")
        recorded = [seq for (seq,) in store.rows("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,))]
        if highest is not None and not (len(recorded) == 1 and has_types(recorded, int) and recorded[0] >= highest):
            found.misnumbered = True
            found.note(Part.FILE, store.path.name, f"numbers new {table} on from {recorded}, but {highest} is taken")


def _inspect_state(store: Records, found: Inspection) -> object:
    """Return what is recorded as the SHA-256 of the documents."""
    row = store.first("SELECT active, documents_sha256, digest FROM state")
    if row is None or not has_types(row, int, bytes, bytes) or row[-1] != digest(row[:-1]):
        found.state_altered = True
        found.note(Part.STATE, "row", "is lost or altered")
    found.active = row[0] if row is not None else None
    return row[1] if row is not None else None


def _inspect_editions(store: Records, found: Inspection) -> None:
    for row in list(store.rows(f"SELECT {EDITION_COLUMNS} FROM editions ORDER BY number")):
        fault, identity = judge_edition(row)
        if fault:
            found.note(Part.EDITION, row[0], fault)
        found.editions[row[0]] = EditionCheck(row[0], identity, row[2], bool(fault))
    if found.active not in found.editions:
        found.note(Part.STATE, "row", f"names edition {found.active}, which is not there")
        found.active, found.state_altered = None, True


def _inspect_documents(store: Records, found: Inspection, steps: Iterator[None]) -> None:
    query = f"SELECT {DOCUMENT_COLUMNS}, body FROM documents LEFT JOIN texts ON document = number ORDER BY number"
    for row in store.rows(query):
        next(steps)
        number, id_ = row[:2]
        fault, text = judge_document(row)
        if fault:
            found.documents[number] = str(id_)
            found.note(Part.DOCUMENT, id_, fault)
        else:
            for edition in found.editions.values():
                _inspect_chunks(store, found, edition, (number, id_, text), steps)


def _inspect_cuts(store: Records, found: Inspection) -> None:
    """Find the documents that the active edition was never cut for; an update commits both together."""
    query = (
        "SELECT number, id FROM documents LEFT JOIN cuts ON document = number AND edition = ? WHERE cuts.mark IS NULL"
    )
    for edition in found.editions.values():
        for number, id_ in list(store.rows(query, (edition.number,))) if edition.number == found.active else ():
            edition.cuts.add(number)
            found.note(Part.CHUNK, id_, "is a document without chunks")


def _inspect_chunks(
    store: Records, found: Inspection, edition: EditionCheck, document: tuple[int, str, str], steps: Iterator[None]
) -> None:
    number, id_, text = document
    columns = "row, id, place, vector_key, body, digest"
    query = f"SELECT {columns} FROM chunks WHERE document = ? AND edition = ? ORDER BY place"
    for place, row in enumerate(store.rows(query, (number, edition.number))):
        next(steps)
        fault = judge_chunk(row, place, id_, text)
        if fault:
            edition.cuts.add(number)
            found.note(Part.CHUNK, row[1], fault)


def _inspect_marks(store: Records, found: Inspection) -> None:
    for row in list(store.rows(f"SELECT {FILE_COLUMNS} FROM files ORDER BY path")):
        fault = judge_mark(row)
        if fault:
            found.marks.append(row[0])
            found.note(Part.MARK, row[0], fault)


def _inspect_vectors(store: Records, found: Inspection, edition: EditionCheck, steps: Iterator[None]) -> None:
    for row in store.rows("SELECT key, digest, vector FROM vectors WHERE edition = ?", (edition.number,)):
        next(steps)
        fault = judge_vector(row, edition.identity)
        if fault:
            edition.vectors.add(row[0])
            found.note(Part.VECTOR, row[0], fault)
    query = (
        "SELECT chunks.id, vector_key FROM chunks LEFT JOIN vectors ON vectors.edition = chunks.edition "
        "AND key = vector_key WHERE chunks.edition = ? AND key IS NULL"
    )
    for id_, key in list(store.rows(query, (edition.number,))):
        edition.vectors.add(key)
        found.note(Part.VECTOR, key, f"of chunk {id_} is lost")


def _compare_ledgers(store: Records, found: Inspection, documents_sha256: object) -> None:
    found.documents_proven = _scan(store.scan_documents) == documents_sha256
    if not found.documents_proven:
        found.note(Part.STATE, "row", "vouches for other documents than there are: some may be lost")
    for edition in found.editions.values():
        edition.proven = _scan(store.scan_chunks, edition.number) == edition.chunks_sha256
        if not edition.proven:
            found.note(Part.EDITION, edition.number, "vouches for other chunks than there are: some may be lost")


def _scan(scan: Callable[..., Ledger], *values: int) -> bytes | None:
    """Return the SHA-256 of a ledger; None: a digest in it is none."""
    try:
        return scan(*values).sha256
    except DamagedCollectionError:
        return None


def _count_rows(store: Records, on_progress: Progress | None) -> Iterator[None]:
    """Return what tells of one more row at each step."""
    tables: Sequence[str] = ("documents", "chunks", "vectors")
    counts: tuple[Any, ...] = (
        store.first(f"SELECT {', '.join(f'(SELECT count(*) FROM {one})' for one in tables)}") or ()
    )
    total = sum(counts)

    def count() -> Iterator[None]:
        done = 0
        while True:
            done += 1
            if on_progress is not None and (done % 1_000 == 0 or done == total):
                on_progress(done, total)
            yield

    return count()
