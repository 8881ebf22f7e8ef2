"""The check of an audit log: does every line follow the one before, from the first to the one that the head names?

Whoever may write the folder could forge all of it. Against that, note the last line's hash elsewhere now and then: the
check finds whether the log still has that line.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from workbench.access.audit_log import HEAD, LOG, LastLine, read_head, rotated


@dataclass(frozen=True, slots=True)
class LogReport:
    """What a check of the log found. No faults: every line since the first is there, as it was written."""

    n_lines: int
    n_files: int
    last_sha256: str  # to be noted elsewhere
    faults: tuple[str, ...]


def verify_log(folder: Path, *, noted: str | None = None) -> LogReport:
    """Check every line of a log against the one before it. A server may write meanwhile.

    Args:
        noted: the hash of a line, as an earlier report told it: the log must still have that line.
    """
    faults: list[str] = []
    head = read_head(folder)  # first: lines may be added while they are read, but not taken away
    files = [*rotated(folder), *([folder / LOG] if (folder / LOG).exists() else [])]
    last, n_lines = LastLine(), 0
    hashes = {last.n: last.sha256}
    for path in files:
        for line in path.read_bytes().splitlines(keepends=True):
            n_lines += 1
            last = _check_line(line, last, path.name, faults)
            hashes[last.n] = last.sha256
    if head.n and hashes.get(head.n) != head.sha256:
        what = "was altered" if head.n in hashes else f"is missing, the last one there is {last.n}"
        faults.append(f"line {head.n}, which {HEAD} names as the last one, {what}")
    if noted is not None and noted not in hashes.values():
        faults.append(f"no line has the hash {noted[:80]}, which was noted")
    return LogReport(n_lines, len(files), last.sha256, tuple(faults))


def _check_line(line: bytes, last: LastLine, file: str, faults: list[str]) -> LastLine:
    """Return a line as the last one; what is wrong with it goes into `faults`."""
    text = line.removesuffix(b"\n")
    this = hashlib.sha256(text).hexdigest()
    try:
        fields = json.loads(text)
        n, previous = int(fields["n"]), str(fields["previous"])
    except (ValueError, KeyError, TypeError):
        faults.append(f"{file}: what should be line {last.n + 1} is no line of the log")
        return LastLine(last.n + 1, this)
    if n != last.n + 1:
        faults.append(f"{file}: line {n} stands where line {last.n + 1} should: lines are missing, or were put in")
    elif previous != last.sha256:
        faults.append(f"{file}: line {n} does not follow line {last.n} as that is now: one of them was altered")
    if lost := fields.get("lost"):
        faults.append(f"{file}: before line {n}, {lost} lines were lost while the disk took none")
    return LastLine(n, this)
