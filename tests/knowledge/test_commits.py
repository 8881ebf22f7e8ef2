"""The count of commits beside the database: an older state is told from the newest, and a kill from damage."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.knowledge.fakes import IDENTITY, HashEmbedder, cut_paragraphs, make_document
from workbench.errors import DamagedCollectionError
from workbench.knowledge import Collection, export_collection, import_collection, list_editions
from workbench.knowledge.commits import judge_counts, read_count, write_count
from workbench.knowledge.repair import RepairReport, repair_collection
from workbench.knowledge.verify import verify_collection
from workbench.types import Document

DATABASE, COUNT, LOG = "collection.sqlite", "collection.commits", "collection.sqlite-wal"
FIRST = [make_document("a.md", "The lamp is made of brass.")]
SECOND = [*FIRST, make_document("b.md", "The lens is made of glass.")]


def fill(collection: Collection, documents: Sequence[Document]) -> None:
    collection.update(documents, cut_paragraphs, HashEmbedder().embed_documents)


def names(collection: Collection) -> list[str]:
    return [facts.id for facts in collection.documents()]


def repair(folder: Path) -> RepairReport:
    return repair_collection(folder, IDENTITY, cut_paragraphs, HashEmbedder().embed_documents)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection of SECOND whose last update lies in the write-ahead log alone, as after a kill."""
    place = tmp_path_factory.mktemp("original")
    with Collection.create(place / "open", IDENTITY) as collection:
        fill(collection, FIRST)
        shutil.copytree(place / "open", place / "before")
        with Collection.open(place / "open") as reader:  # keeps the log from being emptied
            fill(collection, SECOND)
            shutil.copytree(place / "open", place / "c")
            assert len(names(reader)) == 1
    return place


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original / "c", tmp_path / "c"))


@pytest.fixture
def older(original: Path, folder: Path) -> Path:
    """The same, its last update lost with the log."""
    (folder / LOG).unlink()
    (folder / f"{DATABASE}-shm").unlink()
    return folder


def test_each_commit_is_counted_and_reading_is_not(folder: Path) -> None:
    before = read_count(folder / DATABASE)
    with Collection.open(folder) as collection:
        assert names(collection) == ["a.md", "b.md"]
        fill(collection, SECOND)  # changes nothing
        assert read_count(folder / DATABASE) == before
        collection.delete(["b.md"])
        assert read_count(folder / DATABASE) == before + 1
    assert verify_collection(folder) == []


@pytest.mark.parametrize(
    "use",
    [
        Collection.open,
        lambda folder: Collection.open(folder, IDENTITY),
        lambda folder: export_collection(folder, folder / "x.zip"),
    ],
    ids=["open", "open with embedder", "export"],
)
def test_an_older_state_is_refused_with_both_counts_and_the_way_out(older: Path, use: Callable[[Path], object]) -> None:
    fault = r"is at commit 2, but \d+ were made, so it is an older state.*backup.*workbench repair .*workbench sync"
    with pytest.raises(DamagedCollectionError, match=fault):
        use(older)
    assert next(finding.part for finding in verify_collection(older)) == "commit"
    with pytest.raises(DamagedCollectionError):  # looking at it has changed nothing
        Collection.open(older)


def test_repair_takes_an_older_state_for_the_newest_and_says_what_is_lost(older: Path) -> None:
    report = repair(older)
    assert (report.left, report.dropped) == ((), ())
    assert "changed after it is lost" in report.mended[0]
    assert verify_collection(older) == []
    with Collection.open(older, IDENTITY) as collection:
        assert names(collection) == ["a.md"]
        fill(collection, SECOND)
        assert names(collection) == ["a.md", "b.md"]
    assert verify_collection(older) == []


def test_a_kill_between_the_commit_and_its_count_is_no_damage(folder: Path) -> None:
    last = read_count(folder / DATABASE)
    write_count(folder / DATABASE, last - 1)
    (folder / f".{COUNT}.123.tmp").write_text("half")
    with Collection.open(folder) as collection:
        assert names(collection) == ["a.md", "b.md"]
        assert verify_collection(folder) == []
        assert read_count(folder / DATABASE) == last - 1  # a reader writes nothing
        collection.delete([])
        assert read_count(folder / DATABASE) == last
        assert not list(folder.glob(".*"))
        write_count(folder / DATABASE, last - 1)
        collection.delete(["b.md"])
        assert read_count(folder / DATABASE) == last + 1


@pytest.mark.parametrize(
    "damage",
    [
        Path.unlink,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes() + b"\n"),
        lambda path: path.write_bytes(b"0" + path.read_bytes()),
        lambda path: path.write_bytes(path.read_bytes().upper()),
        lambda path: write_count(path, 1),
    ],
    ids=["lost", "empty", "cut", "longer", "leading zero", "upper case", "of another time"],
)
def test_a_damaged_count_is_refused_and_repaired_without_loss(folder: Path, damage: Callable[[Path], object]) -> None:
    damage(folder / COUNT)
    with pytest.raises(DamagedCollectionError, match="workbench repair"):
        Collection.open(folder)
    assert len(verify_collection(folder)) == 1
    assert repair(folder).left == ()
    with Collection.open(folder) as collection:
        assert names(collection) == ["a.md", "b.md"]


def test_a_copied_folder_and_one_put_back_whole_are_sound_a_database_put_back_alone_is_not(
    original: Path, folder: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    assert verify_collection(copy) == []
    back = Path(shutil.copytree(original / "before", tmp_path / "back"))
    with Collection.open(back) as collection:
        assert names(collection) == ["a.md"]
    for name in (LOG, f"{DATABASE}-shm"):
        (folder / name).unlink()
    shutil.copy(back / DATABASE, folder / DATABASE)
    with pytest.raises(DamagedCollectionError, match="older state"):
        Collection.open(folder)


def test_a_collection_made_before_there_was_a_count_gets_one_with_its_next_commit(folder: Path) -> None:
    (folder / COUNT).unlink()
    with sqlite3.connect(folder / DATABASE) as connection:
        connection.execute("PRAGMA application_id = 0")
    connection.close()
    with Collection.open(folder) as collection:
        assert names(collection) == ["a.md", "b.md"]
        fill(collection, SECOND)
        assert not (folder / COUNT).exists()
        collection.delete(["b.md"])
        assert read_count(folder / DATABASE) == 1
    assert verify_collection(folder) == []


def test_an_export_leaves_the_count_behind_and_an_import_begins_anew(folder: Path, tmp_path: Path) -> None:
    export_collection(folder, tmp_path / "c.zip")
    import_collection(tmp_path / "c.zip", tmp_path / "new")
    assert 0 < read_count(tmp_path / "new" / DATABASE) < read_count(folder / DATABASE)
    assert verify_collection(tmp_path / "new") == []


def test_a_collection_made_in_the_place_of_a_lost_one_begins_anew(folder: Path) -> None:
    for path in folder.glob(f"{DATABASE}*"):
        path.unlink()
    with Collection.create(folder, IDENTITY) as collection:
        assert not (folder / COUNT).exists()
        fill(collection, FIRST)
        assert [edition.n_missing for edition in list_editions(collection)] == [0]


def test_readers_beside_a_fast_writer_are_never_told_of_an_older_state() -> None:
    """Whatever was recorded before the snapshot and after it, as long as the writer keeps to its order."""
    for n_before in range(5):
        for n_found in range(n_before, 8):
            for n_after in range(max(n_before, n_found - 1), 10):
                assert judge_counts(n_before, n_found, n_after) == ""


def test_a_count_that_cannot_be_written_fails_the_command_and_the_next_one_catches_up(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with Collection.open(folder) as collection:
        with monkeypatch.context() as patch:
            patch.setattr("workbench.knowledge.commits.write_atomically", fail)
            with pytest.raises(OSError, match=r"not yet recorded: run the command again.*collection\.commits"):
                collection.delete(["b.md"])
        assert names(collection) == ["a.md"]  # committed, and seen
        collection.delete(["a.md"])
        assert names(collection) == []
    assert verify_collection(folder) == []
