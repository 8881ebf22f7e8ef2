"""SIGKILL at every writing system call of every verb: nothing lost, nothing made up, and the same command finishes.

After each kill the collection must open within 5 s, be one of the legal states in all it holds and answers, and after
the same command again be what the unbroken run made, with no file left over.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from tests.knowledge.proofs.oracle import World, list_checks, match_world
from tests.knowledge.proofs.proof import Proof, fresh_copy, run_script, small_steps, workspace
from tests.knowledge.proofs.tracing import Call, record_calls, require_strace, run_killed_after, run_killed_at
from tests.knowledge.proofs.verbs import ARCHIVE, EXPORTED, Verb, list_verbs
from workbench.errors import DamagedCollectionError, WorkbenchError
from workbench.knowledge import Collection
from workbench.knowledge.verify import verify_collection

OPEN_SECONDS = 5.0
N_RANDOM = 5  # kills at random times, in the short version
N_TWICE = 40  # runs of each verb killed twice: once, and again when it is resumed


def prove(full: bool) -> Iterator[Proof]:
    """Yield a proof for each verb; the short version kills at random times and needs no strace."""
    if full:
        require_strace()
    with small_steps(), workspace() as folder:
        for verb in list_verbs():
            place = folder / verb.name.replace(" ", "-")
            place.mkdir()
            bench = Bench(verb, place)
            yield bench.kill_everywhere() if full else bench.kill_at_random()
            if full:
                yield bench.kill_twice()


class Bench:
    """One verb, the folder it starts from, what its unbroken run makes, and the copies it is tried on."""

    def __init__(self, verb: Verb, place: Path) -> None:
        self.verb = verb
        self.original, self.copy = place / "original", place / "copy"
        verb.prepare(self.original)
        fresh_copy(self.original, self.copy)
        begun = time.monotonic()
        verb.run(self.copy)
        self.seconds = time.monotonic() - begun
        self.fingerprint = read_fingerprint(self.copy)
        self.slowest = 0.0

    def start(self) -> Path:
        """Return a fresh copy to run on."""
        return fresh_copy(self.original, self.copy)

    def record(self) -> list[Call]:
        """Return the writing calls of an unbroken run."""
        return record_calls(partial(self.verb.run, self.start()), self.copy.with_name("log"))

    def kill_everywhere(self) -> Proof:
        """Kill at every call, each in a run of its own."""
        calls = self.record()
        proof = Proof(f"kill {self.verb.name}", f"{len(calls)} writing calls, each killed")
        seen: set[int] = set()
        for call in calls:
            work = partial(self.verb.run, self.start())
            if not run_killed_at(work, call).killed:
                proof.faults.append(f"{call}: was not reached")
            self.judge(proof, str(call), seen)
        return self.conclude(proof, seen)

    def kill_twice(self) -> Proof:
        """Kill at one call, and the resumed run at another."""
        calls = self.record()
        proof = Proof(f"kill {self.verb.name} twice", f"{N_TWICE} seeded pairs of calls")
        draw, seen = random.Random(0), set[int]()
        for _ in range(N_TWICE):
            first, second = draw.choices(calls, k=2)
            work = partial(self.verb.run, self.start())
            run_killed_at(work, first)
            run_killed_at(work, second)
            self.judge(proof, f"{first}, then {second}", seen)
        return self.conclude(proof, seen)

    def kill_at_random(self) -> Proof:
        """Kill after random times."""
        proof = Proof(f"kill {self.verb.name}", f"{N_RANDOM} kills at random times")
        draw, seen = random.Random(0), set[int]()
        for _ in range(N_RANDOM):
            pause = draw.uniform(0, 1.2 * self.seconds)
            run_killed_after(partial(self.verb.run, self.start()), pause)
            self.judge(proof, f"after {pause:.4f} s", seen)
        return self.conclude(proof, seen)

    def judge(self, proof: Proof, where: str, seen: set[int]) -> None:
        """Add to `proof` what is wrong with the copy after a kill, and after the same command again."""
        faults = [*self.reopen(self.verb.worlds, seen), *self.resume()]
        proof.faults += [f"{where}: {fault}" for fault in faults]

    def reopen(self, worlds: Sequence[World], seen: set[int]) -> Iterator[str]:
        """Yield what is wrong with the collection as it lies there."""
        if not Collection.exists(self.copy):
            if self.original.exists():
                yield "the collection is gone"
            return
        begun = time.monotonic()
        try:
            collection = Collection.open(self.copy)
        except (WorkbenchError, OSError) as error:
            if not (self.verb.damaged and isinstance(error, DamagedCollectionError)):
                yield f"cannot be opened: {type(error).__name__}: {error}"
            return
        with collection:
            took = time.monotonic() - begun
            self.slowest = max(self.slowest, took)
            if took > OPEN_SECONDS:
                yield f"took {took:.1f} s to open"
            if collection.events and not self.verb.damaged:
                yield f"a kill damaged it: {collection.events}"
            found = match_world(collection, worlds)
            if isinstance(found, int):
                seen.add(found)
            elif not self.verb.damaged:
                yield found
            else:
                yield from find_lies(collection, worlds[0])

    def resume(self) -> Iterator[str]:
        """Yield what is wrong after the same command again."""
        try:
            self.verb.run(self.copy)
        except (WorkbenchError, OSError) as error:
            yield f"cannot be resumed: {type(error).__name__}: {error}"
            return
        yield from find_leftovers(self.copy)
        yield from (f"resumed, but {finding}" for finding in verify_collection(self.copy, n_searches=2))
        with Collection.open(self.copy) as collection:
            found = match_world(collection, self.verb.worlds[-1:])
            if isinstance(found, str):
                yield f"resumed: {found}"
            if collection.fingerprint != self.fingerprint:
                yield "resumed: another fingerprint than that of the unbroken run"

    def conclude(self, proof: Proof, seen: set[int]) -> Proof:
        """Say in the result which legal states were met."""
        proof.result = f"{len(seen)} of {len(self.verb.worlds)} legal states met, slowest open {self.slowest:.3f} s"
        return proof


def read_fingerprint(folder: Path) -> str:
    """Return the fingerprint of a collection."""
    with Collection.open(folder) as collection:
        return collection.fingerprint


def find_lies(collection: Collection, world: World) -> Iterator[str]:
    """Yield what a damaged collection gets wrong without saying that it is damaged."""
    for name, check in list_checks(collection, world).items():
        try:
            if not check():
                yield f"damaged, it lies about {name}"
        except DamagedCollectionError:
            continue


def find_leftovers(folder: Path) -> Iterator[str]:
    """Yield files that no committed state needs, and vectors that no chunk points to."""
    with Collection.open(folder) as collection:
        recorded = {segment.name for edition in collection._store.editions() for segment in edition.segments}
    there = {path.name for path in (folder / "segments").glob("*")}
    if there != recorded:
        yield f"segments {sorted(there - recorded)} are left over, {sorted(recorded - there)} are missing"
    expected = {
        "collection.sqlite",
        "collection.commits",
        "segments",
        "writer.lock",
        "out",
        "original",
        "copy",
        "log",
        ARCHIVE,
    }
    around = [*folder.iterdir(), *folder.parent.iterdir(), *folder.glob("out/*")]
    strange = {path.name for path in around if path != folder / EXPORTED} - expected
    if strange:
        yield f"left over: {sorted(strange)}"
    connection = sqlite3.connect(folder / "collection.sqlite")
    n_vectors, n_keys = (
        connection.execute(query).fetchone()[0]
        for query in ("SELECT count(*) FROM vectors", "SELECT count(DISTINCT hex(vector_key) || edition) FROM chunks")
    )
    connection.close()
    if n_vectors != n_keys:
        yield f"{n_vectors} vectors for {n_keys} texts"


if __name__ == "__main__":
    run_script(prove)
