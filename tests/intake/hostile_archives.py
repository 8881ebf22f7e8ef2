"""Archives and GGUF files made to do harm: members out of place, databases that act, counts that lie.

`COLLECTIONS` is a table of name → what forges an archive from an honest one's parts, `GGUFS` of name → bytes.
"""

from __future__ import annotations

import os
import pickle
import sqlite3
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from tests.intake.hostile import Canary
from workbench.intake.archive import DATABASE, MANIFEST, Manifest
from workbench.runs import fingerprint_file


def sql(*commands: str) -> Callable[[Path], None]:
    """Run commands on a database."""

    def spoil(database: Path) -> None:
        connection = sqlite3.connect(database, isolation_level=None)
        for command in commands:
            connection.execute(command)
        connection.close()

    return spoil


def swap(before: bytes, after: bytes) -> Callable[[Path], None]:
    """Change bytes of a database where they stand: SQLite itself would refuse to write so."""

    def spoil(database: Path) -> None:
        content = database.read_bytes()
        if before not in content:
            raise LookupError(f"{before!r} is not in {database}")
        database.write_bytes(content.replace(before, after, 1))

    return spoil


def rewrite(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Change the bytes of a database."""

    def spoil(database: Path) -> None:
        database.write_bytes(change(database.read_bytes()))

    return spoil


DATABASES: dict[str, Callable[[Path], None]] = {
    "trigger": sql("CREATE TRIGGER t AFTER INSERT ON documents BEGIN DELETE FROM documents; END"),
    "trigger that reads": sql("CREATE TRIGGER t AFTER UPDATE ON editions BEGIN SELECT readfile('/etc/passwd'); END"),
    "view": sql("CREATE VIEW v AS SELECT load_extension('/tmp/mine.so')"),
    "virtual table": sql("CREATE VIRTUAL TABLE v USING fts5(x)"),
    "virtual table of a file": swap(b"CREATE TABLE texts (", b"CREATE VIRTUAL TABLE "),
    "generated column": sql("CREATE TABLE g (a, b AS (upper(a)))"),
    "index on a function": sql("CREATE INDEX i ON chunks (length(body))"),
    "check by a function": sql("CREATE TABLE g (a CHECK (load_extension('/tmp/mine.so')))"),
    "partial index": sql("CREATE INDEX i ON chunks (body) WHERE row > 1"),
    "table more": sql("CREATE TABLE more (x)"),
    "segments of its own": sql('UPDATE editions SET segments = \'[{"name": "../../x"}]\''),
    "no text": sql("UPDATE chunks SET body = CAST(body AS BLOB)"),
    "write-ahead version 9": rewrite(lambda content: content[:18] + b"\x09\x09" + content[20:]),
    "half": rewrite(lambda content: content[: len(content) // 2]),
    "pages of noise": rewrite(lambda content: content[:4096] + os.urandom(len(content) - 4096)),
}


def pack(path: Path, manifest: Manifest, database: bytes, *more: tuple[str, bytes]) -> Path:
    """Write an archive whose manifest is true of the database's bytes, with members more."""
    scratch = path.with_suffix(".scratch")
    scratch.write_bytes(database)
    exact = manifest.model_copy(update={"size": len(database), "sha256": fingerprint_file(scratch)})
    scratch.unlink()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(MANIFEST, exact.model_dump_json())
        archive.writestr(DATABASE, database)
        for name, content in more:
            archive.writestr(name, content)
    return path


Forge = Callable[[Path, Manifest, bytes, Path], Path]  # where to, manifest and database of an honest one, the canary


def member(name: str) -> Forge:
    """Add a member, which would land outside or would be read by some library."""
    return lambda path, manifest, database, canary: pack(path, manifest, database, (name, pickle.dumps(Canary(canary))))


def write(path: Path, content: bytes) -> Path:
    """Write a file that is no archive at all."""
    path.write_bytes(content)
    return path


def tarred(path: Path, manifest: Manifest, database: bytes, canary: Path) -> Path:
    """A tar by the name of an archive, with a link and a device."""
    with tarfile.open(path, "w") as archive:
        for name, kind in (("../slip", tarfile.SYMTYPE), ("dev", tarfile.CHRTYPE)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "/etc/passwd"
            archive.addfile(entry)
    return path


def renamed(path: Path, manifest: Manifest, database: bytes, canary: Path) -> Path:
    """The database under a name that leaves the folder."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(MANIFEST, manifest.model_dump_json())
        archive.writestr(f"../{DATABASE}", database)
    return path


def linked(path: Path, manifest: Manifest, database: bytes, canary: Path) -> Path:
    """The database as a symbolic link, as ZIPs of Unix can say it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(MANIFEST, manifest.model_dump_json())
        entry = zipfile.ZipInfo(DATABASE)
        entry.external_attr = (0o120777) << 16
        archive.writestr(entry, "/etc/passwd")
    return path


COLLECTIONS: dict[str, Forge] = {
    **{
        f"member {name}": member(name)
        for name in (
            *("../slip", "/tmp/slip", "segments/1/vectors.faiss", "segments/1/rows.npy", "index.pkl", "library.yaml"),
            *(MANIFEST, DATABASE, "COLLECTION.sqlite", "collection.sqlite-wal", "collection.sqlite-journal"),
        )
    },
    "a tar": tarred,
    "a name above": renamed,
    "a link": linked,
    "an empty file": lambda path, *_: write(path, b""),
    "a pickle": lambda path, _, __, canary: write(path, pickle.dumps(Canary(canary))),
}


def spoiled_database(spoil: Callable[[Path], None]) -> Forge:
    """Spoil the database and pack it with a manifest that is true of its bytes."""

    def forge(path: Path, manifest: Manifest, database: bytes, _: Path) -> Path:
        scratch = path.with_suffix(".sqlite")
        scratch.write_bytes(database)
        spoil(scratch)
        content = scratch.read_bytes()
        scratch.unlink()
        return pack(path, manifest, content)

    return forge


COLLECTIONS |= {f"database {name}": spoiled_database(spoil) for name, spoil in DATABASES.items()}


def gguf_text(text: str) -> bytes:
    """Return a text as GGUF writes it."""
    return struct.pack("<Q", len(text)) + text.encode()


def gguf_file(
    settings: bytes = b"",
    tensors: bytes = b"",
    *,
    counts: tuple[int, int] = (0, 0),
    version: int = 3,
    data: bytes = b"",
) -> bytes:
    """Return a GGUF file that claims `counts` of tensors and settings."""
    head = b"GGUF" + struct.pack("<IQQ", version, *counts) + settings + tensors
    return head + bytes(-len(head) % 32) + data


def gguf_tensor(name: str, shape: tuple[int, ...], kind: int = 0, offset: int = 0) -> bytes:
    """Return one tensor's entry."""
    return gguf_text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


GGUFS: dict[str, bytes] = {
    "empty": b"",
    "another magic": b"GGML" + bytes(40),
    "version 99": gguf_file(version=99),
    "count of settings": gguf_file(counts=(0, 2**63)),
    "count of tensors": gguf_file(counts=(2**40, 0)),
    "settings that are not there": gguf_file(counts=(0, 1000)),
    "length of a name": gguf_file(struct.pack("<Q", 2**63), counts=(0, 1)),
    "length of a text": gguf_file(gguf_text("a") + struct.pack("<IQ", 8, 2**62), counts=(0, 1)),
    "length of an array": gguf_file(gguf_text("a") + struct.pack("<IIQ", 9, 4, 2**61), counts=(0, 1)),
    "length of an array of texts": gguf_file(gguf_text("a") + struct.pack("<IIQ", 9, 8, 2**61), counts=(0, 1)),
    "array in an array": gguf_file(gguf_text("a") + struct.pack("<IIQ", 9, 9, 1), counts=(0, 1)),
    "unknown type": gguf_file(gguf_text("a") + struct.pack("<I", 77), counts=(0, 1)),
    "alignment 0": gguf_file(gguf_text("general.alignment") + struct.pack("<II", 4, 0), counts=(0, 1)),
    "setting twice": gguf_file((gguf_text("a") + struct.pack("<IB", 0, 1)) * 2, counts=(0, 2)),
    "name that is no text": gguf_file(struct.pack("<Q", 2) + b"\xff\xfe" + struct.pack("<IB", 0, 1), counts=(0, 1)),
    "tensor beyond the file": gguf_file(tensors=gguf_tensor("a", (2**40,)), counts=(1, 0), data=bytes(64)),
    "tensor with an offset beyond": gguf_file(
        tensors=gguf_tensor("a", (4,), offset=2**50), counts=(1, 0), data=bytes(64)
    ),
    "tensor of huge product": gguf_file(tensors=gguf_tensor("a", (2**62, 2**62)), counts=(1, 0), data=bytes(64)),
    "tensors overlap": gguf_file(
        tensors=gguf_tensor("a", (16,)) + gguf_tensor("b", (16,), offset=32), counts=(2, 0), data=bytes(128)
    ),
    "tensor of 99 dimensions": gguf_file(tensors=gguf_tensor("a", (1,) * 99), counts=(1, 0), data=bytes(64)),
    "tensor of unknown type": gguf_file(tensors=gguf_tensor("a", (4,), kind=999), counts=(1, 0), data=bytes(64)),
    "half a block": gguf_file(tensors=gguf_tensor("a", (17,), kind=3), counts=(1, 0), data=bytes(64)),
    "tensor twice": gguf_file(
        tensors=gguf_tensor("a", (4,)) + gguf_tensor("a", (4,), offset=32), counts=(2, 0), data=bytes(64)
    ),
}
HONEST_GGUF = gguf_file(
    gguf_text("general.architecture") + struct.pack("<I", 8) + gguf_text("llama"),
    gguf_tensor("a", (4,)) + gguf_tensor("b", (32,), kind=3, offset=32),
    counts=(2, 1),
    data=bytes(64),
)
