"""A collection leaves as one file and comes back the same. Files that are no such thing: `test_hostile_imports.py`."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests.knowledge.archives import DOCUMENTS, fill, listing, make_original, stated
from tests.knowledge.fakes import IDENTITY, embed_text, make_document
from workbench.errors import ConfigError, DamagedCollectionError, MissingCollectionError, StaleIndexError
from workbench.intake.archive import DATABASE, MAX_MANIFEST_BYTES
from workbench.knowledge import Collection
from workbench.knowledge.portability import export_collection, import_collection
from workbench.knowledge.reembed import list_editions, promote_edition
from workbench.knowledge.verify import verify_collection


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_original(tmp_path_factory.mktemp("original") / "c")


@pytest.fixture(scope="module")
def archive(original: Path) -> Path:
    path = original.parent / "collection.zip"
    export_collection(original, path)
    return path


def test_it_comes_back_the_same(original: Path, archive: Path, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    manifest = import_collection(archive, tmp_path / "c", IDENTITY, on_progress=lambda *step: steps.append(step))
    assert manifest == stated(archive)
    assert (manifest.n_documents, manifest.n_chunks, manifest.identity) == (5, 45, IDENTITY)
    assert steps[-1][0] == steps[-1][1] > 0
    assert verify_collection(tmp_path / "c") == []
    with Collection.open(original) as before, Collection.open(tmp_path / "c", IDENTITY) as after:
        assert after.events == []
        assert after.fingerprint == before.fingerprint == manifest.fingerprint
        assert after.documents() == before.documents()
        for text in ("wheel 8", "step"):
            assert after.search_words(text, k=9) == before.search_words(text, k=9)
            assert after.search_vectors(embed_text(text), k=9) == before.search_vectors(embed_text(text), k=9)
    # Both editions travelled, and it goes on from here.
    with Collection.open(tmp_path / "c", IDENTITY) as after:
        assert [one.n_missing for one in list_editions(after)] == [0, 0]
        promote_edition(after)
        fill(after, [*DOCUMENTS, make_document("late.md", "It came late.")])
    assert verify_collection(tmp_path / "c") == []


def test_the_same_state_gives_the_same_bytes_and_no_deleted_text(original: Path, archive: Path, tmp_path: Path) -> None:
    with Collection.open(original), Collection.open(original) as collection, collection.writing():
        export_collection(original, tmp_path / "again.zip")  # beside readers and a writer
    content = archive.read_bytes()
    assert (tmp_path / "again.zip").read_bytes() == content
    assert b"zyxwvut" not in content
    assert embed_text("gone.md\ncanary zyxwvut").tobytes() not in content
    assert listing(tmp_path) == ["again.zip"]
    assert zipfile.ZipFile(archive).testzip() is None


def test_an_empty_collection_travels_too(tmp_path: Path) -> None:
    Collection.create(tmp_path / "a", IDENTITY).close()
    export_collection(tmp_path / "a", tmp_path / "a.zip")
    assert import_collection(tmp_path / "a.zip", tmp_path / "b").n_documents == 0
    assert verify_collection(tmp_path / "b") == []


def test_nothing_is_overwritten_and_nothing_damaged_is_exported(original: Path, archive: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingCollectionError):
        export_collection(tmp_path, tmp_path / "x.zip")
    with pytest.raises(FileExistsError, match="exists"):
        export_collection(original, archive)
    with pytest.raises(FileExistsError, match="import into a new folder"):
        import_collection(archive, original)
    with pytest.raises(StaleIndexError, match="'third'"):
        import_collection(archive, tmp_path / "c", replace(IDENTITY, name="third"))
    assert listing(tmp_path) == []
    copy = Path(shutil.copytree(original, tmp_path / "copy"))
    with sqlite3.connect(copy / DATABASE) as connection:
        connection.execute("UPDATE texts SET body = replace(body, 'wheel', 'gear') WHERE document = 2")
    connection.close()
    with pytest.raises(DamagedCollectionError, match=r"not exported: document part0\.md .* workbench repair"):
        export_collection(copy, tmp_path / "x.zip")
    assert not (tmp_path / "x.zip").exists()


def test_a_folder_made_meanwhile_is_not_replaced(archive: Path, tmp_path: Path) -> None:
    folder = tmp_path / "c"

    def rival(*_: int) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "theirs").touch()

    with pytest.raises(FileExistsError, match="made meanwhile"):
        import_collection(archive, folder, on_progress=rival)
    assert listing(tmp_path) == ["c", "c/theirs"]


def test_settings_travel_as_they_are_and_appear_with_the_folder_or_not_at_all(original: Path, tmp_path: Path) -> None:
    settings = "# mine\r\nchunking: {max_tokens: 99}  # größer\n"
    export_collection(original, tmp_path / "x.zip", settings=settings)
    assert stated(tmp_path / "x.zip").settings == settings
    import_collection(tmp_path / "x.zip", tmp_path / "bare")
    import_collection(tmp_path / "x.zip", tmp_path / "c", settings_name="library.yaml")
    assert (tmp_path / "c" / "library.yaml").read_bytes() == settings.encode()
    assert set(listing(tmp_path / "c")) - set(listing(tmp_path / "bare")) >= {"library.yaml"}
    with pytest.raises(FileNotFoundError):
        import_collection(tmp_path / "x.zip", tmp_path / "d", settings_name="no/folder.yaml")
    export_collection(original, tmp_path / "none.zip")
    import_collection(tmp_path / "none.zip", tmp_path / "e", settings_name="library.yaml")
    assert not (tmp_path / "e" / "library.yaml").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bare", "c", "e", "none.zip", "x.zip"]


def test_the_longest_settings_that_leave_are_the_longest_that_come_back(original: Path, tmp_path: Path) -> None:
    """Counted in bytes of the manifest: there an ü has two and a line break has two."""
    export_collection(original, tmp_path / "short.zip", settings="")
    with zipfile.ZipFile(tmp_path / "short.zip") as archive:
        free = MAX_MANIFEST_BYTES - archive.getinfo("manifest.json").file_size
    settings = "ü\n" * 500 + "x" * (free - 2_000)
    export_collection(original, tmp_path / "long.zip", settings=settings)
    import_collection(tmp_path / "long.zip", tmp_path / "c", settings_name="library.yaml")
    assert (tmp_path / "c" / "library.yaml").read_text() == settings
    with pytest.raises(ConfigError, match=r"1,048,577 bytes, at most 1,048,576 are read; nothing was exported"):
        export_collection(original, tmp_path / "longer.zip", settings=f"{settings}x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c", "long.zip", "short.zip"]


def test_files_of_others_beside_an_export_are_left_alone(original: Path, tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    theirs = [".kb.zip.foo.tmp", ".kb.zip.tmp", ".kb.zip.1e3.tmp", f".kb.zip.{10**30}.tmp", ".kb.zip.-7.tmp"]
    for name in (*theirs, f".kb.zip.{process.pid}.tmp"):  # the last is what an export that was killed leaves
        (tmp_path / name).mkdir()
    export_collection(original, tmp_path / "kb.zip")
    assert listing(tmp_path) == sorted([*theirs, "kb.zip"])
