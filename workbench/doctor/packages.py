"""The packages: what this project declares against what is installed, and against the versions that were tested."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from workbench.doctor.finding import Finding, Level, fine

INSTALL = "pip install -c constraints.txt ."
SHOWN = 3


def judge_packages(declared: Sequence[str], installed: Mapping[str, str]) -> list[Finding]:
    """Return a finding for each package that is missing or outside of its range, or one that none is.

    Args:
        declared: requirements as pyproject.toml writes them; those of extras are left out.
        installed: canonical name → version.
    """
    findings, n_sound = [], 0
    for text in declared:
        try:
            wanted = Requirement(text)
        except InvalidRequirement as error:
            return [Finding("packages", Level.BLOCKER, f"requirement {text!r} cannot be read: {error}", INSTALL)]
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        found = installed.get(canonicalize_name(wanted.name))
        if found is None:
            findings.append(Finding("packages", Level.BLOCKER, f"{wanted.name} is not installed", INSTALL))
        elif not wanted.specifier.contains(found, prereleases=True):
            what = f"{wanted.name} is {found}, needed is {wanted.specifier}"
            findings.append(Finding("packages", Level.BLOCKER, what, INSTALL))
        else:
            n_sound += 1
    return findings or [fine("packages", f"all {n_sound} declared ones are there, in range")]


def judge_tested(constraints: Sequence[str] | None, installed: Mapping[str, str]) -> Finding:
    """Judge the installed versions by those the tests ran with.

    Args:
        constraints: lines of constraints.txt; None: it is not here, as in an installation from a wheel.
    """
    if constraints is None:
        return fine("tested versions", "constraints.txt is not here, nothing to compare with")
    pins = dict(line.strip().split("==") for line in constraints if "==" in line and not line.startswith("#"))
    names = {canonicalize_name(name): version for name, version in pins.items()}
    others = [
        f"{name} {installed[name]} (tested {version})"
        for name, version in sorted(names.items())
        if name in installed and not _same(installed[name], version)
    ]
    if others:
        more = f" and {len(others) - SHOWN} more" if len(others) > SHOWN else ""
        found = f"{len(others)} differ: {', '.join(others[:SHOWN])}{more}; numbers may differ from those published"
        return Finding("tested versions", Level.WARN, found, f"{INSTALL}, or run the tests: ./scripts/check")
    return fine("tested versions", f"all {len(names)} as in constraints.txt")


def _same(found: str, tested: str) -> bool:
    """Whether two versions are the same but for a local part, such as `+cpu`."""
    try:
        return Version(found).public == Version(tested).public
    except InvalidVersion:
        return found == tested
