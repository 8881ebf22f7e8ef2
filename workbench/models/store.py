"""The models on this machine: folders below WORKBENCH_HOME, each stamped with where it came from and its SHA-256s.

Not a loader: what leaves here is a vetted folder whose files are what they were when they came. loading.py opens it.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from workbench.errors import ConfigError, MissingModelError, ModelIntegrityError
from workbench.intake import STAMP_FILE, Admitted, admit_model
from workbench.models.catalogue import FolderSource, HubSource, ModelKind, ModelSource, load_catalogue
from workbench.models.folders import copy_folder, detect_kind, read_licence
from workbench.models.hub import parse_reference
from workbench.runs import new_folder, write_json
from workbench.types import Frozen

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """A vetted model folder. `fingerprint` is a SHA-256 over its loadable files: equal files, equal fingerprint."""

    name: str
    kind: ModelKind
    folder: Path
    fingerprint: str
    licence: str
    source: ModelSource


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One line of `workbench models list`."""

    name: str
    kind: ModelKind
    licence: str
    description: str
    installed: bool


class ModelStamp(Frozen):
    """What `workbench.json` in a model's folder says."""

    name: str
    kind: ModelKind
    licence: str
    source: ModelSource
    files: dict[str, str]  # name → SHA-256, in hex
    fingerprint: str


def home() -> Path:
    """Return the folder that holds models and caches: WORKBENCH_HOME, or ~/.cache/workbench."""
    return Path(os.environ.get("WORKBENCH_HOME") or "~/.cache/workbench").expanduser().resolve()


def model_folder(name: str) -> Path:
    """Return where the model of this name lies, or would lie."""
    return home() / "models" / name


def find_model(reference: str, *, kind: ModelKind | None = None, weights: bool = True) -> InstalledModel:
    """Return a model by its name, as `hf:OWNER/NAME@REVISION`, or by a folder; vetted, its hashes compared.

    Args:
        kind: what the caller needs; None: any.
        weights: False: only its tokenizer will be read, so a folder may lack them.
    Raises:
        MissingModelError: it is not here, or another kind; the message names the command that brings it.
        ModelIntegrityError: its files could run code, or changed since they came.
    """
    if reference.startswith("hf:"):
        model = _find_hub_model(reference)
    elif NAME.fullmatch(reference) and (model_folder(reference) / STAMP_FILE).exists():
        model = _open_installed(reference)
    elif reference not in load_catalogue() and Path(reference).expanduser().is_dir():
        model = _open_folder(Path(reference).expanduser().resolve(), weights=weights)
    else:
        raise _missing(reference)
    if kind is not None and model.kind != kind:
        names = ", ".join(row.name for row in list_models() if row.kind == kind)
        raise MissingModelError(f"{reference!r} is a model of kind {model.kind}, needed is one of kind {kind}: {names}")
    return model


def list_models() -> list[ModelRow]:
    """Return the catalogue's models in its order, then what else lies on this machine by name."""
    catalogue = load_catalogue()
    rows = [
        ModelRow(entry.name, entry.kind, entry.licence, entry.description, (model_folder(name) / STAMP_FILE).exists())
        for name, entry in catalogue.items()
    ]
    for path in sorted((home() / "models").glob(f"[!.]*/{STAMP_FILE}")):
        if path.parent.name not in catalogue:
            stamp = _read_stamp(path.parent)
            rows.append(ModelRow(stamp.name, stamp.kind, stamp.licence, _describe(stamp.source), True))
    return rows


def show_model(reference: str) -> dict[str, object]:
    """Return all that is known of a model, JSON-ready: of one that is here its folder, files and size too."""
    entry = load_catalogue().get(reference)
    if entry is not None and not (model_folder(reference) / STAMP_FILE).exists():
        return {"installed": False, **entry.model_dump(mode="json"), "next": f"workbench models fetch {reference}"}
    model = find_model(reference)
    admitted = _admit(model.folder)
    return {
        "installed": True,
        "name": model.name,
        "kind": model.kind,
        "licence": model.licence,
        "source": model.source.model_dump(mode="json"),
        "folder": str(model.folder),
        "bytes": admitted.n_bytes,
        "fingerprint": model.fingerprint,
        "files": dict(admitted.files),
    }


def add_folder(folder: Path, name: str | None = None) -> InstalledModel:
    """Vet a local folder and copy its loadable files and documents under `name` (default: the folder's own name).

    Raises:
        MissingModelError: no such folder.
        ConfigError: the name is not a plain one, or belongs to the catalogue.
        ModelIntegrityError: the folder holds a file or a setting that could run code.
    """
    source = folder.expanduser().resolve()
    if not source.is_dir():
        raise MissingModelError(f"{folder} is not a folder; workbench models add FOLDER takes one with *.safetensors")
    name = name or source.name
    if not NAME.fullmatch(name) or name in load_catalogue():
        fault = "is taken by the catalogue" if name in load_catalogue() else "is not a plain name"
        raise ConfigError(f"model name {name!r} {fault}; give another: workbench models add {folder} --name NAME")
    return install_model(
        name,
        lambda target: copy_folder(source, target),
        source_of=lambda: FolderSource(path=str(source)),
    )


def install_model(
    name: str,
    fill: Callable[[Path], None],
    *,
    source_of: Callable[[], ModelSource],
    licence: str | None = None,
    pinned: Mapping[str, str] | None = None,
) -> InstalledModel:
    """Let `fill` write a model into a new folder; vet it, check pinned hashes, stamp it, move it into place.

    Either the whole model is in place afterwards or what was there before.

    Args:
        source_of: called after `fill`, when the source is known in full.
        licence: None: as its README states it.
        pinned: SHA-256 by file name.
    Raises:
        ModelIntegrityError: the folder is not sound, or a pinned hash differs.
    """
    with new_folder(model_folder(name)) as folder:
        fill(folder)
        admitted = admit_model(folder)
        for file, wanted in (pinned or {}).items():
            if admitted.files.get(file) != wanted:
                raise ModelIntegrityError(
                    f"{name}: {file} came out with SHA-256 {admitted.files.get(file)}, the catalogue names {wanted}; "
                    "please report it with the output of: pip freeze"
                )
        stamp = ModelStamp(
            name=name,
            kind=detect_kind(folder),
            licence=licence or read_licence(folder),
            source=source_of(),
            files=dict(admitted.files),
            fingerprint=admitted.fingerprint,
        )
        write_json(folder / STAMP_FILE, stamp)
    return _open_installed(name)


def _open_installed(name: str) -> InstalledModel:
    folder = model_folder(name)
    stamp = _read_stamp(folder)
    found = _admit(folder).files
    if found != stamp.files:
        changed = sorted(dict(set(found.items()) ^ set(stamp.files.items())))
        raise ModelIntegrityError(
            f"{folder}: changed since it came: {', '.join(changed)}; bring it again: {_bring(stamp.source, name)}"
        )
    return InstalledModel(name, stamp.kind, folder, stamp.fingerprint, stamp.licence, stamp.source)


def _open_folder(folder: Path, *, weights: bool) -> InstalledModel:
    admitted = _admit(folder)
    source = FolderSource(path=str(folder))
    return InstalledModel(
        folder.name, detect_kind(folder, weights=weights), folder, admitted.fingerprint, read_licence(folder), source
    )


def _admit(folder: Path) -> Admitted:
    """Let a folder through the gate; what was hashed before and has not changed is not hashed again."""
    return admit_model(folder, cache_path=home() / "hashes.json")


def _find_hub_model(reference: str) -> InstalledModel:
    wanted = parse_reference(reference)
    if not (model_folder(wanted.name) / STAMP_FILE).exists():
        raise _missing(reference)
    model = _open_installed(wanted.name)
    if not isinstance(model.source, HubSource) or wanted.revision not in (model.source.revision, model.source.commit):
        raise MissingModelError(
            f"{reference!r} is not here, but {_describe(model.source)} is; bring it: workbench models fetch {reference}"
        )
    return model


def _read_stamp(folder: Path) -> ModelStamp:
    path = folder / STAMP_FILE
    try:
        return ModelStamp.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ModelIntegrityError(
            f"{path}: not a model's stamp: {error.errors()[0]['msg']}; delete {folder} and bring the model again"
        ) from error


def _describe(source: ModelSource) -> str:
    match source:
        case HubSource():
            return f"hf:{source.repository}@{source.revision} (commit {source.commit[:12]})"
        case FolderSource():
            return f"copied from {source.path}"
        case _:
            return f"a {source.kind} model"


def _bring(source: ModelSource, name: str) -> str:
    match source:
        case HubSource():
            return f"workbench models fetch hf:{source.repository}@{source.revision}"
        case FolderSource():
            return f"workbench models add {source.path} --name {name}"
        case _:
            return f"workbench models fetch {name}"


def _missing(reference: str) -> MissingModelError:
    if reference in load_catalogue() or reference.startswith("hf:"):
        return MissingModelError(
            f"model {reference!r} is not on this machine (looked in {home() / 'models'}); "
            f"bring it: workbench models fetch {reference}"
        )
    known = [row.name for row in list_models()]
    nearest = difflib.get_close_matches(reference, known, n=1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"known are: {', '.join(known)}."
    return MissingModelError(
        f"no model is called {reference!r} and no folder is there; {hint} See: workbench models list"
    )
