"""The file a collection travels in: a ZIP of two members, stored and not packed, with nothing in it that could run.

`manifest.json` says what the other member is, its size and its SHA-256; `collection.sqlite` is the database. Reading
takes the file for a stranger's: names, sizes and places come from a short list, and hashes before anything is opened.
What the database is made of is judged by `database.py`, what it says by `knowledge/inspection.py`.
No signature: who made the file is for its receiver to know.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal

from pydantic import Field, ValidationError

from workbench.errors import ConfigError, DamagedCollectionError, named_path
from workbench.runs import sync_folder
from workbench.types import EmbedderIdentity, Frozen

MANIFEST = "manifest.json"
DATABASE = "collection.sqlite"
MAX_BYTES = 2**40  # of an archive
MAX_MANIFEST_BYTES = 2**20  # written and read; nearly all of it is for the settings
MAX_DIRECTORY_BYTES = 2**10  # of the two members' entries at the end of the file
TIME = (1980, 1, 1, 0, 0, 0)  # the first that a ZIP knows: the clock leaves no trace
BLOCK = 2**20
END = struct.Struct("<4s4H2LH")  # APPNOTE 4.3.16: end of central directory
LOCATOR = struct.Struct("<4sLQL")  # 4.3.15
END_64 = struct.Struct("<4sQ2H2L4Q")  # 4.3.14


class Manifest(Frozen):
    """What an archive says it holds."""

    format: Literal["workbench collection"] = "workbench collection"
    version: Literal[1] = 1
    made_by: str  # version of this program
    identity: EmbedderIdentity
    fingerprint: str  # of the collection
    n_documents: int = Field(ge=0)
    n_chunks: int = Field(ge=0)
    size: int = Field(ge=0)  # bytes of the database
    sha256: str  # of the database, in hex
    settings: str = ""  # of the library around it, as its owner wrote them; not checked here


def write_archive(path: Path, manifest: Manifest, database: Path) -> None:
    """Write the archive at `path`, whole or not at all; it grows beside `database`, on the same disk.

    Raises:
        FileExistsError: there is a file already.
        ConfigError: the manifest would be longer than any import reads; its settings are too long.
        OSError: the disk is full or failing.
    """
    stated = f"{manifest.model_dump_json(indent=2)}\n".encode()
    if len(stated) > MAX_MANIFEST_BYTES:
        raise ConfigError(
            f"the manifest of {path} would have {len(stated):,} bytes, at most {MAX_MANIFEST_BYTES:,} are read; "
            "nothing was exported; shorten the settings, then export again"
        )
    temporary = database.with_name("archive")
    with named_path(path):
        with temporary.open("xb") as stream:
            with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
                archive.writestr(zipfile.ZipInfo(MANIFEST, TIME), stated)
                with (
                    archive.open(zipfile.ZipInfo(DATABASE, TIME), "w", force_zip64=True) as member,
                    database.open("rb") as source,
                ):
                    while block := source.read(BLOCK):
                        member.write(block)
            stream.flush()
            os.fsync(stream.fileno())
        os.link(temporary, path)  # unlike a rename it never replaces a file
    temporary.unlink()
    sync_folder(path.parent)


def unpack_database(path: Path, target: Path, *, max_bytes: int = MAX_BYTES) -> Manifest:
    """Write the archive's database to `target`, which must not exist, and return the manifest it agrees with.

    Raises:
        DamagedCollectionError: it is no archive of this program, or its bytes are not those of its manifest.
    """
    with _open_archive(path, max_bytes) as archive:
        manifest = _read_manifest(path, archive)
        found = hashlib.sha256()
        with archive.open(DATABASE) as member, target.open("xb") as stream:
            while block := member.read(BLOCK):
                found.update(block)
                stream.write(block)
    if found.hexdigest() != manifest.sha256:
        raise refuse_archive(
            path, f"its database has SHA-256 {found.hexdigest()[:12]}, stated is {manifest.sha256[:12]}"
        )
    return manifest


@contextmanager
def _open_archive(path: Path, max_bytes: int) -> Iterator[zipfile.ZipFile]:
    try:
        with path.open("rb") as stream:
            _check_end(path, stream, max_bytes)
            with zipfile.ZipFile(stream) as archive:
                _check_members(path, archive)
                yield archive
    except DamagedCollectionError:
        raise
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError, struct.error) as error:
        raise refuse_archive(path, str(error)) from error


def _check_end(path: Path, stream: BinaryIO, max_bytes: int) -> None:
    """Refuse a list of members that is not two short entries, before the ZIP library reads it into memory."""
    size = stream.seek(0, os.SEEK_END)
    if size > max_bytes:
        raise refuse_archive(path, f"it has {size:,} bytes, at most {max_bytes:,} are read")
    tail_size = END.size + LOCATOR.size + END_64.size
    stream.seek(max(0, size - tail_size))
    tail = stream.read(tail_size)
    if len(tail) < tail_size:
        raise refuse_archive(path, f"it has {size} bytes")
    signature, *_, n_members, n_bytes, _, n_comment = END.unpack(tail[-END.size :])
    if tail[END_64.size :].startswith(b"PK\6\7"):
        n_members, n_bytes = END_64.unpack(tail[: END_64.size])[7:9]
    if signature != b"PK\5\6" or n_comment:
        raise refuse_archive(path, "it does not end as one")
    if n_members != 2 or n_bytes > MAX_DIRECTORY_BYTES:
        raise refuse_archive(path, f"it lists {n_members} members in {n_bytes:,} bytes, expected are 2")
    stream.seek(0)


def _check_members(path: Path, archive: zipfile.ZipFile) -> None:
    members = archive.infolist()
    names = [member.filename for member in members]
    if names != [MANIFEST, DATABASE]:
        raise refuse_archive(path, f"its members are {names}, expected are {[MANIFEST, DATABASE]}")
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise refuse_archive(path, f"{member.filename} is packed; members are stored as they are")
        if member.flag_bits & 0x41:  # encrypted, weakly or strongly
            raise refuse_archive(path, f"{member.filename} is encrypted")
    if not 0 == members[0].header_offset < members[1].header_offset < archive.start_dir:
        raise refuse_archive(path, "its members do not stand where they should")
    if members[0].file_size > MAX_MANIFEST_BYTES:
        raise refuse_archive(
            path, f"its manifest has {members[0].file_size:,} bytes, at most {MAX_MANIFEST_BYTES:,} are read"
        )


def _read_manifest(path: Path, archive: zipfile.ZipFile) -> Manifest:
    try:
        manifest = Manifest.model_validate_json(archive.read(MANIFEST), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or MANIFEST
        raise refuse_archive(path, f"its manifest: {where}: {first['msg']}") from error
    size = archive.getinfo(DATABASE).file_size
    if size != manifest.size:
        raise refuse_archive(path, f"its database has {size:,} bytes, stated are {manifest.size:,}")
    return manifest


def refuse_archive(path: Path, fault: str) -> DamagedCollectionError:
    """Return the error that says why an archive is not read."""
    return DamagedCollectionError(
        f"{path} is no whole export of a collection: {fault}; nothing was imported; make it again: workbench export"
    )
