"""Items → manifest → signature → a folder or a tar: the same items and serial give the same bytes.

Not gathering: what goes in, and under which licence, is decided by whoever calls.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench import __version__
from workbench.airgap.container import BLOCK, hashed, tar_end, tar_header, tar_padding
from workbench.airgap.keys import sign
from workbench.airgap.manifest import (
    MANIFEST,
    SIGNATURE,
    BaseBundle,
    FileEntry,
    Manifest,
    Target,
    find_collision,
    find_path_fault,
    parse_manifest,
)
from workbench.errors import BundleError
from workbench.runs import new_folder, sync_folder


@dataclass(frozen=True, slots=True)
class Item:
    """One file to be: its place in the bundle, where its bytes are, and under which licence."""

    path: str
    source: Path | bytes
    licence: str


def make_manifest(
    items: Sequence[Item], *, name: str, serial: int, target: Target, since: Manifest | None = None
) -> Manifest:
    """Hash every item and return the manifest; a file that `since` has with the same bytes is not carried.

    Raises:
        BundleError: a path cannot stand in a bundle, or two are one file on some systems, or `since` is of another
            name or not older.
    """
    if since is not None and (since.name != name or since.serial >= serial):
        raise BundleError(
            f"a bundle {name} with serial {serial} cannot build on {since.name} with serial {since.serial}: "
            "the name has to be the same and the serial higher; without SOURCE_DATE_EPOCH it is the time of day"
        )
    for item in items:
        if fault := find_path_fault(item.path):
            raise BundleError(f"{item.source if isinstance(item.source, Path) else 'a file'}: {item.path!r} {fault}")
    if both := find_collision([MANIFEST, SIGNATURE, *(item.path for item in items)]):
        raise BundleError(f"{both[0]!r} and {both[1]!r} are one file on some systems; rename one")
    known = {} if since is None else {file.path: file.sha256 for file in since.files}
    files = []
    for item in sorted(items, key=lambda item: item.path):
        size, sha256 = _measure(item.source)
        files.append(FileEntry(item.path, size, sha256, item.licence, known.get(item.path) != sha256))
    base = None if since is None else BaseBundle(since.id, since.serial)
    return parse_manifest(Manifest(name, serial, __version__, target, base, tuple(files)).to_bytes())


def write_bundle(items: Sequence[Item], manifest: Manifest, out: Path, *, key: Path | None) -> None:
    """Write the bundle to `out`, whole or not at all: a tar if its name ends with .tar, else a folder.

    Args:
        key: file of the private key to sign with; None: it is not signed.
    Raises:
        FileExistsError: `out` exists.
        BundleError: a file changed since it was hashed, or the key is none.
    """
    refuse_existing(out)
    sources = {item.path: item.source for item in items}
    data = manifest.to_bytes()
    signature = None if key is None else sign(data, key)
    if out.suffix == ".tar":
        _write_tar(out, data, signature, manifest, sources)
        return
    with new_folder(out) as folder:
        for path, _, blocks in _members(out, data, signature, manifest, sources):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            with (folder / path).open("wb") as stream:
                stream.writelines(blocks)
            (folder / path).chmod(0o644)


def refuse_existing(out: Path) -> None:
    """Raise FileExistsError if there is something at `out`."""
    if os.path.lexists(out):
        raise FileExistsError(f"{out} exists, and nothing is overwritten; remove it, or name another place")


def _write_tar(
    out: Path, data: bytes, signature: bytes | None, manifest: Manifest, sources: dict[str, Path | bytes]
) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            for path, size, blocks in _members(out, data, signature, manifest, sources):
                stream.write(tar_header(path, size))
                stream.writelines(blocks)
                stream.write(tar_padding(size))
            stream.write(tar_end(stream.tell()))
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(out)
        sync_folder(out.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _members(
    out: Path, data: bytes, signature: bytes | None, manifest: Manifest, sources: dict[str, Path | bytes]
) -> Iterator[tuple[str, int, Iterator[bytes]]]:
    """Yield path, size and bytes of all that is written, in the order of a tar."""
    yield MANIFEST, len(data), iter([data])
    if signature is not None:
        yield SIGNATURE, len(signature), iter([signature])
    for file in manifest.carried:
        yield file.path, file.size, hashed(out, file, _blocks(sources[file.path]))


def _measure(source: Path | bytes) -> tuple[int, str]:
    size, found = 0, hashlib.sha256()
    for block in _blocks(source):
        size += len(block)
        found.update(block)
    return size, found.hexdigest()


def _blocks(source: Path | bytes) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    with source.open("rb") as stream:
        while block := stream.read(BLOCK):
            yield block
