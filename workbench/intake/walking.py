"""Which files a folder holds: plain files of known formats, no way out of it, no two names for one place.

What stands in them is judged by the files beside this one.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Collection, Iterator
from pathlib import Path

from workbench.errors import ModelIntegrityError

STAMP_FILE = "workbench.json"  # ours: written once a folder was admitted
LOADED_SUFFIXES = (".safetensors", ".json", ".txt", ".jinja", ".model")
DOCUMENT_SUFFIXES = (".md", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".pdf")
DOCUMENT_NAMES = ("license", "notice", "copying", "use_policy")
MAX_FILES = 4096
MAX_DEPTH = 8  # folders


def list_files(root: Path, *, for_people: Collection[str] = ()) -> list[str]:
    """Return the names of the files a library may read below `root` (resolved), posix, sorted.

    Documents (README, LICENSE, images) and hidden files are neither read nor listed.

    Args:
        for_people: further names of documents.
    Raises:
        ModelIntegrityError: a format that may run code, a link out, a hard link, a device, colliding names, too many.
    """
    if not root.is_dir():
        raise ModelIntegrityError(f"{root}: not a folder")
    names = []
    for path in _walk(root):
        if is_allowed(path.name):
            names.append(path.relative_to(root).as_posix())
        elif not (is_document(path.name) or path.name in for_people):
            raise ModelIntegrityError(
                f"{path}: only {', '.join(LOADED_SUFFIXES)} files are loaded, this format may run code or is unknown; "
                "delete it if the folder also holds *.safetensors"
            )
        if len(names) > MAX_FILES:
            raise ModelIntegrityError(f"{root}: more than {MAX_FILES} files, no model has so many")
    return sorted(names)


def is_allowed(name: str) -> bool:
    """Whether a library may read a file of this name."""
    return not name.startswith(".") and name.lower().endswith(LOADED_SUFFIXES)


def is_document(name: str) -> bool:
    """Whether a file of this name is for people: never loaded, harmless to leave in place."""
    lower = name.lower()
    return lower.endswith(DOCUMENT_SUFFIXES) or lower.startswith((".", *DOCUMENT_NAMES))


def is_plain_place(name: str) -> bool:
    """Whether `name`, as a file says it, is a place below where it is said: relative, no `..`, nothing odd in it."""
    parts = name.replace("\\", "/").split("/")
    return not (name.startswith(("/", "~")) or ".." in parts or ":" in name or not name.isprintable())


def _walk(root: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if len(Path(parent).relative_to(root).parts) > MAX_DEPTH:
            raise ModelIntegrityError(f"{parent}: more than {MAX_DEPTH} folders deep")
        _refuse_collisions(Path(parent), [*folders, *files])
        for name in [*folders, *sorted(files)]:
            path = Path(parent, name)
            if path.is_symlink():
                _vet_link(root, path)
            if name in files:
                _vet_kind(path)
                yield path


def _refuse_collisions(folder: Path, names: list[str]) -> None:
    """Refuse two names that some disk takes for one: copied there, one file would stand in for the other."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
        if other != name:
            raise ModelIntegrityError(f"{folder}: {other!r} and {name!r} are one name on some disks; delete one")


def _vet_link(root: Path, path: Path) -> None:
    """Allow only links to files that this walk meets: it follows no linked folder and enters no hidden one."""
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise ModelIntegrityError(f"{path}: a link to nothing, or to itself; delete it") from error
    advice = f"to {target}; copy the files: cp -rL FROM TO"
    if not target.is_relative_to(root):
        raise ModelIntegrityError(f"{path}: a link out of the folder, {advice}")
    if target.is_dir() or any(part.startswith(".") for part in target.relative_to(root).parts):
        raise ModelIntegrityError(f"{path}: a link to a folder or a hidden file, which are not checked, {advice}")


def _vet_kind(path: Path) -> None:
    state = path.stat()
    if not stat.S_ISREG(state.st_mode):
        raise ModelIntegrityError(f"{path}: neither a file nor a folder")
    if state.st_nlink > 1 and is_allowed(path.name):
        # An archive can be unpacked into one of these, to any file the user owns; and what is judged here could be
        # changed there.
        raise ModelIntegrityError(
            f"{path}: has {state.st_nlink} names (hard links), and what the others are is unknown; copy the files: "
            "cp -r FROM TO"
        )
