"""A full or failing disk at every writing system call: a typed error, a legal state, and the same command then works.

Three kinds of trial: one call fails with ENOSPC, one fails with EIO, and a disk that is full from one call on.
"""

from __future__ import annotations

import resource
import signal
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from tests.knowledge.proofs.kills import Bench
from tests.knowledge.proofs.proof import Proof, run_script, small_steps, workspace
from tests.knowledge.proofs.tracing import (
    DATA_CALLS,
    OPEN_CALLS,
    Call,
    Outcome,
    require_strace,
    run_apart,
    run_disk_full_from,
    run_failing_at,
)
from tests.knowledge.proofs.verbs import list_verbs

SMALL_DISKS = (0, 600, 5_000, 30_000, 60_000)  # bytes that a file may grow to, in the short version


def prove(full: bool) -> Iterator[Proof]:
    """Yield proofs for each verb; the short version limits the size of files instead and needs no strace."""
    if full:
        require_strace()
    with small_steps(), workspace() as folder:
        for verb in list_verbs():
            place = folder / verb.name.replace(" ", "-")
            place.mkdir()
            disk = Disk(verb, place)
            if full:
                calls = disk.record()
                yield disk.fail_each(calls, "ENOSPC")
                yield disk.fail_each(calls, "EIO")
                yield disk.fill_up(calls)
            else:
                yield disk.limit_files()


class Disk(Bench):
    """A verb's bench on a disk that fails."""

    def fail_each(self, calls: list[Call], error: str) -> Proof:
        """Let each call fail once."""
        proof = Proof(f"{error} once in {self.verb.name}", f"{len(calls)} calls, each failing once")
        return self.try_all(proof, {str(call): partial(run_failing_at, call=call, error=error) for call in calls})

    def fill_up(self, calls: list[Call]) -> Proof:
        """Let the disk be full from each data-writing call on."""
        places = [place for place, call in enumerate(calls) if call.name in (*DATA_CALLS, *OPEN_CALLS, "mkdir")]
        proof = Proof(f"disk full in {self.verb.name}", f"{len(places)} calls, full from each on")
        trials = {
            f"full from {calls[place]} on": partial(run_disk_full_from, calls=calls, place=place) for place in places
        }
        return self.try_all(proof, trials)

    def limit_files(self) -> Proof:
        """Let no file grow beyond some size."""
        proof = Proof(f"disk full in {self.verb.name}", f"{len(SMALL_DISKS)} limits to the size of files")
        return self.try_all(proof, {f"{n} bytes": partial(run_limited, n_bytes=n) for n in SMALL_DISKS})

    def try_all(self, proof: Proof, trials: Mapping[str, Callable[[Callable[[], None]], Outcome]]) -> Proof:
        """Make each trial on a fresh copy."""
        seen: set[int] = set()
        n_errors = 0
        for where, trial in trials.items():
            outcome = trial(partial(self.verb.run_and_read, self.start()))
            if outcome.killed:
                proof.faults.append(f"{where}: ended by a signal, or not at all")
            if outcome.error is not None:
                n_errors += 1
                if not outcome.typed:
                    proof.faults.append(f"{where}: {outcome.error}")
            self.judge(proof, where, seen)
        proof.result = f"{n_errors} typed errors, {len(trials) - n_errors} went well; "
        return self.conclude(proof, seen)


def run_limited(work: Callable[[], None], n_bytes: int) -> Outcome:
    """Run `work` where no file may grow beyond `n_bytes`."""

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))
        work()

    return run_apart(limited)


if __name__ == "__main__":
    run_script(prove)
