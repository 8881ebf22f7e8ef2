"""The three doors of the gate, and the record of what passed. What is looked at is in the files beside this one."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from workbench.errors import ModelIntegrityError
from workbench.intake.adapter_settings import CONFIG, PASSPORT, WEIGHTS, vet_adapter_settings
from workbench.intake.archive import DATABASE, MAX_BYTES, Manifest, refuse_archive, unpack_database
from workbench.intake.database import find_database_fault
from workbench.intake.hashes import fingerprint_hashes, hash_files
from workbench.intake.json_files import read_json
from workbench.intake.settings import vet_index, vet_json
from workbench.intake.templates import vet_template_file
from workbench.intake.tensors import check_safetensors
from workbench.intake.vetting import vet_tokenizer_file
from workbench.intake.walking import STAMP_FILE, list_files

ADAPTER_FILES = (CONFIG, WEIGHTS, PASSPORT, "gates.json", "chat_template.jinja")
FOR_PEOPLE = ("config.yaml",)  # the experiment an adapter came from: no library reads it


@dataclass(frozen=True, slots=True)
class Admitted:
    """What passed the gate: libraries may read these files, as long as their hashes are these."""

    kind: Literal["model", "adapter", "collection"]
    path: Path  # the folder, or the archive
    files: Mapping[str, str]  # name below `path` (posix) → SHA-256, in hex; documents are not listed
    n_bytes: int  # of these files

    @property
    def fingerprint(self) -> str:
        """One SHA-256 (hex) over names and hashes."""
        return fingerprint_hashes(self.files)


@dataclass(frozen=True, slots=True)
class AdmittedCollection(Admitted):
    """An archive that passed: its one file is the database."""

    manifest: Manifest  # what the archive says it holds; true of its bytes, not yet of its rows


def admit_model(folder: Path, *, cache_path: Path | None = None) -> Admitted:
    """Judge a model's folder: a generator's, an embedder's or a reranker's.

    Our own stamp in it (`workbench.json`) is judged but not listed: it holds these very hashes.

    Args:
        cache_path: where hashes are remembered by size and times; None: nowhere.
    Raises:
        ModelIntegrityError: a file that could run code or is of an unknown format, a link, a name that collides, a
            setting that brings code or a file from elsewhere, a chat template that is no mere text, a header that lies,
            a tokenizer of unknown parts, or one that is slow or breaks down.
    """
    root = folder.resolve()
    names = list_files(root)
    if CONFIG in {Path(name).name for name in names}:
        # Transformers would load whatever base model this file names, from wherever it says.
        raise ModelIntegrityError(
            f"{folder}: a model's folder with {CONFIG} in it, which makes libraries load another model in its place; "
            "take the adapter's two files out of the model's folder"
        )
    _vet_files(root, names, cache_path)
    return _record("model", root, [name for name in names if name != STAMP_FILE], cache_path)


def admit_adapter(folder: Path, *, cache_path: Path | None = None) -> Admitted:
    """Judge a LoRA adapter's folder: its config key by key, its tensors' header, our passport if it is there.

    Raises:
        ModelIntegrityError: as `admit_model`; or a key that PEFT does not know or that reaches beyond the adapter.
    """
    root = folder.resolve()
    names = list_files(root, for_people=FOR_PEOPLE)
    for name in names:
        if name not in ADAPTER_FILES:
            raise ModelIntegrityError(f"{folder}: {name} is no part of an adapter; it has {', '.join(ADAPTER_FILES)}")
    for name in (CONFIG, WEIGHTS):
        if name not in names:
            raise ModelIntegrityError(f"{folder}: no {name}, so this is no adapter; train one: workbench train CONFIG")
    vet_adapter_settings(root / CONFIG, read_json(root / CONFIG))
    _vet_files(root, names, cache_path)
    return _record("adapter", root, names, cache_path)


def admit_collection(archive: Path, target: Path | None = None, *, max_bytes: int = MAX_BYTES) -> AdmittedCollection:
    """Judge a collection's export: its container, its hashes, and what its database is made of, not what it says.

    Whether the rows are those this program would have written is for the import to find (`knowledge/`).

    Args:
        target: where the database is unpacked to, which must not exist; None: only judged.
        max_bytes: a larger file is refused.
    Raises:
        DamagedCollectionError: it is no export of this program, or its database holds more than tables and indexes.
    """
    if target is None:
        with tempfile.TemporaryDirectory(prefix="workbench-intake-") as place:
            return admit_collection(archive, Path(place, DATABASE), max_bytes=max_bytes)
    manifest = unpack_database(archive, target, max_bytes=max_bytes)
    if fault := find_database_fault(target):
        target.unlink()
        raise refuse_archive(archive, f"its database {fault}")
    return AdmittedCollection("collection", archive, {DATABASE: manifest.sha256}, manifest.size, manifest)


def _vet_files(root: Path, names: list[str], cache_path: Path | None) -> None:
    for name in names:
        path = root / name
        match path.suffix.lower():
            case ".safetensors":
                check_safetensors(path)
            case ".jinja":
                vet_template_file(path)
            case ".json":
                vet_json(path)
        vet_tokenizer_file(root, name, cache_path=cache_path)
    for name in names:
        if name.lower().endswith(".index.json"):
            vet_index(root, name, names)


def _record(kind: Literal["model", "adapter"], root: Path, names: list[str], cache_path: Path | None) -> Admitted:
    n_bytes = sum((root / name).stat().st_size for name in names)
    return Admitted(kind, root, hash_files(root, names, cache_path=cache_path), n_bytes)
