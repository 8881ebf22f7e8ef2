"""What a check says: how bad, what was found, what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARN = "warn"  # it runs, but slower, or without something
    BLOCKER = "blocker"  # a command of this experiment would fail


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's report."""

    check: str
    level: Level
    found: str
    advice: str = ""  # the next command or edit; "": nothing to do


def fine(check: str, found: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(check, Level.OK, found)


def worst(findings: Sequence[Finding]) -> Level:
    """Return the worst level there is; nothing found is well."""
    order = list(Level)
    return max((finding.level for finding in findings), key=order.index, default=Level.OK)
