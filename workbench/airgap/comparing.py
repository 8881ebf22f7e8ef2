"""What changed between two bundles, by their manifests alone: no file is read, no signature checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from workbench.airgap.container import open_container
from workbench.airgap.manifest import FileEntry, Manifest, parse_manifest


@dataclass(frozen=True, slots=True)
class BundleDifference:
    """Files by what became of them, in order of path; `settings` tells what else differs, one line each."""

    added: tuple[FileEntry, ...]
    removed: tuple[FileEntry, ...]
    changed: tuple[tuple[FileEntry, FileEntry], ...]
    n_same: int
    settings: tuple[str, ...]


def read_manifest(path: Path) -> Manifest:
    """Return the manifest of a bundle's folder or tar, or the one that a `manifest.json` is. Raises BundleError."""
    if path.suffix == ".json":
        return parse_manifest(path.read_bytes())
    with open_container(path) as container:
        return parse_manifest(container.manifest)


def compare_manifests(old: Manifest, new: Manifest) -> BundleDifference:
    """Return what `new` has otherwise than `old`; a file that only moved is removed and added."""
    before, after = ({file.path: file for file in one.files} for one in (old, new))
    both = [(before[path], after[path]) for path in sorted(before.keys() & after.keys())]
    changed = tuple(pair for pair in both if pair[0].sha256 != pair[1].sha256)
    settings = {
        "name": (old.name, new.name),
        "serial": (old.serial, new.serial),
        "python": (old.target.python, new.target.python),
        "platform": (old.target.platform, new.target.platform),
        "torch": (old.target.torch, new.target.torch),
    }
    licences = {f"licence of {one.path}": (one.licence, other.licence) for one, other in both}
    return BundleDifference(
        added=tuple(after[path] for path in sorted(after.keys() - before.keys())),
        removed=tuple(before[path] for path in sorted(before.keys() - after.keys())),
        changed=changed,
        n_same=len(both) - len(changed),
        settings=tuple(f"{what}: {a} -> {b}" for what, (a, b) in (settings | licences).items() if a != b),
    )
