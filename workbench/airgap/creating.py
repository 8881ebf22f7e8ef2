"""`workbench bundle create`: wheels, models and data of one experiment → one bundle, signed.

The order: packages last, since which extras are needed depends on what computed the collections.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench import __version__
from workbench.airgap.bootstrap import NAME as INSTALLER
from workbench.airgap.bootstrap import pack_bootstrap
from workbench.airgap.checking import Progress
from workbench.airgap.comparing import read_manifest
from workbench.airgap.gathering import OWN_LICENCE, Wanted, gather_experiment, unlicensed
from workbench.airgap.keys import public_half
from workbench.airgap.manifest import Manifest, Target
from workbench.airgap.placing import REQUIREMENTS, WHEELS
from workbench.airgap.sbom import write_sbom
from workbench.airgap.wheelhouse import Wheelhouse, find_project, gather_wheels
from workbench.airgap.writing import Item, make_manifest, refuse_existing, write_bundle

SBOM = "sbom.cdx.json"
PROJECT_DOCUMENTS = ("README.md", "CHANGELOG.md", "LICENSE", "docs/*.md", "data/LICENSES.md")


@dataclass(frozen=True, slots=True)
class Created:
    """What was made. `unlicensed` names what nobody stated a licence of, `built` the wheels built here from source."""

    out: Path
    manifest: Manifest
    installer_sha256: str
    n_bytes: int  # of the files that the bundle carries
    notes: tuple[str, ...]
    unlicensed: tuple[str, ...]
    built: tuple[str, ...]


def create_bundle(
    wanted: Wanted,
    out: Path,
    *,
    target: Target,
    torch: str,
    since: Path | None = None,
    key: Path | None = None,
    wheels: Path | None = None,
    on_progress: Progress = lambda _: None,
) -> Created:
    """Gather, describe, sign and write a bundle; `out` ends with .tar, or becomes a folder.

    Args:
        wanted: what of which experiment.
        target: Python and platform; its torch is filled in with what pip found.
        torch: the build of torch to ask for: cpu, for example cu128, or any: the one that pip's index has.
        since: an earlier bundle or its manifest: only what changed is carried.
        key: file of the private key; None: not signed.
        wheels: a folder to take all wheels from; None: pip asks its index.
    Raises:
        What `gather_experiment`, `gather_wheels`, `make_manifest` and `write_bundle` raise.
    """
    serial = int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    refuse_existing(out)  # what can be refused is refused before the long work
    earlier = None if since is None else read_manifest(since)
    if key is not None:
        public_half(key)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as temporary:
        staging = Path(temporary)
        on_progress("gathering models, collections, adapters, questions")
        gathered = gather_experiment(wanted, staging)
        extras = ["cpu"] if any(backend.startswith("openvino") for backend in gathered.backends) else []
        on_progress("gathering wheels with pip")
        house = gather_wheels(staging, target, torch=torch, extras=extras, wheels=wheels)
        installer = pack_bootstrap()
        name = wanted.config.name
        items = [*gathered.items, *_wheel_items(house), *_document_items(find_project())]
        items.append(Item(INSTALLER, installer, OWN_LICENCE))
        items.append(Item(SBOM, write_sbom(name, __version__, house.wheels, gathered.assets), OWN_LICENCE))
        built_for = Target(target.python, target.platform, house.torch)
        manifest = make_manifest(items, name=name, serial=serial, target=built_for, since=earlier)
        on_progress(f"writing {len(manifest.carried)} files")
        write_bundle(items, manifest, out, key=key)
        return Created(
            out=out,
            manifest=manifest,
            installer_sha256=hashlib.sha256(installer).hexdigest(),
            n_bytes=sum(file.size for file in manifest.carried),
            notes=tuple(gathered.notes),
            unlicensed=tuple(unlicensed(items)),
            built=house.built,
        )


def _wheel_items(house: Wheelhouse) -> Sequence[Item]:
    wheels = [Item(f"{WHEELS}/{wheel.path.name}", wheel.path, wheel.licence) for wheel in house.wheels]
    return [*wheels, Item(REQUIREMENTS, house.requirements.encode(), OWN_LICENCE)]


def _document_items(project: Path | None) -> Sequence[Item]:
    """What explains the program, where its checkout is here; docs/ of the bundle is flat."""
    if project is None:
        return []
    paths = [path for pattern in PROJECT_DOCUMENTS for path in sorted(project.glob(pattern))]
    return [Item(f"docs/{path.name}", path, OWN_LICENCE) for path in paths]
