"""A file that is no export of this program, or lies about what it is, makes nothing, nowhere."""

from __future__ import annotations

import json
import shutil
import sqlite3
import struct
import zipfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from tests.knowledge.archives import DOCUMENTS, OTHER, fill, listing, make_original, members, stated
from tests.knowledge.fakes import IDENTITY, HashEmbedder, cut_paragraphs, make_document
from workbench import __version__
from workbench.errors import DamagedCollectionError
from workbench.intake.archive import DATABASE, END, MANIFEST, MAX_BYTES, Manifest, write_archive
from workbench.knowledge import Collection
from workbench.knowledge.portability import _describe, export_collection, import_collection
from workbench.knowledge.rows import digest
from workbench.knowledge.store import Store
from workbench.knowledge.verify import verify_collection
from workbench.runs import fingerprint_file
from workbench.types import Block, BlockKind, Chunk


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_original(tmp_path_factory.mktemp("original") / "c")


@pytest.fixture(scope="module")
def archive(original: Path) -> Path:
    path = original.parent / "collection.zip"
    export_collection(original, path)
    return path


def refuse(path: Path, fault: str | None = None, *, max_bytes: int = MAX_BYTES) -> None:
    """The import of `path` is refused in one typed error, and makes nothing."""
    before = listing(path.parent)
    with pytest.raises(DamagedCollectionError, match=fault) as caught:
        import_collection(path, path.parent / "imported", max_bytes=max_bytes)
    assert "nothing was imported" in str(caught.value)
    assert listing(path.parent) == before


def put(path: Path, *pairs: tuple[str, bytes], packed: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", packed) as opened:
        for name, content in pairs:
            opened.writestr(zipfile.ZipInfo(name), content, compress_type=packed)
    return path


def lie(archive: Path, path: Path, **fields: object) -> Path:
    content = members(archive)
    manifest = json.loads(content[MANIFEST]) | fields
    return put(path, (MANIFEST, json.dumps(manifest).encode()), (DATABASE, content[DATABASE]))


def test_files_that_are_no_archive_are_refused(archive: Path, tmp_path: Path) -> None:
    whole = archive.read_bytes()
    for name, content, fault in (
        ("empty", b"", "0 bytes"),
        ("text", b"x" * 500, "does not end as one"),
        ("cut", whole[:-1], "does not end as one"),
        ("half", whole[: len(whole) // 2], "does not end as one"),
        ("comment", whole[:-2] + b"\x04\0evil", "does not end as one"),
        ("start lost", whole[1000:], "stand where they should|magic number"),
    ):
        (tmp_path / name).write_bytes(content)
        refuse(tmp_path / name, fault)
    with pytest.raises(FileNotFoundError):
        import_collection(tmp_path / "nothing.zip", tmp_path / "c")
    (tmp_path / "large").write_bytes(whole)
    refuse(tmp_path / "large", "at most 1,000 are read", max_bytes=1000)


@pytest.mark.parametrize(
    ("names", "fault"),
    [
        ((MANIFEST, "../collection.sqlite"), "its members are"),
        ((MANIFEST, "/etc/collection.sqlite"), "its members are"),
        ((DATABASE, MANIFEST), "its members are"),
        ((MANIFEST, MANIFEST), "its members are"),
        ((MANIFEST, DATABASE, "library.yaml"), "lists 3 members"),
        ((MANIFEST,), "lists 1 members"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_other_members_are_refused(archive: Path, tmp_path: Path, names: Sequence[str], fault: str) -> None:
    content = members(archive)
    refuse(put(tmp_path / "x.zip", *((name, content.get(Path(name).name, b"x")) for name in names)), fault)


def test_packed_and_encrypted_members_are_refused(archive: Path, tmp_path: Path) -> None:
    content = members(archive)
    bomb = put(
        tmp_path / "bomb.zip", (MANIFEST, content[MANIFEST]), (DATABASE, bytes(10**7)), packed=zipfile.ZIP_DEFLATED
    )
    refuse(bomb, "is packed")
    whole = bytearray(archive.read_bytes())
    for signature, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        whole[whole.index(signature) + place] |= 1
    (tmp_path / "locked.zip").write_bytes(whole)
    refuse(tmp_path / "locked.zip", "encrypted")


def test_a_directory_that_would_fill_the_memory_is_not_read(archive: Path, tmp_path: Path) -> None:
    whole = archive.read_bytes()
    end = END.size
    n_bytes = struct.pack("<L", 2**31)
    (tmp_path / "a.zip").write_bytes(whole[: -end + 12] + n_bytes + whole[-end + 16 :])
    refuse(tmp_path / "a.zip", "2,147,483,648 bytes")
    record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 2, 2, 2**40, 0)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, len(whole) - end, 1)
    (tmp_path / "b.zip").write_bytes(whole[:-end] + record + locator + whole[-end:])
    refuse(tmp_path / "b.zip", "1,099,511,627,776 bytes")


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"format": "other"}, "format"),
        ({"version": 2}, "version"),
        ({"surprise": 1}, "surprise"),
        ({"n_chunks": "45"}, "n_chunks"),
        ({"identity": {}}, "identity"),
        ({"size": 1}, "stated are 1"),
        ({"sha256": "0" * 64}, "stated is 000000000000"),
        ({"fingerprint": "0" * 64}, "another content or embedder"),
        ({"n_documents": 4}, "another content or embedder"),
        ({"identity": asdict(OTHER)}, "another content or embedder"),
        ({"made_by": "x" * 1_100_000}, "manifest has 1,100,"),
        ({"settings": "\ud800"}, "its manifest"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_manifest_that_lies_is_refused(archive: Path, tmp_path: Path, fields: dict[str, object], fault: str) -> None:
    refuse(lie(archive, tmp_path / "x.zip", **fields), fault)


def test_a_manifest_that_is_none_is_refused(archive: Path, tmp_path: Path) -> None:
    database = members(archive)[DATABASE]
    for number, content in enumerate((b"", b"\xff\xfe", b"[" * 60_000, b"null")):
        refuse(put(tmp_path / f"{number}.zip", (MANIFEST, content), (DATABASE, database)), "its manifest")


def pack(database: Path, path: Path, manifest: Manifest | None = None) -> Path:
    """Put a database into an archive that agrees with it."""
    if manifest is None:
        with closing(Store(database)) as store:
            manifest = Manifest(made_by=__version__, size=0, sha256="", **asdict(_describe(store)))
    exact = manifest.model_copy(update={"size": database.stat().st_size, "sha256": fingerprint_file(database)})
    write_archive(path, exact, database)
    return path


def unpack(archive: Path, folder: Path) -> Path:
    (folder / DATABASE).write_bytes(members(archive)[DATABASE])
    return folder / DATABASE


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ("CREATE TRIGGER t AFTER INSERT ON documents BEGIN DELETE FROM documents; END", "a trigger"),
        ("CREATE VIEW v AS SELECT 1", "a view"),
        ("CREATE TABLE more (x)", "other tables"),
        ("CREATE INDEX more ON chunks (body)", "other tables"),
        ("DROP INDEX files_by_document", "other tables"),
        ("ALTER TABLE texts ADD COLUMN more", "other tables"),
        ("PRAGMA user_version = 3", "schema version 3"),
        ("UPDATE texts SET body = replace(body, 'wheel', 'gear') WHERE document = 2", r"document part0\.md"),
        ("UPDATE chunks SET body = CAST(body AS BLOB)", "of another kind"),
        ("DELETE FROM chunks WHERE edition = 2", "edition 2 vouches for other chunks"),
        ("DELETE FROM state", "state row is lost"),
        ("UPDATE sqlite_sequence SET seq = 'x'", "numbers new"),
        (f"UPDATE sqlite_sequence SET seq = {2**62}", "numbers its rows"),
        ("INSERT INTO vectors VALUES (9, x'00', x'00', x'00')", "without its row of editions"),
    ],
)
def test_a_database_of_another_make_is_refused(archive: Path, tmp_path: Path, command: str, fault: str) -> None:
    database = unpack(archive, tmp_path)
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute(command)
    connection.close()
    refuse(pack(database, tmp_path / "x.zip", stated(archive)), fault)


def test_what_is_no_database_is_refused(archive: Path, tmp_path: Path) -> None:
    whole = members(archive)[DATABASE]
    for number, content in enumerate((b"", b"x" * 9000, whole[:4096], whole[: len(whole) // 2], whole[:-4096])):
        (tmp_path / "db").write_bytes(content)
        refuse(pack(tmp_path / "db", tmp_path / f"{number}.zip", stated(archive)))


def hide_text(database: Path) -> None:
    """A chunk that says what its document does not."""
    made_up = Chunk("made.md#0", "made.md", 0, 5, "faked")
    with Collection.open(database.parent) as collection:
        documents = [*DOCUMENTS, make_document("made.md", "plain truth")]
        embed = HashEmbedder().embed_documents
        collection.update(documents, lambda wanted: [made_up for _ in wanted], embed)


def set_block_outside(database: Path) -> None:
    document = replace(make_document("made.md", "short"), blocks=(Block(0, 10**12, BlockKind.TABLE),))
    with Collection.open(database.parent) as collection:
        collection.update([document], cut_paragraphs, HashEmbedder().embed_documents, remove_missing=False)


def nest_metadata(database: Path) -> None:
    document = replace(make_document("made.md", "short"), metadata={"key": {"a": 1}})  # type: ignore[dict-item]
    with Collection.open(database.parent) as collection:
        collection.update([document], cut_paragraphs, HashEmbedder().embed_documents, remove_missing=False)


def number_high(database: Path) -> None:
    """Masks would take a terabyte."""
    with sqlite3.connect(database) as connection:
        connection.execute(f"UPDATE sqlite_sequence SET seq = {2**40} WHERE name = 'documents'")
    connection.close()
    with Collection.open(database.parent) as collection:
        fill(collection, [*DOCUMENTS, make_document("made.md", "short")])


def poison_vector(database: Path) -> None:
    """Not a number: it would be nearest to everything, or to nothing. Its digest is right."""
    vector = np.full(IDENTITY.dimension, np.nan, np.float32).tobytes()
    with sqlite3.connect(database) as connection:
        ((rowid, key),) = connection.execute("SELECT rowid, key FROM vectors LIMIT 1").fetchall()
        row = (vector, digest((key, vector)), rowid)
        connection.execute("UPDATE vectors SET vector = ?, digest = ? WHERE rowid = ?", row)
    connection.close()


@pytest.mark.parametrize(
    ("forge", "fault"),
    [
        (hide_text, "is not the text of its document"),
        (set_block_outside, "has a block outside its text"),
        (nest_metadata, "cannot be read"),
        (number_high, "numbers its rows"),
        (poison_vector, "is not finite"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_forged_database_with_right_digests_is_refused(
    original: Path, tmp_path: Path, forge: Callable[[Path], None], fault: str
) -> None:
    forged = Path(shutil.copytree(original, tmp_path / "forged"))
    forge(forged / DATABASE)
    with closing(Store(forged / DATABASE)) as store:
        store.vacuum(tmp_path / DATABASE)
    with closing(sqlite3.connect(tmp_path / DATABASE)) as connection:
        connection.execute("PRAGMA application_id = 0")  # as an export leaves it
    shutil.rmtree(forged)
    refuse(pack(tmp_path / DATABASE, tmp_path / "x.zip"), fault)


def test_segments_that_an_archive_names_are_never_opened(archive: Path, tmp_path: Path) -> None:
    database = unpack(archive, tmp_path)
    connection = sqlite3.connect(database, isolation_level=None)
    row = connection.execute(
        "SELECT number, identity, chunks_sha256, segments FROM editions WHERE number = 1"
    ).fetchone()
    forged = json.loads(row[3])
    forged[0]["name"] = "../../outside"
    body = json.dumps(forged)
    mark = digest((*row[:3], body))
    connection.execute("UPDATE editions SET segments = ?, digest = ? WHERE number = 1", (body, mark))
    connection.close()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "rows.npy").write_bytes(b"trap")
    import_collection(pack(database, tmp_path / "x.zip"), tmp_path / "new" / "c")
    assert (tmp_path / "outside" / "rows.npy").read_bytes() == b"trap"
    assert verify_collection(tmp_path / "new" / "c") == []


def test_no_flipped_bit_passes(archive: Path, tmp_path: Path) -> None:
    whole = archive.read_bytes()
    directory = whole.index(b"PK\1\2")
    random = np.random.default_rng(0)
    positions = [*random.choice(700, 25), *random.choice(directory, 15), *range(directory, len(whole), 4)]
    n_harmless = 0
    for position in map(int, positions):
        content = bytearray(whole)
        content[position] ^= 1 << position % 8
        path = tmp_path / "x.zip"
        path.write_bytes(content)
        try:
            import_collection(path, tmp_path / "c")
        except DamagedCollectionError:
            assert not (tmp_path / "c").exists()
        else:
            # Dates, attributes and versions inside the ZIP's own entries say nothing of the collection.
            n_harmless += 1
            with Collection.open(tmp_path / "c") as collection:
                assert collection.fingerprint == stated(archive).fingerprint
            shutil.rmtree(tmp_path / "c")
    assert n_harmless < 0.4 * len(positions)
