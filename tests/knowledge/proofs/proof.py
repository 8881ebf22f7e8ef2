"""What a proof reports, and how a module of proofs becomes a script. Proves nothing itself."""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

SHOWN = 20  # kinds of faults printed for each proof
SHOWN_CHARACTERS = 400


@dataclass(slots=True)
class Proof:
    """One claim: what was tried how often, what came of it, and every fault; it holds when there is none."""

    what: str
    trials: str  # how many of what
    result: str = ""
    faults: list[str] = field(default_factory=list)  # each as "where: what"
    seconds: float = 0.0

    @property
    def row(self) -> str:
        """One line of the table."""
        verdict = "holds" if not self.faults else f"FAILS {len(self.faults)}x"
        return f"{self.what:<34} {self.trials:<34} {verdict:<10} {self.seconds:7.1f} s  {self.result}"


Prove = Callable[[bool], Iterator[Proof]]  # takes whether to run in full


def run_proofs(proofs: Iterator[Proof]) -> bool:
    """Print each proof as it is done; say whether all hold."""
    logging.disable(logging.WARNING)  # damage is recorded as a warning, and there will be thousands
    sound = True
    begun = time.monotonic()
    for proof in proofs:
        proof.seconds, begun = time.monotonic() - begun, time.monotonic()
        lines = [proof.row]
        shown = Counter(fault.partition(": ")[2] for fault in proof.faults).most_common(SHOWN)
        for fault, count in shown:
            where = next(one.partition(": ")[0] for one in proof.faults if one.endswith(fault))
            lines.append(f"    {count}x, first at {where}: {fault[:SHOWN_CHARACTERS]}")
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
        sound = sound and not proof.faults
    return sound


def run_script(prove: Prove) -> None:
    """The body of a module's `main`: exit 1 where a proof fails."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true", help="all trials; minutes")
    sys.exit(not run_proofs(prove(parser.parse_args().full)))


@contextmanager
def small_steps() -> Iterator[None]:
    """Make batches, groups and segments so small that a few documents take many of each."""
    with ExitStack() as stack:
        for name, value in (
            ("sync.BATCH_SIZE", 6),
            ("sync.GROUP_DOCUMENTS", 3),
            ("segments.SMALL_ROWS", 6),
            ("segments.REBUILD_SHARE", 0.7),
        ):
            stack.enter_context(mock.patch(f"workbench.knowledge.{name}", value))
        yield


@contextmanager
def workspace() -> Iterator[Path]:
    """A folder that vanishes afterwards; in memory where that is possible, since no trial depends on the disk."""
    memory = Path("/dev/shm")
    place = memory if "TMPDIR" not in os.environ and os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="proof-", dir=place) as name:
        yield Path(name)


def fresh_copy(original: Path, target: Path) -> Path:
    """Put a copy of `original` in the place of whatever is at `target`."""
    shutil.rmtree(target, ignore_errors=True)
    if original.exists():
        shutil.copytree(original, target)
    return target


def spread(positions: Sequence[int], n: int) -> list[int]:
    """Return `n` of `positions`, evenly spread, or all."""
    step = max(1, len(positions) // n)
    return list(positions)[::step]
