"""What verifying finds, and what a repair makes of it: all that follows from the documents, and nothing guessed."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.knowledge.fakes import IDENTITY, HashEmbedder, cut_paragraphs, make_document
from workbench.errors import (
    BusyError,
    CollectionVersionError,
    DamagedCollectionError,
    MissingCollectionError,
    StaleIndexError,
)
from workbench.knowledge import Change, Collection, FileMark, searching, segments
from workbench.knowledge.inspection import Part
from workbench.knowledge.reembed import reembed_collection
from workbench.knowledge.repair import RepairReport, repair_collection
from workbench.knowledge.stamps import read_stamps
from workbench.knowledge.verify import verify_collection
from workbench.locking import hold_writer_lock
from workbench.types import Document, Float32

DOCUMENTS = [
    make_document(
        f"part{number}.md", "\n".join(f"step {line} of part {number} turns wheel {line * number}" for line in range(9))
    )
    for number in range(8)
]
OTHER = replace(IDENTITY, name="other", fingerprint="1" * 64)


def change_of(document: Document) -> Change:
    return Change(document, FileMark(document.id, document.fingerprint, len(document.text), "1", document.id))


def fill(collection: Collection, documents: Sequence[Document]) -> HashEmbedder:
    embedder = HashEmbedder()
    collection.apply(map(change_of, documents), cut_paragraphs, embedder.embed_documents)
    return embedder


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed collection with two segments and deleted rows; to be copied, not touched."""
    folder = tmp_path_factory.mktemp("original") / "c"
    with Collection.create(folder, IDENTITY) as collection:
        fill(collection, [*DOCUMENTS, make_document("gone.md", "This one is deleted.")])
        fill(collection, [replace(DOCUMENTS[0], readers=("staff",))])
        collection.delete(["gone.md"])
        fill(collection, [make_document("late.md", "This one came late.")])
    return folder


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "c"))


def fingerprint_of(folder: Path) -> str:
    with Collection.open(folder) as collection:
        assert collection.events == []
        return collection.fingerprint


def alter(folder: Path, *commands: str) -> None:
    connection = sqlite3.connect(folder / "collection.sqlite", isolation_level=None)
    for command in commands:
        connection.execute(command)
    connection.close()


def repair(folder: Path, *, drop_damaged: bool = False) -> tuple[RepairReport, list[str]]:
    embedder = HashEmbedder()
    report = repair_collection(folder, IDENTITY, cut_paragraphs, embedder.embed_documents, drop_damaged=drop_damaged)
    assert report.left == ()
    assert verify_collection(folder) == []
    return report, embedder.embedded


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def test_a_sound_collection_has_no_findings_and_is_left_as_it_is(folder: Path) -> None:
    steps: list[tuple[int, int]] = []
    assert verify_collection(folder, on_progress=lambda *step: steps.append(step)) == []
    assert steps[-1][0] == steps[-1][1] > 0
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".sqlite-shm"}
    report, embedded = repair(folder)
    assert report == RepairReport((), (), (), ())
    assert embedded == []
    assert {path: path.read_bytes() for path in before} == before


def test_an_empty_collection_is_sound(tmp_path: Path) -> None:
    Collection.create(tmp_path / "c", IDENTITY).close()
    assert verify_collection(tmp_path / "c") == []
    assert repair(tmp_path / "c")[0].mended == ()


CHUNK = "(SELECT row FROM chunks WHERE id = 'part3.md#0004')"
DERIVED = {
    "a chunk's text": (f"UPDATE chunks SET body = replace(body, 'wheel', 'gear') WHERE row = {CHUNK}", Part.CHUNK),
    "a chunk's place": ("UPDATE chunks SET place = 99 WHERE id = 'part3.md#0008'", Part.CHUNK),
    "a chunk's vector key": (f"UPDATE chunks SET vector_key = zeroblob(32) WHERE row = {CHUNK}", Part.CHUNK),
    "a chunk's digest": (f"UPDATE chunks SET digest = zeroblob(32) WHERE row = {CHUNK}", Part.CHUNK),
    "a chunk's document": (
        f"UPDATE chunks SET document = 5, place = 9 WHERE row = {CHUNK}",
        Part.CHUNK,
    ),
    "a chunk of another type": (f"UPDATE chunks SET body = CAST(body AS BLOB) WHERE row = {CHUNK}", Part.CHUNK),
    "a last chunk lost": ("DELETE FROM chunks WHERE id = 'part3.md#0008'", Part.EDITION),
    "a chunk in the middle lost": (f"DELETE FROM chunks WHERE row = {CHUNK}", Part.CHUNK),
    "all chunks lost": ("DELETE FROM chunks", Part.EDITION),
    "chunks never cut": ("DELETE FROM cuts WHERE document = 3", Part.CHUNK),
    "a vector": ("UPDATE vectors SET vector = zeroblob(128) WHERE rowid = 7", Part.VECTOR),
    "a vector lost": ("DELETE FROM vectors WHERE rowid = 7", Part.VECTOR),
    "an orphan": ("INSERT INTO texts VALUES (4711, 'x')", Part.FILE),
    "a file's mark": ("UPDATE files SET size = 1 WHERE path = 'part1.md'", Part.MARK),
    "the numbering": ("UPDATE sqlite_sequence SET seq = 2 WHERE name = 'chunks'", Part.FILE),
    "the edition's segments": ("UPDATE editions SET segments = '[]'", Part.EDITION),
    "the edition's embedder": ("UPDATE editions SET identity = replace(identity, 'sum', 'cls')", Part.EDITION),
    "the edition lost": ("DELETE FROM editions", Part.STATE),
    "the active edition": ("UPDATE state SET active = 9", Part.STATE),
    "the state's digest": ("UPDATE state SET digest = zeroblob(32)", Part.STATE),
}


@pytest.mark.parametrize("name", DERIVED)
def test_what_follows_from_the_documents_is_made_again(folder: Path, name: str) -> None:
    command, part = DERIVED[name]
    before = fingerprint_of(folder)
    alter(folder, command)
    findings = verify_collection(folder)
    assert part in {finding.part for finding in findings}
    report, embedded = repair(folder)
    assert report.found == tuple(findings)
    assert report.dropped == ()
    assert report.mended
    assert fingerprint_of(folder) == before
    assert len(embedded) in ((1,) if part is Part.VECTOR else (0, 1, 73))


def test_a_chunk_cut_again_keeps_its_row(folder: Path) -> None:
    def rows() -> list[tuple[int, str]]:
        with sqlite3.connect(folder / "collection.sqlite") as connection:
            return connection.execute("SELECT row, id FROM chunks ORDER BY row").fetchall()

    before = rows()
    alter(folder, DERIVED["a chunk's text"][0])
    _, embedded = repair(folder)
    assert (rows(), embedded) == (before, [])


TRUTH = {
    "a text": "UPDATE texts SET body = replace(body, 'wheel', 'gear') WHERE document = 4",
    "a text lost": "DELETE FROM texts WHERE document = 4",
    "a title": "UPDATE documents SET facts = replace(facts, 'part3', 'part9') WHERE number = 4",
    "a source": "UPDATE documents SET source = 'elsewhere' WHERE number = 4",
    "its permissions": "UPDATE documents SET facts = replace(facts, 'null]', '[\"all\"]]') WHERE number = 4",
    "the document lost": "DELETE FROM documents WHERE number = 4",
}


@pytest.mark.parametrize("name", TRUTH)
def test_a_damaged_document_is_named_and_goes_only_when_asked_for(folder: Path, name: str) -> None:
    before = fingerprint_of(folder)
    alter(folder, TRUTH[name])
    damaged = verify_collection(folder)
    assert damaged
    with pytest.raises(DamagedCollectionError, match=r"part3\.md.*nothing was changed.*--drop-damaged.*workbench sync"):
        repair(folder)
    assert verify_collection(folder) == damaged
    report, embedded = repair(folder, drop_damaged=True)
    assert (report.dropped, embedded) == (("part3.md",), [])
    with Collection.open(folder) as collection:
        assert collection.n_documents == len(DOCUMENTS)
        assert "part3.md" not in collection.file_marks()  # so that a sync reads it again
        fill(collection, [DOCUMENTS[3]])
        assert collection.fingerprint == before


def test_an_altered_record_of_the_documents_cannot_prove_them(folder: Path) -> None:
    before = fingerprint_of(folder)
    alter(folder, "UPDATE state SET documents_sha256 = zeroblob(32)")
    with pytest.raises(DamagedCollectionError, match="documents whose ids are lost"):
        repair(folder)
    assert "recorded anew which documents there are" in repair(folder, drop_damaged=True)[0].mended
    assert fingerprint_of(folder) == before


@pytest.mark.parametrize("size", [0, 60, 4096, 20_000])
def test_a_database_that_cannot_be_read_is_given_up_only_when_asked_for(folder: Path, size: int) -> None:
    path = folder / "collection.sqlite"
    path.write_bytes(path.read_bytes()[:size])
    assert {finding.part for finding in verify_collection(folder)} == {Part.FILE}
    with pytest.raises(DamagedCollectionError, match="all documents"):
        repair(folder)
    report, _ = repair(folder, drop_damaged=True)
    assert report.dropped == ("all documents",)
    with Collection.open(folder, IDENTITY) as collection:
        assert (collection.n_documents, collection.n_chunks) == (0, 0)
        fill(collection, DOCUMENTS)
    assert verify_collection(folder) == []


def damage_vectors(folder: Path) -> None:
    flip(next(iter(folder.glob("segments/*/vectors.npy"))), -3)


def damage_words(folder: Path) -> None:
    flip(next(iter(folder.glob("segments/*/word_counts.npy"))), -2)


def remove_segments(folder: Path) -> None:
    shutil.rmtree(folder / "segments")


@pytest.mark.parametrize("damage", [damage_vectors, damage_words, remove_segments], ids=lambda one: one.__name__)
def test_a_damaged_segment_is_found_and_built_again(folder: Path, damage: Callable[[Path], None]) -> None:
    before = fingerprint_of(folder)
    damage(folder)
    assert {finding.part for finding in verify_collection(folder)} == {Part.SEGMENT}
    report, embedded = repair(folder)
    assert report.mended == ("built the indexes of embedder hash again",)
    assert embedded == []
    assert fingerprint_of(folder) == before


@pytest.mark.parametrize(("file", "fault"), [("vectors.npy", "other vectors"), ("word_counts.npy", "other words")])
def test_a_segment_that_is_whole_but_wrong_is_found(
    folder: Path, file: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = max(folder.glob(f"segments/*/{file}"), key=lambda one: one.stat().st_size)
    flip(path, 200)  # behind the header
    (bodies,) = sqlite3.connect(folder / "collection.sqlite").execute("SELECT segments FROM editions").fetchone()
    recorded = {record["name"]: record["files"] for record in json.loads(bodies)}
    # As a fault of this program would leave it: the recorded SHA-256 is that of the wrong file.
    monkeypatch.setattr(segments, "_hash_files", lambda place: recorded[place.name])
    (finding,) = verify_collection(folder)
    assert (finding.part, finding.name) == (Part.SEGMENT, path.parent.name)
    assert fault in finding.fault


@pytest.mark.parametrize("kind", ["find_vectors", "find_words"])
def test_searches_that_find_something_else_than_brute_force_are_found(
    folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = getattr(searching, kind)
    monkeypatch.setattr(searching, kind, lambda *args, **options: right(*args, **options)[1:])
    findings = verify_collection(folder, n_searches=3)
    assert [finding.part for finding in findings] == [Part.SEARCH] * 3
    monkeypatch.setattr(
        searching, kind, lambda *args, **options: [(id_, score + 1e-3) for id_, score in right(*args, **options)]
    )
    assert len(verify_collection(folder, n_searches=3)) >= 3


def test_flipped_bits_of_the_database_are_found_or_harmless_and_mended(folder: Path, tmp_path: Path) -> None:
    before = fingerprint_of(folder)
    whole = (folder / "collection.sqlite").read_bytes()
    positions = np.random.default_rng(1).choice(len(whole), 20, replace=False)
    n_found = 0
    for position in positions.tolist():
        copy = Path(shutil.copytree(folder, tmp_path / str(position)))
        content = bytearray(whole)
        content[position] ^= 1 << position % 8
        (copy / "collection.sqlite").write_bytes(content)
        findings = verify_collection(copy, n_searches=2)
        if findings:
            n_found += 1
            repair(copy, drop_damaged=True)
        with Collection.open(copy, IDENTITY) as collection:
            if findings:
                late = make_document("late.md", "This one came late.")
                fill(collection, [replace(DOCUMENTS[0], readers=("staff",)), *DOCUMENTS[1:], late])
            assert collection.fingerprint == before
    assert n_found > 5


def test_another_embedder_mends_nothing(folder: Path) -> None:
    alter(folder, DERIVED["a vector lost"][0])
    with pytest.raises(StaleIndexError, match=r"'hash'.*'other'.*nothing was changed"):
        repair_collection(folder, OTHER, cut_paragraphs, HashEmbedder().embed_documents)
    assert verify_collection(folder)


def test_an_edition_that_is_not_active_is_dropped_when_damaged(folder: Path) -> None:
    before = fingerprint_of(folder)
    with Collection.open(folder) as collection:
        reembed_collection(collection, OTHER, HashEmbedder().embed_documents, cut_paragraphs)
    assert verify_collection(folder) == []
    alter(folder, "DELETE FROM vectors WHERE edition = 2 AND rowid % 2")
    report, embedded = repair(folder)
    assert "dropped the edition of other" in report.mended[0]
    assert (fingerprint_of(folder), embedded) == (before, [])


def test_a_repair_that_was_stopped_is_repeated(folder: Path) -> None:
    before = fingerprint_of(folder)
    alter(folder, "DELETE FROM chunks", "DELETE FROM vectors")

    def stop(_: Sequence[str]) -> Float32:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        repair_collection(folder, IDENTITY, cut_paragraphs, stop)
    with pytest.raises(DamagedCollectionError):
        Collection.open(folder)
    repair(folder)
    assert fingerprint_of(folder) == before


def test_who_may_repair(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingCollectionError):
        repair(tmp_path / "nothing")
    with pytest.raises(MissingCollectionError, match=r"workbench sync .*nothing DOCUMENTS"):
        verify_collection(tmp_path / "nothing")
    with hold_writer_lock(folder / "writer.lock"), pytest.raises(BusyError):
        repair(folder)


def test_a_collection_of_another_version_is_not_called_damaged_and_not_replaced(folder: Path) -> None:
    alter(folder, "PRAGMA user_version = 3")
    before = (folder / "collection.sqlite").read_bytes()
    with pytest.raises(CollectionVersionError, match="schema version 3"):
        verify_collection(folder)
    with pytest.raises(CollectionVersionError, match="schema version 3"):
        repair(folder, drop_damaged=True)
    assert (folder / "collection.sqlite").read_bytes() == before


def test_findings_of_a_repair_do_not_advise_a_repair(folder: Path) -> None:
    (folder / "collection.sqlite").write_bytes(b"x" * 9000)
    (finding,) = verify_collection(folder)
    assert "not a database" in finding.fault
    assert "workbench repair" not in finding.fault


def test_verifying_disturbs_neither_readers_nor_a_writer(folder: Path) -> None:
    with Collection.open(folder) as collection, collection.writing():
        assert verify_collection(folder) == []


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("DELETE FROM documents", ["hash", "other"]),
        ("UPDATE state SET active = 2", ["other", "hash"]),
        ("DELETE FROM state", ["hash", "other"]),
        ("UPDATE editions SET chunks_sha256 = x'00' WHERE number = 1", ["other", "hash"]),
        ("UPDATE editions SET identity = '{}'", []),
    ],
)
def test_stamps_are_read_where_nothing_opens(folder: Path, command: str, names: list[str]) -> None:
    with Collection.open(folder) as collection:
        reembed_collection(collection, OTHER, HashEmbedder().embed_documents, cut_paragraphs)
    alter(folder, "PRAGMA foreign_keys = OFF", command)
    with pytest.raises(DamagedCollectionError):
        Collection.open(folder)
    assert [stamp.name for stamp in read_stamps(folder)] == [IDENTITY.name if one == "hash" else one for one in names]


def test_a_file_that_is_no_database_has_no_stamps(folder: Path) -> None:
    (folder / "collection.sqlite").write_bytes(b"none" * 2_000)
    assert read_stamps(folder) == []
