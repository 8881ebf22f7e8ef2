"""Flipped bits and cuts in a write-ahead log that a killed writer left, or that a reader keeps from being emptied.

SQLite takes a damaged frame for the torn end of a transaction that was never committed, and goes back to the state
before it without a word; the count of commits beside the database says that there were more. So every damage must be
refused on open, none may be without effect, and so must a log that is lost, and an older one in its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.knowledge.proofs.bit_rot import N_CUTS, N_FLIPS, REFUSED, Subject, damage_at_random, judge, make_logged
from tests.knowledge.proofs.proof import Proof, fresh_copy, run_script, small_steps, workspace

LOG = "collection.sqlite-wal"


def prove(full: bool) -> Iterator[Proof]:
    """Yield the proofs."""
    with small_steps(), workspace() as folder:
        logged = make_logged(folder / "logged")
        n_flips, n_cuts = (N_FLIPS, N_CUTS) if full else (6, 2)
        proof = damage_at_random(logged, LOG, folder / "copy", n_flips, n_cuts)
        if proof.result != f"{n_flips + n_cuts} {REFUSED}":
            proof.faults.append(f"{LOG}: not every damage was {REFUSED}: {proof.result}")
        yield proof
        yield cut_everywhere(logged, folder / "copy", 512 if full else 32_768)


def cut_everywhere(subject: Subject, copy: Path, step: int) -> Proof:
    """Cut the log at each multiple of `step` bytes, and remove it."""
    whole = (subject.folder / LOG).read_bytes()
    sizes = range(0, len(whole), step)
    proof = Proof(f"cuts of {LOG}", f"{len(sizes)} cuts, and its removal")
    for size in (None, *sizes):
        fresh_copy(subject.folder, copy)
        if size is None:
            (copy / LOG).unlink()
        else:
            (copy / LOG).write_bytes(whole[:size])
        outcome = judge(subject, copy)
        if outcome != REFUSED:
            proof.faults.append(f"{size} bytes of {len(whole)}: {outcome}")
    proof.result = f"each {REFUSED}"
    return proof


if __name__ == "__main__":
    run_script(prove)
