"""Install a checked bundle beside what is installed already, and switch to it in one step when all of it is there.

    DIR/current -> releases/NAME-SERIAL-ID     the switch: one rename
    DIR/installed.json                         serials, against older bundles
    DIR/releases/…/bundle/                     as it came; wheels, and what a later incremental bundle builds on
                  /venv/ home/ workbench       its own Python packages, WORKBENCH_HOME and the command
                  /configs/ questions/ runs/ … ready to use; relative paths in configs begin here

A release without `complete` was interrupted and is made again from nothing. Files are made durable here and not through
`runs.py`, which needs packages that are not there yet. Standard library alone, see `__init__.py`.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from workbench.airgap import ed25519
from workbench.airgap.checking import KEPT, MEMORY, RELEASES, Opened, Progress, Verifier, open_signed, read_memory
from workbench.airgap.manifest import MANIFEST, SIGNATURE, FileEntry, Manifest, Target
from workbench.errors import BundleError
from workbench.locking import hold_writer_lock

COMPLETE, CURRENT = "complete", "current"
WHEELS, REQUIREMENTS, MODELS = "wheels", "requirements.txt", "models"
IMPORTED = ("collections/", "runs/")  # a *.zip below them is a collection's archive
COPIED = ("adapters/", "configs/", "corpus/", "docs/", "questions/")
COMMAND = """#!/bin/sh
# The program of this release with its own packages and models. Run it in this folder: paths in configs begin here.
unset PYTHONPATH PYTHONHOME
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd -P)
WORKBENCH_HOME="$here/home" exec "$here/venv/bin/python" -P -m workbench "$@"
"""


@dataclass(frozen=True, slots=True)
class Installed:
    """What an installation did. `reused`: this very bundle was complete already, only the switch was made."""

    release: Path
    manifest: Manifest
    key: str | None
    reused: bool


def install_bundle(
    path: Path,
    into: Path,
    *,
    key: bytes | None,
    base: Path | None = None,
    verify: Verifier = ed25519.verify,
    on_progress: Progress = lambda _: None,
) -> Installed:
    """Check a bundle, make a release of it in `into`, and switch to it; interrupted, the same call begins again.

    What was installed before stays as it is and in use until the switch, and can be switched back to.

    Args:
        key: public key, 32 bytes; None: whoever made the bundle is believed.
        base: for an incremental bundle, the folder of the one before; None: as installed in `into`.
    Raises:
        BundleError: it is not what was signed, or for another machine, or its packages cannot be installed.
        RollbackError: a newer one was installed.
        BusyError: another process installs into the same folder.
    """
    into.mkdir(parents=True, exist_ok=True)
    into = into.resolve()
    with (
        hold_writer_lock(into / ".lock"),
        open_signed(path, key=key, base=base, installed=into, verify=verify) as bundle,
    ):
        manifest = bundle.manifest
        refuse_other_machine(manifest.target)
        release = into / RELEASES / manifest.release
        reused = (release / COMPLETE).exists()
        on_progress(f"checking {len(manifest.files)} files")
        for _, blocks in bundle.contents():
            for _ in blocks:
                pass  # all of it is checked before any of it is taken
        if not reused:
            shutil.rmtree(release, ignore_errors=True)
            release.mkdir(parents=True)
            _make_release(bundle, release, on_progress)
        _remember(into, manifest)
        _switch(into, release)
    return Installed(release, manifest, None if key is None else ed25519.name_key(key), reused)


def refuse_other_machine(target: Target) -> None:
    """Raise BundleError where this Python or this platform is not the one a bundle is for."""
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if here != target.python:
        raise BundleError(
            f"the bundle is for Python {target.python}, this is {here} ({sys.executable}); run it with "
            f"python{target.python}, or make one for here: workbench bundle create --python {here}"
        )
    system, machine = platform.system().lower(), platform.machine().lower()
    wanted = target.platform.lower()
    named = {"linux": "linux", "darwin": "macosx"}.get(system, "?")
    fits = wanted.endswith(machine) and named in wanted
    if not fits:
        raise BundleError(f"the bundle is for {target.platform}, this machine is {system} {machine}")
    glibc = re.match(r"manylinux_(\d+)_(\d+)_", wanted)
    name, found = platform.libc_ver()
    if glibc and (name != "glibc" or _numbers(found) < (int(glibc[1]), int(glibc[2]))):
        raise BundleError(
            f"the bundle needs glibc {glibc[1]}.{glibc[2]} or newer ({target.platform}), this machine has "
            f"{name or 'another C library'} {found}"
        )


def _make_release(bundle: Opened, release: Path, on_progress: Progress) -> None:
    on_progress(f"unpacking into {release}")
    kept = release / KEPT
    for file, blocks in bundle.contents():
        _write(kept / file.path, blocks)
    if bundle.container.signature is not None:
        _write(kept / SIGNATURE, [bundle.container.signature])
    _write(kept / MANIFEST, [bundle.container.manifest])  # last: without it the folder is no bundle
    for file in bundle.manifest.files:
        _lay_out(kept, release, file)
    on_progress("installing packages")
    python = _install_packages(kept, release)
    for archive in [file.path for file in bundle.manifest.files if _is_archive(file.path)]:
        on_progress(f"importing {archive}")
        target = release / archive.removesuffix(".zip")
        target.parent.mkdir(parents=True, exist_ok=True)
        _run_workbench(python, release, "import", str(kept / archive), str(target))
    for model in sorted({file.path.split("/")[1] for file in bundle.manifest.files if file.path.startswith("models/")}):
        on_progress(f"looking at model {model}")
        _run_workbench(python, release, "models", "show", model)
    _write(release / "workbench", [COMMAND.encode()])
    (release / "workbench").chmod(0o755)
    os.sync()  # packages and collections were written by others, who need not have made them durable
    _write(release / COMPLETE, [f"{bundle.manifest.id}\n".encode()])


def _lay_out(kept: Path, release: Path, file: FileEntry) -> None:
    """Put a copy of a file where it is used. No hard link: the gate refuses models with a second name."""
    if file.path.startswith(f"{MODELS}/"):
        target = release / "home" / file.path
    elif file.path.startswith(COPIED):
        target = release / file.path
    else:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(kept / file.path, target)


def _is_archive(path: str) -> bool:
    return path.startswith(IMPORTED) and path.endswith(".zip")


def _install_packages(kept: Path, release: Path) -> Path:
    """Make the release's own environment from the wheels, with the pip among them; return its Python."""
    folder = release / "venv"
    venv.EnvBuilder(with_pip=False, symlinks=True, clear=True).create(folder)
    python = folder / "bin" / "python"
    pips = sorted((kept / WHEELS).glob("pip-*.whl"))
    if not pips:
        raise BundleError(f"{kept / WHEELS} holds no pip-*.whl, which installs the others")
    pip = [str(python), "-I", f"{pips[-1]}/pip"]
    install = ["install", "--no-index", "--no-cache-dir", "--require-hashes", "--only-binary=:all:", "--no-input"]
    wheels = ["--find-links", str(kept / WHEELS), "--requirement", str(kept / REQUIREMENTS)]
    _run([*pip, "--disable-pip-version-check", *install, "--quiet", *wheels], "pip could not install the wheels")
    _run([*pip, "--disable-pip-version-check", "check"], "the wheels do not fit together")
    return python


def _run_workbench(python: Path, release: Path, *arguments: str) -> None:
    home = {"WORKBENCH_HOME": str(release / "home")}
    command = [str(python), "-P", "-m", "workbench", *arguments]
    _run(command, f"`workbench {' '.join(arguments)}` failed", cwd=release, **home)


def _run(command: list[str], fault: str, *, cwd: Path | None = None, **more: str) -> None:
    # What this machine's user has set for pip or Python must not change what is installed, nor where from.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", **more}
    done = subprocess.run(
        command, env=environment, cwd=cwd, capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()] or ["it said nothing"]
        raise BundleError(f"{fault}: {' / '.join(lines[-3:])}; nothing was switched, what was installed is as it was")


def _remember(into: Path, manifest: Manifest) -> None:
    bundles = {name: {"serial": serial, "id": id_} for name, (serial, id_) in read_memory(into).items()}
    bundles[manifest.name] = {"serial": manifest.serial, "id": manifest.id}
    text = json.dumps({"bundles": bundles}, indent=2, sort_keys=True)
    _write(into / f".{MEMORY}.tmp", [f"{text}\n".encode()])
    (into / f".{MEMORY}.tmp").replace(into / MEMORY)
    _sync_folder(into)


def _switch(into: Path, release: Path) -> None:
    """Point `current` at a release: one rename, so that it always points at a whole one."""
    link = into / f".{CURRENT}.tmp"
    link.unlink(missing_ok=True)
    link.symlink_to(release.relative_to(into))
    link.replace(into / CURRENT)
    _sync_folder(into)


def _write(path: Path, blocks: Iterable[bytes] | Iterator[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        for block in blocks:
            stream.write(block)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))
