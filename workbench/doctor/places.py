"""Where things lie: models, collection, adapters, folders to write in, the key file. Each looks at one place."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from workbench.access.witness import keys_were_made
from workbench.doctor.finding import Finding, Level, fine
from workbench.errors import MissingModelError, WorkbenchError
from workbench.intake import admit_adapter
from workbench.intake.adapter_settings import WEIGHTS
from workbench.intake.hashes import count_unknown_bytes
from workbench.knowledge import Collection, read_stamps, verify_collection
from workbench.models import find_model, home
from workbench.models.store import model_folder

QUICK_BYTES = 512 * 2**20  # hashed or verified without being asked: a second or two
KEY_MODE = 0o600


def check_model(reference: str, kind: Literal["generator", "embedder", "reranker"], *, deep: bool) -> Finding:
    """Look whether a model is here, passes the gate and is what came; large ones are hashed if `deep`."""
    folder = model_folder(reference) if "/" not in reference and ":" not in reference else Path(reference)
    weights = list(folder.glob("*.safetensors")) if folder.is_dir() else []
    names = [path.name for path in weights]
    if not deep and weights:
        unknown = count_unknown_bytes(folder, names, cache_path=home() / "hashes.json")
        if unknown > QUICK_BYTES:
            found = f"{reference} is there; {unknown / 2**30:.1f} GiB were not compared with their hashes"
            return Finding(f"model, {kind}", Level.OK, found, "compare them: workbench doctor CONFIG --deep")
    try:
        model = find_model(reference, kind=kind)
    except MissingModelError as error:
        return Finding(f"model, {kind}", Level.BLOCKER, _first(error), f"workbench models fetch {reference}")
    except (WorkbenchError, OSError) as error:
        return Finding(f"model, {kind}", Level.BLOCKER, _first(error), _advice(error))
    return fine(f"model, {kind}", f"{model.name}, every file as it came ({model.fingerprint[:12]})")


def check_collection(folder: Path, *, deep: bool) -> Finding:
    """Look whether a collection is whole; of a large one only its stamps are read, unless `deep`."""
    if not Collection.exists(folder):
        return fine("collection", f"none yet in {folder}")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    try:
        if size > QUICK_BYTES and not deep:
            stamps = read_stamps(folder)
            if not stamps:
                found = f"{folder}: no edition in its database can be read"
                return Finding("collection", Level.BLOCKER, found, f"workbench verify {folder}")
            found = f"{folder}, built by {stamps[0].name}; its {size / 2**30:.1f} GiB were not read"
            return Finding("collection", Level.OK, found, f"read them: workbench verify {folder}")
        findings = verify_collection(folder)
    except (WorkbenchError, OSError) as error:
        return Finding("collection", Level.BLOCKER, _first(error), _advice(error))
    if findings:
        found = f"{folder}: {findings[0]}" + (f" and {len(findings) - 1} more" if len(findings) > 1 else "")
        return Finding("collection", Level.BLOCKER, found, f"workbench repair {folder}")
    return fine("collection", f"{folder}: every row, vector and index is what was written")


def check_adapters(run: Path, taken: Sequence[Path] = ()) -> list[Finding]:
    """Look whether every trained adapter of a run passes the gate, and every one that its config takes as it is."""
    again, other = "train it again: workbench train CONFIG", "name its folder: training.adapters.NAME.folder"
    trained = [path.parent for path in sorted(run.glob(f"train-*/adapter/{WEIGHTS}"))]
    folders = [*((folder, again) for folder in trained), *((folder, other) for folder in taken)]
    findings = []
    for folder, advice in folders:
        try:
            admit_adapter(folder)
        except (WorkbenchError, OSError) as error:
            findings.append(Finding("adapters", Level.BLOCKER, _first(error), advice))
    return findings or [fine("adapters", f"{len(folders)} trained, all pass the gate" if folders else "none yet")]


def check_inputs(corpus: Path | None, questions: Path) -> list[Finding]:
    """Look whether corpus and questions are where the config says."""
    findings = []
    for name, path in (("corpus", corpus), ("questions", questions)):
        if path is None:
            continue
        if not path.exists():
            found = f"{path} is not there, seen from {Path.cwd()}"
            findings.append(Finding(name, Level.BLOCKER, found, f"go to where it is, or: --set {name}.path=PATH"))
        elif not os.access(path, os.R_OK):
            findings.append(Finding(name, Level.BLOCKER, f"{path} may not be read", f"chmod u+r {path}"))
        else:
            findings.append(fine(name, str(path)))
    return findings


def check_writable(name: str, folder: Path) -> Finding:
    """Look whether `folder`, or what it would be made in, may be written to; tried, since root may by mode alone."""
    place = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    fault = try_writing(place)
    if fault:
        return Finding(name, Level.BLOCKER, f"{place}: {fault}", f"chmod u+w {place}, or name another folder")
    return fine(name, f"{folder} may be written to")


def try_writing(folder: Path) -> str:
    """Return why no file can be made in `folder`; "": it can. What was made is removed."""
    if not folder.is_dir():
        return "is no folder"
    probe = folder / f".workbench-doctor-{os.getpid()}"
    try:
        with probe.open("xb") as stream:
            stream.write(b"x")
        probe.unlink()
    except OSError as error:
        return str(error.strerror)
    return ""


def check_key_file(path: Path) -> Finding:
    """Look whether others can read the server's keys, and whether those that were made are still there."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        if keys_were_made(path.parent):
            advice = f"bring it back from a backup, or: workbench keys create {path.parent} NAME --role '*=admin'"
            return Finding("keys", Level.BLOCKER, f"{path} is gone, so the server does not start", advice)
        return fine("keys", f"none ({path})")
    return judge_key_mode(path, mode)


def judge_key_mode(path: Path, mode: int) -> Finding:
    """Judge the mode of a key file: nobody but its owner may read or write it."""
    if mode & ~KEY_MODE:
        return Finding("keys", Level.BLOCKER, f"{path} has mode {mode:04o}, expected 0600", f"chmod 600 {path}")
    return fine("keys", f"{path}, mode {mode:04o}")


def tree_bytes(folders: Sequence[Path]) -> int:
    """Return the bytes of all files below the folders that exist."""
    return sum(
        path.stat().st_size for folder in folders if folder.is_dir() for path in folder.rglob("*") if path.is_file()
    )


def _first(error: Exception) -> str:
    """What is wrong, without the command that follows."""
    return " ".join(str(error).partition(";")[0].split())


def _advice(error: Exception) -> str:
    """The command that an error's message ends with."""
    return " ".join(str(error).partition(";")[2].split())
