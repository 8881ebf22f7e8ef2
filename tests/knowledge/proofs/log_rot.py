"""Flipped bits and cuts in a write-ahead log that a killed writer left, or that a reader keeps from being emptied.

Known to fail: SQLite takes a damaged frame for the torn end of a transaction that was never committed, and goes back to
the state before it without a word. To see that, something outside the log would have to say which state was the last.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.knowledge.proofs.bit_rot import N_CUTS, N_FLIPS, damage_at_random, make_logged
from tests.knowledge.proofs.proof import Proof, run_script, small_steps, workspace


def prove(full: bool) -> Iterator[Proof]:
    """Yield the one proof."""
    with small_steps(), workspace() as folder:
        logged = make_logged(folder / "logged")
        trials = (N_FLIPS, N_CUTS) if full else (6, 2)
        yield damage_at_random(logged, "collection.sqlite-wal", folder / "copy", *trials)


if __name__ == "__main__":
    run_script(prove)
