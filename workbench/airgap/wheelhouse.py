"""A wheelhouse: this program's own wheel and all it needs on the target, chosen by pip, pinned by hash.

pip runs as a child, with whatever index it is set up with, or with none and a folder of wheels. Nothing is installed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.airgap.manifest import Target
from workbench.airgap.wheel_files import (
    Wheel,
    is_this_machine,
    platform_tags,
    read_wheel,
    refuse_foreign_tags,
    refuse_missing,
    rewrite_plainly,
)
from workbench.errors import BundleError, FetchError

ROOT = "workbench"
ANY_TORCH = "any"
PROJECT_PARTS = ("workbench", "pyproject.toml", "README.md", "LICENSE")
CONSTRAINTS = "constraints.txt"
FIRST_ZIP_TIME = "315532800"  # 1980, in seconds since 1970
CUDA_MARKS = ("nvidia-", "cuda-", "triton")
CONFLICT = re.compile(r"The conflict is caused by:\n((?: +\S.*\n)+)")
NO_WHEEL_EITHER = "(pip says so, too, where the index has no wheel of it for the target: try a newer --platform)"
NO_WHEEL = re.compile(r"No matching distribution found for (\S+)")


@dataclass(frozen=True, slots=True)
class Wheelhouse:
    """The wheels in order of name, and `requirements.txt` that pins them for --require-hashes."""

    wheels: tuple[Wheel, ...]
    built: tuple[str, ...]  # names of wheels that were built here from source, this program's own left out

    @property
    def requirements(self) -> str:
        """One pinned line a wheel."""
        lines = (f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n" for wheel in self.wheels)
        return "".join(lines)

    @property
    def torch(self) -> str:
        """The version of torch, its build included; empty: there is none."""
        return next((str(wheel.version) for wheel in self.wheels if wheel.name == "torch"), "")


def find_project() -> Path | None:
    """Return the checkout this program runs from; None: it is installed, and its source is not here."""
    folder = Path(__file__).parents[2]
    return folder if (folder / "pyproject.toml").is_file() else None


def gather_wheels(
    folder: Path, target: Target, *, torch: str, extras: Sequence[str] = (), wheels: Path | None = None
) -> Wheelhouse:
    """Fill `folder` with the wheels of this program for the target.

    Args:
        folder: empty.
        torch: the build of torch: cpu, for example cu128, or any: the one the index has.
        extras: of this program, for example cpu.
        wheels: take all of them from this folder and ask no index; None: pip asks its index.
    Raises:
        FetchError: pip did not find something.
        BundleError: what it found does not run on the target or lacks something.
    """
    project = find_project()
    house = folder / "wheels"
    house.mkdir()
    own = _own_wheel(project, wheels, house)
    constraints = _write_constraints(project, folder / CONSTRAINTS, torch)
    root = f"{own}[{','.join(sorted(extras))}]" if extras else str(own)
    try:
        built = _download(house, target, [root, _pip(wheels)], constraints, wheels)
    except FetchError as error:
        if torch in ("cpu", ANY_TORCH):
            raise
        raise FetchError(f"{error}; asked for torch for {torch}: {_where_from(torch)}") from error
    found = sorted((read_wheel(path) for path in house.glob("*.whl")), key=lambda wheel: wheel.name)
    for wheel in found:
        refuse_foreign_tags(wheel, target)
    refuse_missing(found, target, extras, root=ROOT)
    _refuse_other_torch(found, torch)
    return Wheelhouse(tuple(found), tuple(built))


def _own_wheel(project: Path | None, wheels: Path | None, house: Path) -> Path:
    """Build this program's wheel in `house`, or copy the one from the folder of wheels; return its path."""
    given = sorted(wheels.glob(f"{ROOT}-*.whl")) if wheels else []
    if given:
        return Path(shutil.copy(given[-1], house))
    if project is None:
        raise BundleError(
            f"this program is installed, so its wheel cannot be built; put {ROOT}-*.whl into a folder with the wheels "
            "it needs and name that: --wheels DIR (an installed bundle has one: DIR/current/bundle/wheels)"
        )
    source = house.parent / "source"
    source.mkdir()
    for name in PROJECT_PARTS:
        part = project / name
        if part.is_dir():
            shutil.copytree(part, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        elif part.exists():
            shutil.copyfile(part, source / name)
    _build(source, house)
    return next(house.glob(f"{ROOT}-*.whl"))


def _build(source: Path, house: Path) -> None:
    """Build a wheel from a source tree or archive, reproducibly."""
    before = set(house.glob("*.whl"))
    arguments = ["wheel", "--no-deps", "--wheel-dir", str(house)]
    if _has_setuptools():
        arguments.append("--no-build-isolation")  # where it is here already, no index is asked for it
    _run_pip([*arguments, str(source)], offline=False)
    for path in set(house.glob("*.whl")) - before:
        rewrite_plainly(path)


def _has_setuptools() -> bool:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return int(version("setuptools").partition(".")[0]) >= 77  # as pyproject.toml asks
    except PackageNotFoundError:
        return False


def _write_constraints(project: Path | None, path: Path, torch: str) -> Path:
    """Write the versions this project is tested with, torch in the build that is wanted; return `path`."""
    tested = project / CONSTRAINTS if project else None
    lines = tested.read_text(encoding="utf-8").splitlines() if tested and tested.exists() else []
    if torch not in ("cpu", ANY_TORCH):
        lines = [f"{line}+{torch}" if re.fullmatch(r"torch==[\d.]+", line) else line for line in lines]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def _pip(wheels: Path | None) -> str:
    """What installs the others on the target: from the index, the folder, or the copy inside this Python."""
    if wheels is None or any(wheels.glob("pip-*.whl")):
        return "pip"
    import ensurepip

    bundled = sorted((Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl"))
    if not bundled:
        raise BundleError(f"{wheels} holds no pip-*.whl, which installs the others on the target; put one there")
    return str(bundled[-1])


def _download(house: Path, target: Target, wanted: Sequence[str], constraints: Path, wheels: Path | None) -> list[str]:
    """Let pip choose wheels for the target; where a package has none and the target is like this machine, build it."""
    version = target.python.replace(".", "")
    chosen = ["--python-version", target.python, "--implementation", "cp"]
    chosen += [part for abi in (f"cp{version}", "abi3", "none") for part in ("--abi", abi)]
    chosen += [part for tag in platform_tags(target.platform) for part in ("--platform", tag)]
    common = ["--constraint", str(constraints), *(_from_folder(wheels) if wheels else []), *wanted]
    try:
        _run_pip(["download", "--only-binary=:all:", "--dest", str(house), *chosen, *common], offline=bool(wheels))
        return []
    except FetchError as error:
        lacking = NO_WHEEL.search(str(error))
        if lacking is None:
            raise
        if not is_this_machine(target):
            raise FetchError(
                f"there is no wheel of {lacking[1]} for Python {target.python}, {target.platform}, and from source "
                f"one is built only on such a machine; build it there and name its folder: --wheels DIR ({error})"
            ) from error
    sources = house.parent / "sources"
    _run_pip(["download", "--prefer-binary", "--dest", str(sources), *common], offline=bool(wheels))
    for path in sorted(sources.glob("*.whl")):
        shutil.copyfile(path, house / path.name)
    archives = [path for path in sorted(sources.iterdir()) if path.suffix != ".whl"]
    before = {path.name for path in house.glob("*.whl")}
    for archive in archives:
        _build(archive, house)
    return sorted({path.name for path in house.glob("*.whl")} - before)


def _from_folder(wheels: Path) -> list[str]:
    return ["--no-index", "--find-links", str(wheels)]


def _run_pip(arguments: Sequence[str], *, offline: bool) -> None:
    environment = dict(os.environ) | {"SOURCE_DATE_EPOCH": os.environ.get("SOURCE_DATE_EPOCH", FIRST_ZIP_TIME)}
    if offline:  # what this user has set for pip must not add to the folder
        environment = {name: value for name, value in environment.items() if not name.startswith("PIP_")}
        environment["PIP_CONFIG_FILE"] = os.devnull
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()[-1:]
        conflict = CONFLICT.search(done.stdout + done.stderr)
        if conflict:
            lines = [lines[0], *(line.strip() for line in conflict[1].splitlines()), NO_WHEEL_EITHER]
        raise FetchError(f"pip {arguments[0]} failed: {' / '.join(lines)}")


def _refuse_other_torch(wheels: Sequence[Wheel], torch: str) -> None:
    """Raise FetchError if the index gave another build of torch than was asked for."""
    if torch == ANY_TORCH:
        return
    heavy = [wheel.name for wheel in wheels if wheel.name.startswith(CUDA_MARKS)]
    found = next((wheel for wheel in wheels if wheel.name == "torch"), None)
    wrong = bool(heavy) if torch == "cpu" else found is not None and found.version.local != torch
    if wrong:
        raise FetchError(
            f"asked for torch for {torch}, but pip's index gave {found.path.name if found else 'none'}"
            f"{f' with {len(heavy)} CUDA packages' if heavy else ''}; {_where_from(torch)}"
        )


def _where_from(torch: str) -> str:
    return (
        f"name an index of torch's {torch} builds in PIP_EXTRA_INDEX_URL or their folder in PIP_FIND_LINKS, then run "
        f"the same command, or take what the index has: --torch {ANY_TORCH}"
    )
