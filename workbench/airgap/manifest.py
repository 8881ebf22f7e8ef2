"""`manifest.json`: every file of a bundle with its size, SHA-256 and licence, and for which machine it was made.

Its bytes are canonical: one content, one text. What is signed is those bytes, and the bundle's id is their SHA-256.
Standard library alone, see `__init__.py`.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from workbench.errors import BundleError

MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
FORMAT, VERSION = "workbench bundle", 1
MAX_MANIFEST_BYTES = 64 * 2**20
MAX_PATH_CHARACTERS = 240
MAX_FILE_BYTES = 2**40
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
SHA256 = re.compile(r"[0-9a-f]{64}")

Part = TypeVar("Part")


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file. `carried` is false in an incremental bundle where the base has the same file at the same path."""

    path: str  # posix, below the bundle's root
    size: int  # bytes
    sha256: str  # hex
    licence: str  # an SPDX expression where one is known, else "not stated"
    carried: bool


@dataclass(frozen=True, slots=True)
class Target:
    """The machine a bundle is for."""

    python: str  # for example 3.11
    platform: str  # the newest platform tag a wheel may need, for example manylinux_2_28_x86_64
    torch: str  # version of torch, its build included; empty: none


@dataclass(frozen=True, slots=True)
class BaseBundle:
    """The bundle that an incremental one builds on."""

    id: str
    serial: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle says it holds. Files are in order of path; of one name, a later bundle has a higher serial."""

    name: str
    serial: int  # seconds since 1970 when it was made, or as SOURCE_DATE_EPOCH said
    made_by: str  # version of this program
    target: Target
    base: BaseBundle | None  # None: the bundle is whole by itself
    files: tuple[FileEntry, ...]

    def to_bytes(self) -> bytes:
        """Return the canonical text."""
        tree = {"format": FORMAT, "version": VERSION, **asdict(self)}
        return (json.dumps(tree, sort_keys=True, ensure_ascii=True, separators=(",", ":")) + "\n").encode("ascii")

    @property
    def id(self) -> str:
        """SHA-256 of the canonical text."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @property
    def carried(self) -> tuple[FileEntry, ...]:
        """The files that lie in the bundle itself."""
        return tuple(file for file in self.files if file.carried)

    @property
    def release(self) -> str:
        """The name of the folder it is installed in."""
        return f"{self.name}-{self.serial}-{self.id[:12]}"


def parse_manifest(data: bytes) -> Manifest:
    """Read a manifest that is not trusted.

    Raises:
        BundleError: it is not, byte for byte, what `to_bytes` writes of a sound manifest.
    """
    if len(data) > MAX_MANIFEST_BYTES:
        raise BundleError(f"{MANIFEST} has more than {MAX_MANIFEST_BYTES:,} bytes")
    try:
        tree = json.loads(data)
        if (tree["format"], tree["version"]) != (FORMAT, VERSION):
            raise BundleError(
                f"{MANIFEST} is a {tree['format']!r} of version {tree['version']!r}; read are a {FORMAT!r} of version "
                f"{VERSION}"
            )
        manifest = Manifest(
            name=tree["name"],
            serial=tree["serial"],
            made_by=tree["made_by"],
            target=_read(Target, tree["target"]),
            base=None if tree["base"] is None else _read(BaseBundle, tree["base"]),
            files=tuple(_read(FileEntry, file) for file in tree["files"]),
        )
        _check(manifest)
        same = manifest.to_bytes() == data
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, BundleError):
            raise
        raise BundleError(f"{MANIFEST} is none of this program's: {type(error).__name__}: {error!s:.200}") from error
    if not same:
        raise BundleError(f"{MANIFEST} is not written as this program writes it; something else changed it")
    return manifest


def find_path_fault(path: str) -> str | None:
    """Return why a path may not stand in a bundle; None: it may. On any system it must lead below the root."""
    parts = path.split("/")
    faults = {
        f"has {len(path)} characters, allowed are 1 to {MAX_PATH_CHARACTERS}": not 1
        <= len(path)
        <= MAX_PATH_CHARACTERS,
        "is absolute": path.startswith("/") or re.match(r"[A-Za-z]:", path),
        "climbs out of the bundle": ".." in parts,
        "is not in its plain form": any(part in ("", ".") or part.endswith((".", " ")) for part in parts),
        "holds a backslash": "\\" in path,
        "holds a character that is not shown": any(unicodedata.category(one) in ("Cc", "Cf", "Cs") for one in path),
        "is not in Unicode's composed form": unicodedata.normalize("NFC", path) != path,
    }
    return next((fault for fault, found in faults.items() if found), None)


def find_collision(paths: Iterable[str]) -> tuple[str, str] | None:
    """Return two paths that some file system takes for one, or of which one is a folder of the other; None: no such."""
    known: dict[str, tuple[str, bool]] = {}  # folded → as written, is a file
    files: set[str] = set()
    for path in paths:
        parts = path.split("/")
        for n_parts in range(1, len(parts) + 1):
            place, is_file = "/".join(parts[:n_parts]), n_parts == len(parts)
            other = known.setdefault(unicodedata.normalize("NFC", place.casefold()), (place, is_file))
            if other != (place, is_file) or (is_file and path in files):
                return other[0], path
        files.add(path)
    return None


def _read(kind: type[Part], tree: Mapping[str, Any]) -> Part:
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]  # every kind is a dataclass
    if set(tree) != names:
        raise ValueError(f"{kind.__name__} has {sorted(tree)}, expected {sorted(names)}")
    return kind(**tree)


def _check(manifest: Manifest) -> None:
    if not (isinstance(manifest.name, str) and NAME.fullmatch(manifest.name)):
        raise BundleError(f"{MANIFEST}: {manifest.name!r} is no name of a bundle")
    _check_number("serial", manifest.serial)
    target = manifest.target
    for text in (
        manifest.made_by,
        target.python,
        target.platform,
        target.torch,
        *(file.licence for file in manifest.files),
    ):
        if not isinstance(text, str) or not text.isprintable():
            raise BundleError(f"{MANIFEST}: {text!r:.100} should be a line of text")
    if manifest.base is not None:
        _check_number("base", manifest.base.serial)
        _check_hash("base", manifest.base.id)
    for file in manifest.files:
        if fault := find_path_fault(file.path):
            raise BundleError(f"{MANIFEST}: the path {file.path!r} {fault}")
        _check_number(file.path, file.size)
        _check_hash(file.path, file.sha256)
        if file.carried is not True and (file.carried is not False or manifest.base is None):
            raise BundleError(f"{MANIFEST}: {file.path} is not carried, and there is no base to take it from")
    paths = [file.path for file in manifest.files]
    if paths != sorted(paths):
        raise BundleError(f"{MANIFEST}: its files are not in order")
    if both := find_collision([MANIFEST, SIGNATURE, *paths]):
        raise BundleError(f"{MANIFEST}: {both[0]!r} and {both[1]!r} are one file on some systems")


def _check_number(what: str, number: object) -> None:
    if type(number) is not int or not 0 <= number <= MAX_FILE_BYTES:
        raise BundleError(f"{MANIFEST}: {what} has the number {number!r:.50}, allowed are 0 to {MAX_FILE_BYTES}")


def _check_hash(what: str, text: object) -> None:
    if not (isinstance(text, str) and SHA256.fullmatch(text)):
        raise BundleError(f"{MANIFEST}: {what} has no SHA-256, but {text!r:.100}")
