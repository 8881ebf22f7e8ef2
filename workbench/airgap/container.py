"""The two forms of a bundle, a folder and a tar, read without trusting them and without unpacking.

A tar is not parsed: there is one way to write a file's header, and what is not exactly that is refused, so that links,
devices, second names, owners, times and hidden extensions have no way in. tarfile's reader only tells, of a header that
was refused already, what it was. Standard library alone, see `__init__.py`.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NoReturn, Protocol

from workbench.airgap.manifest import MANIFEST, MAX_MANIFEST_BYTES, SIGNATURE, FileEntry, Manifest, find_path_fault
from workbench.errors import BundleError

BLOCK = 2**20
SIGNATURE_BYTES = 64
TAR_BLOCK = tarfile.BLOCKSIZE
KINDS = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
    tarfile.DIRTYPE: "a folder",
}

Contents = Iterator[tuple[FileEntry, Iterator[bytes]]]


class Container(Protocol):
    """A bundle that was opened; nothing of it is checked yet."""

    path: Path
    manifest: bytes
    signature: bytes | None

    def contents(self, manifest: Manifest) -> Contents:
        """Yield each carried file in order, with its bytes in blocks, which must be read before the next is taken.

        Raises:
            BundleError: a file is missing, or one is there that the manifest does not name, or it is no plain file, or
                has another size. The hash is for whoever reads the bytes.
        """
        ...


@contextmanager
def open_container(path: Path) -> Iterator[Container]:
    """Open a bundle's folder or tar.

    Raises:
        BundleError: it does not begin as a bundle.
        FileNotFoundError: there is nothing.
    """
    if path.is_dir():
        yield FolderContainer(path)
        return
    with path.open("rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise BundleError(f"{path} is neither a folder nor a file")
        yield TarContainer(path, stream)


def tar_header(path: str, size: int) -> bytes:
    """Return the only header that a file of a bundle may have in a tar: mode 0644, no owner, no time."""
    info = tarfile.TarInfo(path)
    info.size = size
    info.mode = 0o644
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")


def tar_padding(size: int) -> bytes:
    """Return the zeros after a file's bytes."""
    return b"\0" * (-size % TAR_BLOCK)


def tar_end(n_bytes: int) -> bytes:
    """Return the zeros that end a tar of `n_bytes` so far: two blocks, then up to a whole record."""
    return b"\0" * (2 * TAR_BLOCK + -(n_bytes + 2 * TAR_BLOCK) % tarfile.RECORDSIZE)


def refuse(path: Path, fault: str) -> BundleError:
    """Return the error of a bundle that is not taken."""
    return BundleError(f"{path}: {fault}; nothing was taken from it, get it again")


# -- folder ------------------------------------------------------------------------------------------------------------


class FolderContainer:
    """A bundle as a folder of plain files: no links, no second names, no folder without a file."""

    def __init__(self, path: Path) -> None:
        """Read manifest and signature."""
        self.path = path
        if not os.path.lexists(path / MANIFEST):
            raise BundleError(f"{path} holds no {MANIFEST!r}, so it is no bundle; make one: workbench bundle create")
        self.manifest = b"".join(self._read(MANIFEST, None, MAX_MANIFEST_BYTES))
        self.signature = None
        if os.path.lexists(path / SIGNATURE):
            self.signature = b"".join(self._read(SIGNATURE, SIGNATURE_BYTES, SIGNATURE_BYTES))

    def contents(self, manifest: Manifest) -> Contents:
        """See `Container`."""
        expected = {file.path for file in manifest.carried} | {MANIFEST, SIGNATURE}
        found = set(self._walk("", expected, {parent for path in expected for parent in _parents(path)}))
        for file in manifest.carried:
            if file.path not in found:
                raise refuse(self.path, f"{file.path!r} is missing")
        for file in manifest.carried:
            yield file, self._read(file.path, file.size, file.size)

    def take(self, file: FileEntry) -> Iterator[bytes]:
        """Return the blocks of one file, whatever else is in the folder. Raises BundleError as `contents` does."""
        return self._read(file.path, file.size, file.size)

    def _walk(self, below: str, expected: set[str], folders: set[str]) -> Iterator[str]:
        with os.scandir(self.path / below) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                name = f"{below}/{entry.name}" if below else entry.name
                if entry.is_symlink():
                    raise refuse(self.path, f"{name!r} is a symbolic link")
                if entry.is_dir() and name in folders:
                    yield from self._walk(name, expected, folders)
                elif entry.is_dir() or name not in expected:
                    raise refuse(self.path, f"{name!r} is not in the manifest")
                else:
                    yield name

    def _read(self, name: str, size: int | None, most: int) -> Iterator[bytes]:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # a pipe would wait for its writer
        try:
            descriptor = os.open(self.path / name, flags)
        except OSError as error:
            raise refuse(self.path, f"{name!r} cannot be opened as a plain file: {error.strerror}") from error
        found = os.fstat(descriptor)
        fault = None
        if not stat.S_ISREG(found.st_mode):
            fault = "is no plain file"
        elif found.st_nlink > 1:
            fault = "has a second name (a hard link), by which it could be changed"
        elif found.st_size > most or size not in (None, found.st_size):
            fault = f"has {found.st_size} bytes, stated are {most}"
        if fault is not None:
            os.close(descriptor)
            raise refuse(self.path, f"{name!r} {fault}")
        with os.fdopen(descriptor, "rb") as stream:
            yield from _blocks(self.path, stream, name, found.st_size)


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


# -- tar ---------------------------------------------------------------------------------------------------------------


class TarContainer:
    """A bundle as one tar: the manifest, its signature if there is one, then the files in order of path."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        """Read manifest and signature from a stream that can be sought in."""
        self.path, self._stream = path, stream
        try:
            size = tarfile.TarInfo.frombuf(stream.read(TAR_BLOCK), "utf-8", "surrogateescape").size
        except tarfile.HeaderError as error:
            raise BundleError(
                f"{path} is no tar that begins with {MANIFEST!r} ({error}); make one: workbench bundle create"
            ) from error
        if not 0 <= size <= MAX_MANIFEST_BYTES:
            raise refuse(path, f"it begins with {size} bytes, {MANIFEST} has at most {MAX_MANIFEST_BYTES}")
        stream.seek(0)
        self.manifest = b"".join(self._take(MANIFEST, size))
        self._begin = stream.tell()
        header = tar_header(SIGNATURE, SIGNATURE_BYTES)
        self.signature = None
        if stream.read(len(header)) == header:
            stream.seek(self._begin)
            self.signature = b"".join(self._take(SIGNATURE, SIGNATURE_BYTES))
            self._begin = stream.tell()

    def contents(self, manifest: Manifest) -> Contents:
        """See `Container`."""
        self._stream.seek(self._begin)
        names = {file.path for file in manifest.files}
        done: set[str] = set()
        for file in manifest.carried:
            yield file, self._take(file.path, file.size, names=names, done=done)
            done.add(file.path)
        end = tar_end(self._stream.tell())
        place = self._stream.tell()
        found = self._stream.read(len(end) + 1)
        if found != end:
            self._stream.seek(place)
            self._refuse_header("its end", self._stream.read(TAR_BLOCK), names, done)

    def _take(
        self, path: str, size: int, *, names: set[str] | None = None, done: set[str] | None = None
    ) -> Iterator[bytes]:
        header = tar_header(path, size)
        found = self._stream.read(len(header))
        if found != header:
            self._refuse_header(repr(path), found, names or {MANIFEST}, done or set())
        yield from _blocks(self.path, self._stream, path, size)
        if self._stream.read(-size % TAR_BLOCK) != tar_padding(size):
            raise refuse(self.path, f"{path!r} is followed by bytes that are none of its own")

    def _refuse_header(self, wanted: str, header: bytes, names: set[str], done: set[str]) -> NoReturn:
        """Raise the BundleError of a header that is not the one expected: what it is, as far as that can be told."""
        try:
            info = tarfile.TarInfo.frombuf(header[:TAR_BLOCK], "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise refuse(self.path, f"where {wanted} should be, {error}") from error
        name = info.name
        if info.type in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.XGLTYPE):
            beside = header[TAR_BLOCK:] + self._stream.read(2 * TAR_BLOCK)
            written = re.search(rb"\d+ path=([^\n]+)\n", beside)
            if written is None:
                raise refuse(self.path, f"where {wanted} should be, there is an extended header")
            name = written[1].decode("utf-8", "surrogateescape")
        elif info.type != tarfile.REGTYPE:
            raise refuse(self.path, f"{name!r} is {KINDS.get(info.type, f'of type {info.type!r}')}")
        if fault := find_path_fault(name):
            raise refuse(self.path, f"the path {name!r} {fault}")
        if name in done:
            raise refuse(self.path, f"{name!r} comes twice")
        if repr(name) == wanted:
            raise refuse(self.path, f"{name!r} has another size, mode, owner or time than stated: {info.size} bytes")
        missing = "" if wanted == "its end" else f", where {wanted} should be"
        if name not in names:
            raise refuse(self.path, f"{name!r} is not in the manifest{missing}")
        raise refuse(self.path, f"{name!r} comes out of its order{missing}")


def _blocks(path: Path, stream: BinaryIO, name: str, size: int) -> Iterator[bytes]:
    left = size
    while left:
        block = stream.read(min(BLOCK, left))
        if not block:
            raise refuse(path, f"{name!r} ends after {size - left} of {size} bytes")
        left -= len(block)
        yield block


def hashed(path: Path, file: FileEntry, blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the blocks of a file; raise BundleError after the last if they do not have its SHA-256."""
    found = hashlib.sha256()
    for block in blocks:
        found.update(block)
        yield block
    if found.hexdigest() != file.sha256:
        raise refuse(path, f"{file.path!r} has SHA-256 {found.hexdigest()[:12]}…, stated is {file.sha256[:12]}…")
