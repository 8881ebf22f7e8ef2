"""What a collection promises when things break: nothing lost, nothing guessed, one writer, a clear refusal."""

from __future__ import annotations

import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.knowledge.fakes import IDENTITY, HashEmbedder, cut_paragraphs, embed_text, make_document
from workbench.errors import BusyError, CollectionVersionError, DamagedCollectionError, MissingCollectionError
from workbench.knowledge import Collection
from workbench.knowledge.reembed import list_editions, reembed_collection
from workbench.knowledge.store import Store
from workbench.knowledge.verify import verify_collection
from workbench.types import Document, Float32

OLD = [make_document("old.md", "The lamp is made of brass.\nThe lens is made of glass.")]
N_LINES = 600  # three batches
NEW = [*OLD, make_document("new.md", "\n".join(f"line {number} of the manual" for number in range(N_LINES)))]
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed collection that holds OLD; to be copied, not touched."""
    folder = tmp_path_factory.mktemp("original")
    with Collection.create(folder, IDENTITY) as collection:
        fill(collection, OLD)
    return folder


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    """A closed collection that holds OLD."""
    return Path(shutil.copytree(original, tmp_path / "c"))


def fill(collection: Collection, documents: Sequence[Document]) -> HashEmbedder:
    embedder = HashEmbedder()
    collection.update(documents, cut_paragraphs, embedder.embed_documents)
    return embedder


def assert_searches(collection: Collection) -> None:
    assert [id_ for id_, _ in collection.search_words("brass", k=5)] == ["old.md#0000"]
    assert collection.search_vectors(embed_text("old.md\nThe lens is made of glass."), k=1)[0][0] == "old.md#0001"


def only(folder: Path, pattern: str) -> Path:
    (path,) = folder.glob(pattern)
    return path


def flip_bit(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def flip_vectors(folder: Path) -> None:
    flip_bit(only(folder, "segments/*/vectors.npy"), -3)


def remove_vectors(folder: Path) -> None:
    only(folder, "segments/*/vectors.npy").unlink()


def truncate_vectors(folder: Path) -> None:
    path = only(folder, "segments/*/vectors.npy")
    path.write_bytes(path.read_bytes()[:40])


def flip_words(folder: Path) -> None:
    flip_bit(only(folder, "segments/*/word_positions.npy"), -3)


def flip_rows(folder: Path) -> None:
    flip_bit(only(folder, "segments/*/rows.npy"), -8)


def remove_a_words_file(folder: Path) -> None:
    only(folder, "segments/*/word_lengths.npy").unlink()


def add_a_file(folder: Path) -> None:
    (only(folder, "segments/*") / "stray").write_text("x")


def remove_all(folder: Path) -> None:
    shutil.rmtree(folder / "segments")


def test_damage_that_shows_only_when_a_snapshot_ends_is_named(folder: Path) -> None:
    class Torn:
        in_transaction = True

        def execute(self, command: str) -> None:
            error = sqlite3.DatabaseError("database disk image is malformed")
            error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise error

    with Collection.open(folder) as collection:
        database = collection._store
        connection, database._connection = database._connection, Torn()  # type: ignore[assignment]
        with pytest.raises(DamagedCollectionError, match="workbench repair"):
            database.end_snapshot()
        database._connection = connection


@pytest.mark.parametrize(
    "damage",
    [
        *[flip_vectors, remove_vectors, truncate_vectors, flip_words],
        *[flip_rows, remove_a_words_file, add_a_file, remove_all],
    ],
    ids=lambda damage: damage.__name__,
)
def test_a_damaged_segment_is_rebuilt_and_recorded(folder: Path, damage: object) -> None:
    assert callable(damage)
    damage(folder)
    with Collection.open(folder, IDENTITY) as collection:
        assert_searches(collection)
        (event,) = collection.events
        assert "rebuilt" in event
    with Collection.open(folder, IDENTITY) as collection:
        assert collection.events == []


def test_only_the_damaged_segment_is_rebuilt(folder: Path) -> None:
    with Collection.open(folder) as collection:
        fill(collection, NEW)
        fill(collection, [*NEW, make_document("late.md", "The tube is made of tin.")])
        names = {path.name for path in (folder / "segments").iterdir()}
        assert len(names) == 2
        content = collection.fingerprint
    flip_bit(max(folder.glob("segments/*/vectors.npy"), key=lambda path: path.stat().st_size), -3)
    with Collection.open(folder) as collection:
        assert_searches(collection)
        assert len(names & {path.name for path in (folder / "segments").iterdir()}) == 1
        assert (len(collection.events), collection.fingerprint) == (1, content)


def test_a_truncated_database_is_refused(folder: Path) -> None:
    path = folder / "collection.sqlite"
    whole = path.read_bytes()
    for size in (0, 50, 4096, len(whole) // 2, len(whole) - 4096):
        path.write_bytes(whole[:size])
        with pytest.raises(DamagedCollectionError, match=f"workbench repair {folder} .*workbench index"):
            Collection.open(folder).close()


def test_a_flipped_bit_in_the_database_never_changes_an_answer(folder: Path) -> None:
    path = folder / "collection.sqlite"
    whole = path.read_bytes()
    n_refused = 0
    for position in np.random.default_rng(0).choice(len(whole), 40, replace=False):
        content = bytearray(whole)
        content[position] ^= 1 << int(position) % 8
        path.write_bytes(content)
        try:
            with Collection.open(folder) as collection:
                assert collection.all_chunks() == cut_paragraphs(OLD)
                assert collection.document("old.md") == OLD[0]
                assert_searches(collection)
        except DamagedCollectionError:
            n_refused += 1
    assert n_refused > 0


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE chunks SET body = replace(body, 'brass', 'steel')",
        "UPDATE chunks SET place = 9 WHERE place = 1",
        "UPDATE texts SET body = replace(body, 'brass', 'steel')",
        "UPDATE documents SET facts = replace(facts, 'test', 'text')",
        "DELETE FROM texts",
        "UPDATE vectors SET vector = zeroblob(128)",
        "DELETE FROM vectors",
        "DELETE FROM chunks WHERE id = 'old.md#0001'",
        "DELETE FROM documents",
        "UPDATE editions SET identity = replace(identity, 'sum', 'cls')",
        "UPDATE editions SET segments = '[]'",
        "DELETE FROM editions",
        "UPDATE state SET active = 2",
        "DELETE FROM state",
        "UPDATE chunks SET body = CAST(body AS BLOB)",
        "UPDATE chunks SET vector_key = CAST(vector_key AS TEXT)",
        "UPDATE texts SET body = CAST(body AS BLOB)",
        "UPDATE documents SET facts = CAST(facts AS BLOB)",
        "UPDATE editions SET identity = CAST(identity AS BLOB)",
    ],
)
def test_rows_changed_behind_its_back_are_refused_not_guessed(folder: Path, change: str) -> None:
    with sqlite3.connect(folder / "collection.sqlite") as connection:
        connection.execute(change)
    connection.close()
    remove_all(folder)  # so that every row is needed
    with pytest.raises(DamagedCollectionError), Collection.open(folder) as collection:
        collection.document("old.md")


def test_segments_without_their_database_are_no_collection(folder: Path) -> None:
    (folder / "collection.sqlite").unlink()
    with pytest.raises(MissingCollectionError):
        Collection.open(folder)


WRITER = """
import sys, time
from pathlib import Path
from tests.knowledge.fakes import IDENTITY, HashEmbedder, cut_paragraphs
from tests.knowledge.test_durability import NEW
from workbench.knowledge import Collection

def stop(done, total):
    print(done, flush=True)
    if done > 500:
        time.sleep(60)

with Collection.open(Path(sys.argv[1]), IDENTITY) as collection:
    collection.update(NEW, cut_paragraphs, HashEmbedder().embed_documents, on_progress=stop)
"""


def start_writer(folder: Path) -> subprocess.Popen[str]:
    """Start a process that updates to NEW and stops inside the update, when two of three batches are committed."""
    command = [sys.executable, "-c", WRITER, str(folder)]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(2)] == ["256\n", "512\n"]
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_a_second_writer_is_refused_within_two_seconds_and_readers_are_not(folder: Path) -> None:
    process = start_writer(folder)
    try:
        with Collection.open(folder, IDENTITY) as collection:
            assert_searches(collection)
            begun = time.monotonic()
            with pytest.raises(BusyError, match=f"by process {process.pid}"):
                fill(collection, NEW)
            assert time.monotonic() - begun < 2
            assert_searches(collection)
    finally:
        end(process)


def test_a_killed_update_leaves_the_previous_state_and_resumes(folder: Path, tmp_path: Path) -> None:
    end(start_writer(folder))
    with Collection.open(folder, IDENTITY) as collection:
        assert collection.document("old.md") == OLD[0]
        assert collection.all_chunks() == cut_paragraphs(OLD)
        assert_searches(collection)
        # The lock of the dead process does not hold, and what it had embedded is not embedded again.
        assert len(fill(collection, NEW).embedded) == N_LINES - 512
        assert collection.n_chunks == N_LINES + 2
        with Collection.create(tmp_path / "unbroken", IDENTITY) as unbroken:
            fill(unbroken, NEW)
            assert collection.fingerprint == unbroken.fingerprint
            ids = [chunk.id for chunk in unbroken.all_chunks()]
            assert np.array_equal(collection.vectors_of(ids), unbroken.vectors_of(ids))


def test_an_update_that_fails_leaves_the_previous_state(folder: Path) -> None:
    def fail(_: Sequence[str]) -> Float32:
        raise MemoryError

    with Collection.open(folder) as collection:
        with pytest.raises(MemoryError):
            collection.update(NEW, cut_paragraphs, fail)
        assert_searches(collection)
        assert len(fill(collection, NEW).embedded) == N_LINES


@contextmanager
def small_disk(n_bytes: int) -> Iterator[None]:
    """Let no file grow beyond `n_bytes`: writes fail as they do on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("n_bytes", [0, 4_000, 100_000])
def test_a_full_disk_leaves_the_previous_state(folder: Path, n_bytes: int) -> None:
    with Collection.open(folder) as collection:
        with pytest.raises(OSError), small_disk(n_bytes):
            fill(collection, NEW)
        assert collection.document("old.md") == OLD[0]
        assert_searches(collection)
        fill(collection, NEW)
        assert collection.n_chunks == N_LINES + 2


def test_a_full_disk_while_rebuilding_is_an_error_and_no_guess(folder: Path) -> None:
    with Collection.open(folder) as collection:
        fill(collection, NEW)
    remove_all(folder)
    with pytest.raises(OSError), small_disk(60_000):
        Collection.open(folder)
    with Collection.open(folder) as collection:
        assert_searches(collection)
        assert len(collection.events) == 1


def test_a_place_that_may_not_be_written_is_named_with_what_to_do(folder: Path) -> None:
    path = folder / "collection.sqlite"
    # As after chmod, which does not bind the administrator that tests may run as.
    store = Store(path)
    with pytest.raises(PermissionError, match=r"readonly database; .*chmod -R u\+w .*collection\.sqlite"):
        store._connection.execute("PRAGMA query_only = ON")
        with store.transaction():
            store.delete_documents(["old.md"], [1])
    store.close()
    path.unlink()
    path.mkdir()
    with pytest.raises(PermissionError, match=r"unable to open database file; .*chmod"):
        Collection.open(folder)


def test_what_a_killed_writer_left_is_swept(folder: Path) -> None:
    (folder / "segments" / ".0123.1.tmp").mkdir()
    (folder / "segments" / "stray").touch()
    with Collection.open(folder) as collection:
        fill(collection, [*OLD, make_document("more.md", "One line.")])
        assert len(list((folder / "segments").iterdir())) == 1


@pytest.mark.parametrize("version", [1, 7])
def test_a_database_of_another_schema_is_refused_with_the_way_out(folder: Path, version: int) -> None:
    with sqlite3.connect(folder / "collection.sqlite") as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    fault = f"schema version {version}, this program reads 2; use the version .*workbench sync .*workbench index"
    with pytest.raises(CollectionVersionError, match=fault):
        Collection.open(folder)


def test_numbers_are_not_given_twice_though_their_record_is_lost(folder: Path) -> None:
    """A number given again would put the new document in the place of the old one."""
    with sqlite3.connect(folder / "collection.sqlite") as connection:
        connection.execute("UPDATE sqlite_sequence SET seq = 0 WHERE name = 'documents'")
        connection.execute("UPDATE sqlite_sequence SET seq = 'x' WHERE name = 'chunks'")
        connection.execute("DELETE FROM sqlite_sequence WHERE name = 'editions'")
    connection.close()
    with Collection.open(folder) as collection:
        fill(collection, [*OLD, make_document("more.md", "One line.")])
        other = replace(IDENTITY, name="other")
        reembed_collection(collection, other, HashEmbedder().embed_documents, cut_paragraphs)
        assert collection.document("old.md") == OLD[0]
        assert [edition.number for edition in list_editions(collection)] == [1, 2]
        assert_searches(collection)
    assert verify_collection(folder) == []
