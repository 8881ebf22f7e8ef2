"""Is this the bundle that was signed, is it whole, and is it newer than what is installed? Read only, offline.

Order matters: the signature over the manifest's bytes comes before they are parsed, all files before any is taken.
Standard library alone, see `__init__.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from workbench.airgap import ed25519
from workbench.airgap.container import Container, Contents, FolderContainer, hashed, open_container, refuse
from workbench.airgap.manifest import MANIFEST, SIGNATURE, FileEntry, Manifest, parse_manifest
from workbench.errors import BundleError, RollbackError

MEMORY = "installed.json"  # in the folder of an installation: the newest serial of each bundle, by name
RELEASES, KEPT = "releases", "bundle"  # what was installed, and in each release the bundle as it came

Verifier = Callable[[bytes, bytes, bytes], bool]  # public key, message, signature
Progress = Callable[[str], None]  # called with one line a step


@dataclass(frozen=True, slots=True)
class Checked:
    """A bundle whose files were all read and are as stated. `key` names who signed it; None: that was not asked."""

    manifest: Manifest
    key: str | None
    n_bytes: int  # read
    n_from_base: int  # files


@dataclass(frozen=True, slots=True)
class Opened:
    """A bundle whose manifest is as signed; its files are not read yet."""

    container: Container
    manifest: Manifest
    base: FolderContainer | None

    def contents(self) -> Contents:
        """Yield each file of the whole bundle, the base's too, with its bytes, whose hash is compared as they go by."""
        for file, blocks in self.container.contents(self.manifest):
            yield file, hashed(self.container.path, file, blocks)
        for file in self.manifest.files:
            if not file.carried:
                yield file, self._from_base(file)

    def _from_base(self, file: FileEntry) -> Iterator[bytes]:
        assert self.base is not None
        return hashed(self.base.path, file, self.base.take(file))


@contextmanager
def open_signed(
    path: Path,
    *,
    key: bytes | None,
    base: Path | None = None,
    installed: Path | None = None,
    verify: Verifier = ed25519.verify,
) -> Iterator[Opened]:
    """Open a bundle, check its signature, then its manifest, then that it is not older than what is installed.

    Args:
        key: the public key, 32 bytes; None: whoever made it is believed.
        base: the folder of the bundle that an incremental one builds on; None: looked for in `installed`.
        installed: a folder that bundles are installed in, which remembers their serials; None: nothing is remembered.
    Raises:
        BundleError: it is not signed with `key`, or not a bundle, or its base is not here.
        RollbackError: a newer one was installed.
    """
    with open_container(path) as container:
        if key is not None:
            if container.signature is None:
                raise refuse(path, f"{SIGNATURE!r} is missing: it is not signed")
            if not verify(key, container.manifest, container.signature):
                raise refuse(path, f"{SIGNATURE!r} over {MANIFEST!r} is not by key {ed25519.name_key(key)}")
        manifest = parse_manifest(container.manifest)
        if installed is not None:
            refuse_rollback(path, manifest, installed)
        yield Opened(container, manifest, _find_base(path, manifest, base, installed))


def check_bundle(
    path: Path,
    *,
    key: bytes | None,
    base: Path | None = None,
    installed: Path | None = None,
    verify: Verifier = ed25519.verify,
) -> Checked:
    """Read every byte of a bundle and compare it with what was signed; nothing is written.

    Raises:
        As `open_signed`, and BundleError naming the file that was changed, added, removed, renamed or cut off.
    """
    with open_signed(path, key=key, base=base, installed=installed, verify=verify) as bundle:
        n_bytes = sum(len(block) for _, blocks in bundle.contents() for block in blocks)
        n_from_base = sum(not file.carried for file in bundle.manifest.files)
        return Checked(bundle.manifest, None if key is None else ed25519.name_key(key), n_bytes, n_from_base)


def read_memory(installed: Path) -> dict[str, tuple[int, str]]:
    """Return serial and id of the newest bundle that was installed in a folder, by the bundles' names.

    Raises:
        BundleError: the file that remembers is damaged, so nothing can be said.
    """
    path = installed / MEMORY
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): (int(one["serial"]), str(one["id"])) for name, one in tree["bundles"].items()}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(
            f"{path} is damaged, and only it knows which bundles are too old; install into another folder"
        ) from error


def refuse_rollback(path: Path, manifest: Manifest, installed: Path) -> None:
    """Raise RollbackError if a newer bundle of that name was installed, or another one with the same serial."""
    serial, id_ = read_memory(installed).get(manifest.name, (-1, ""))
    if manifest.serial < serial or (manifest.serial == serial and manifest.id != id_):
        raise RollbackError(
            f"{path}: {manifest.name} has serial {manifest.serial} (id {manifest.id[:12]}), but {serial} "
            f"(id {id_[:12]}) was installed in {installed}; take the newer bundle. Releases that were installed stay "
            f"in {installed / RELEASES}; to go back to one, point {installed / 'current'} at it"
        )


def _find_base(path: Path, manifest: Manifest, base: Path | None, installed: Path | None) -> FolderContainer | None:
    if manifest.base is None:
        return None
    places = [base] if base else []
    places += sorted((installed / RELEASES).glob(f"*/{KEPT}")) if installed else []
    for place in places:
        try:
            found = FolderContainer(place)
            if parse_manifest(found.manifest).id == manifest.base.id:
                return found
        except BundleError:
            continue  # a release that was not finished
    raise BundleError(
        f"{path} holds only what changed since bundle {manifest.base.id[:12]} (serial {manifest.base.serial}), which "
        f"was looked for in {', '.join(map(str, places)) or 'no place'}; install that one first, or name its folder: "
        "--base FOLDER"
    )
