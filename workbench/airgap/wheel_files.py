"""Wheels as files: what one says of itself, whether it runs on a target, whether a set of them is closed.

pip chooses; here its choice is checked against the target, since pip judges `python_version` and `sys_platform` in
requirements by the machine it runs on, not by the one it downloads for.
"""

from __future__ import annotations

import platform
import re
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import default_environment
from packaging.metadata import RawMetadata, parse_email
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

from workbench.airgap.manifest import Target
from workbench.errors import BundleError
from workbench.models.folders import UNKNOWN_LICENCE
from workbench.runs import fingerprint_file

OLDEST_GLIBC = 5  # manylinux_2_5 is manylinux1
LEGACY_GLIBC = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
MAX_LICENCE_CHARACTERS = 100  # longer ones are whole texts
TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Wheel:
    """One wheel of a wheelhouse."""

    path: Path
    name: str  # canonical
    version: Version
    sha256: str
    licence: str
    requires: tuple[Requirement, ...]
    python: SpecifierSet


def default_platform() -> str:
    """Return the platform tag of a machine like this one, glibc 2.28 or newer on Linux."""
    machine = platform.machine()
    return f"manylinux_2_28_{machine}" if sys.platform == "linux" else f"macosx_13_0_{machine}"


def platform_tags(newest: str) -> list[str]:
    """Return the tags of wheels that run where `newest` does, that one first; pip takes only what it is told."""
    match = re.fullmatch(r"manylinux_2_(\d+)_(\w+)", newest)
    if match is None:
        return [newest]
    tags = []
    for minor in range(int(match[1]), OLDEST_GLIBC - 1, -1):
        tags.append(f"manylinux_2_{minor}_{match[2]}")
        if minor in LEGACY_GLIBC:
            tags.append(f"{LEGACY_GLIBC[minor]}_{match[2]}")
    return tags


def is_this_machine(target: Target) -> bool:
    """Whether what is built here runs on the target: same Python, same system and processor."""
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return (
        target.python == here
        and target.platform.endswith(f"_{platform.machine()}")
        and (("linux" in target.platform) == (sys.platform == "linux"))
    )


def read_wheel(path: Path) -> Wheel:
    """Return what a wheel says of itself. Raises BundleError: it is none."""
    try:
        name, version, _, _ = parse_wheel_filename(path.name)
        with zipfile.ZipFile(path) as archive:
            inside = [one for one in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", one)]
            metadata, _ = parse_email(archive.read(inside[0]))
        return Wheel(
            path=path,
            name=str(name),
            version=version,
            sha256=fingerprint_file(path),
            licence=_read_licence(metadata),
            requires=tuple(Requirement(line) for line in metadata.get("requires_dist", [])),
            python=SpecifierSet(metadata.get("requires_python", "")),
        )
    except (ValueError, IndexError, zipfile.BadZipFile) as error:
        raise BundleError(f"{path} is no sound wheel: {error}") from error


def refuse_foreign_tags(wheel: Wheel, target: Target) -> None:
    """Raise BundleError if a wheel does not run on the target, by its tags and the Python it asks for."""
    tags = parse_wheel_filename(wheel.path.name)[3]
    if not tags & _supported(target) or not wheel.python.contains(target.python, prereleases=True):
        raise BundleError(
            f"{wheel.path.name} does not run on Python {target.python}, {target.platform} (asks for Python "
            f"{wheel.python or 'any'}); name another: --python, --platform, or other --wheels"
        )


def refuse_missing(wheels: Sequence[Wheel], target: Target, extras: Sequence[str], *, root: str) -> None:
    """Raise BundleError unless all that `root` needs on the target, directly or not, is among the wheels."""
    here = {wheel.name: wheel for wheel in wheels}
    environment = _environment(target)
    open_ends = [(root, extra) for extra in ("", *extras)]
    seen = set(open_ends)
    while open_ends:
        name, extra = open_ends.pop()
        for need in here[name].requires:
            if need.marker is not None and not need.marker.evaluate({**environment, "extra": extra}):
                continue
            found = here.get(canonicalize_name(need.name))
            if found is None or not need.specifier.contains(found.version, prereleases=True):
                raise BundleError(
                    f"{name} needs {need} on {target.platform}, Python {target.python}; the wheelhouse holds "
                    f"{found.path.name if found else 'no such wheel'}"
                )
            more = {(found.name, one) for one in ("", *need.extras)} - seen
            seen |= more
            open_ends += sorted(more)


def rewrite_plainly(path: Path) -> None:
    """Write a wheel that was built here again, without a trace of when and how: one order, one time, one mode."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}
    temporary = path.with_suffix(".tmp")
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(members, key=lambda name: (name.split("/")[0].endswith(".dist-info"), name)):
            info = zipfile.ZipInfo(name, TIME)
            info.compress_type, info.create_system, info.external_attr = zipfile.ZIP_DEFLATED, 3, 0o100644 << 16
            archive.writestr(info, members[name])
    temporary.replace(path)


def _supported(target: Target) -> frozenset[Tag]:
    major, _, minor = target.python.partition(".")
    version, platforms = (int(major), int(minor)), platform_tags(target.platform)
    if is_this_machine(target) and sys.platform == "linux":
        platforms.append(f"linux_{platform.machine()}")  # built here from source
    interpreter = f"cp{major}{minor}"
    return frozenset(
        [
            *cpython_tags(version, [interpreter], platforms),
            *compatible_tags(version, interpreter, platforms),
        ]
    )


def _environment(target: Target) -> dict[str, str]:
    linux = "linux" in target.platform
    environment = {str(name): str(value) for name, value in default_environment().items()}
    return environment | {
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "implementation_version": f"{target.python}.0",
        "python_version": target.python,
        "python_full_version": f"{target.python}.0",
        "os_name": "posix",
        "sys_platform": "linux" if linux else "darwin",
        "platform_system": "Linux" if linux else "Darwin",
        "platform_machine": re.sub(r"^(many)?(linux|macosx)(_\d+_\d+|\d+)?_", "", target.platform),
    }


def _read_licence(metadata: RawMetadata) -> str:
    """Return License-Expression, else a short License, else the classifiers' names, else "not stated"."""
    classifiers = [one for one in metadata.get("classifiers", []) if one.startswith("License ::")]
    named = [one.rpartition(" :: ")[2] for one in classifiers]
    stated = (metadata.get("license_expression", ""), metadata.get("license", ""))
    for text in (*stated, " / ".join(one for one in named if one != "OSI Approved")):
        line = " ".join(text.split())
        if line.isprintable() and 0 < len(line) <= MAX_LICENCE_CHARACTERS and line.upper() != "UNKNOWN":
            return line
    return UNKNOWN_LICENCE
