"""Flipped bits and cut files: each is refused, rebuilt from the truth, named by `verify`, or shown to change nothing.

What must never come is a wrong answer, or an error without a type. What changes nothing, such as a bit of a page that
SQLite has freed, is counted apart: all that the collection holds and answers is compared with the oracle, `verify` says
that it is whole, and a sync on top of it gives what it gives on an undamaged one.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from unittest import mock

from tests.knowledge.fakes import IDENTITY, HashEmbedder, cut_paragraphs
from tests.knowledge.proofs.oracle import World, find_faults, list_checks, match_world
from tests.knowledge.proofs.proof import Proof, fresh_copy, run_script, small_steps, workspace
from tests.knowledge.proofs.verbs import BEFORE, fill, make_world, mark_of, sync, sync_worlds, write_document
from workbench.config import IndexConfig
from workbench.errors import WorkbenchError
from workbench.knowledge import Change, Collection
from workbench.knowledge.segments import UnusableSegmentError, open_segment
from workbench.knowledge.verify import verify_collection

N_FLIPS, N_CUTS = 300, 40  # of each kind of file
N_SEARCHES = 3  # of each kind while verifying: every search was compared with the oracle before
N_DATABASE_FLIPS = 3000  # most bytes of a database are free, slack or vectors
HEAD_BYTES = 4096  # of each file, every bit of which is flipped
INDEXED = IndexConfig(kind="ivf", codes="sq8", target_recall=0.6)
REFUSED, REFUSED_LATER, REBUILT = "refused on open", "refused on read", "rebuilt"
NAMED, HARMLESS, WRONG = "named by verify", "without effect", "WRONG"


@dataclass(frozen=True, slots=True)
class Subject:
    """A collection to be damaged."""

    folder: Path
    world: World  # what it is
    older: Sequence[World] = ()  # what it was before the transactions in its write-ahead log
    after_sync: World | None = None  # what a sync makes of it; None: too large to sync after every damage


@dataclass(frozen=True, slots=True)
class Damage:
    """One bit flipped, or a file cut to a length."""

    position: int
    bit: int | None  # None: cut there

    def __str__(self) -> str:
        return f"cut to {self.position} bytes" if self.bit is None else f"bit {self.bit} of byte {self.position}"

    def apply(self, content: bytes) -> bytes:
        """Return the damaged content."""
        if self.bit is None:
            return content[: self.position]
        changed = bytearray(content)
        changed[self.position] ^= 1 << self.bit
        return bytes(changed)


def prove(full: bool) -> Iterator[Proof]:
    """Yield a proof for each kind of file."""
    with (
        small_steps(),
        workspace() as folder,
        mock.patch("workbench.knowledge.candidates.EXACT_ROWS", 100),
        mock.patch("workbench.knowledge.proposals.EXACT_ROWS", 100),
    ):
        small, logged = make_small(folder / "small"), make_logged(folder / "logged")
        columns = sorted({path.name for path in small.folder.glob("segments/*/*")})
        kinds = [
            *[(small, "collection.sqlite"), (logged, "collection.sqlite-shm")],
            *[(small, f"segments/*/{name}") for name in columns],
        ]  # writer.lock is empty but while a writer runs; for the write-ahead log see log_rot.py
        if full:
            kinds.append((make_indexed(folder / "indexed"), "segments/*/candidates.faiss"))
        for subject, pattern in kinds:
            n_flips = N_DATABASE_FLIPS if pattern == "collection.sqlite" else N_FLIPS
            yield damage_at_random(subject, pattern, folder / "copy", *((n_flips, N_CUTS) if full else (6, 2)))
        yield damage_first_page(small, folder / "copy", 1 if full else 128)
        yield damage_count(small, folder / "copy", 1 if full else 40)
        if full:
            yield damage_segment_heads(small)


def make_small(folder: Path) -> Subject:
    """Make a collection with a history, closed."""
    fill(folder)
    return Subject(folder, BEFORE, after_sync=sync_worlds(3)[-1])


def make_logged(folder: Path) -> Subject:
    """Make a collection whose newest transactions lie in the write-ahead log, as after a kill."""
    original = folder.with_name("open")
    fill(original)
    worlds = sync_worlds(3)
    with Collection.open(original), Collection.open(original) as writer:  # the first keeps the log from being emptied
        sync(writer)
        fresh_copy(original, folder)
    return Subject(folder, worlds[-1], older=worlds[:-1], after_sync=worlds[-1])


def make_indexed(folder: Path) -> Subject:
    """Make a collection large enough for an approximate index."""
    documents = [write_document(f"big{number}", 110) for number in range(12)]
    with Collection.create(folder, IDENTITY, index=INDEXED) as collection:
        changes = [Change(document, mark_of(document)) for document in documents]
        collection.apply(changes, cut_paragraphs, HashEmbedder().embed_documents)
    return Subject(folder, make_world(documents))


def damage_at_random(subject: Subject, pattern: str, copy: Path, n_flips: int, n_cuts: int) -> Proof:
    """Flip seeded bits of the files of one kind, and cut them at seeded lengths."""
    names = sorted(str(path.relative_to(subject.folder)) for path in subject.folder.glob(pattern))
    proof = Proof(f"rot in {Path(pattern).name}", f"{n_flips} flips, {n_cuts} cuts")
    draw, counts = random.Random(0), Counter[str]()
    for number in range(n_flips + n_cuts):
        name = draw.choice(names)
        size = max(1, (subject.folder / name).stat().st_size)
        damage = Damage(draw.randrange(size), draw.randrange(8) if number < n_flips else None)
        counts[examine(subject, name, damage, copy, proof)] += 1
    return conclude(proof, counts)


def damage_first_page(subject: Subject, copy: Path, step: int) -> Proof:
    """Flip every bit of the database's first page, its header and the definitions of its tables, or some."""
    places = (
        list(product(range(HEAD_BYTES), range(8)))
        if step == 1
        else [(n, n // step % 8) for n in range(0, HEAD_BYTES, step)]
    )
    proof, counts = Proof("rot in collection.sqlite, page 1", f"{len(places)} bits of {8 * HEAD_BYTES}"), Counter[str]()
    for position, bit in places:
        counts[examine(subject, "collection.sqlite", Damage(position, bit), copy, proof)] += 1
    return conclude(proof, counts)


def damage_count(subject: Subject, copy: Path, step: int) -> Proof:
    """Flip bits of the count of commits, cut it at each length, remove it: nothing of it may pass."""
    name = "collection.commits"
    whole = (subject.folder / name).read_bytes()
    flips = [Damage(n // 8, n % 8) for n in range(0, 8 * len(whole), step)]
    cuts = [Damage(n, None) for n in range(0, len(whole), step)]
    proof = Proof(f"rot in {name}", f"{len(flips)} bits of {8 * len(whole)}, {len(cuts)} cuts, removal")
    for damage in (*flips, *cuts, None):
        fresh_copy(subject.folder, copy)
        if damage is None:
            (copy / name).unlink()
        else:
            (copy / name).write_bytes(damage.apply(whole))
        outcome, findings = judge(subject, copy), verify_collection(copy, n_searches=1)
        if outcome != REFUSED or not findings:
            proof.faults.append(f"{name}, {damage or 'removed'}: {outcome}; verify finds {findings}")
    proof.result = f"each {REFUSED}, and {NAMED}"
    return proof


def damage_segment_heads(subject: Subject) -> Proof:
    """Flip every bit of the first 4 KiB of every file of one segment: opening it must see each."""
    with Collection.open(subject.folder) as collection:
        record = collection._loaded.segments[0].record
    proof = Proof("rot in a segment, first 4 KiB", "")
    n_flips = 0
    for path in sorted((subject.folder / "segments" / record.name).iterdir()):
        whole = path.read_bytes()
        for position, bit in product(range(min(HEAD_BYTES, len(whole))), range(8)):
            damage, n_flips = Damage(position, bit), n_flips + 1
            path.write_bytes(damage.apply(whole))
            try:
                open_segment(subject.folder / "segments", record)
                proof.faults.append(f"{path.name}, {damage}: was opened")
            except UnusableSegmentError:
                pass
        path.write_bytes(whole)
    proof.trials, proof.result = f"all {n_flips} bits", "each seen on open"
    return proof


def examine(subject: Subject, name: str, damage: Damage, copy: Path, proof: Proof) -> str:
    """Damage a fresh copy and return what comes of it; what must not come goes into the proof's faults."""
    fresh_copy(subject.folder, copy)
    whole = (copy / name).read_bytes()
    (copy / name).write_bytes(damage.apply(whole))
    try:
        outcome = judge(subject, copy)
    except Exception as error:
        outcome = REFUSED_LATER if is_typed(error) else f"{WRONG}: {type(error).__name__}: {error}"
    if outcome.startswith(WRONG):
        proof.faults.append(f"{name}, {damage}: {outcome}")
    return outcome.partition(":")[0]


def judge(subject: Subject, copy: Path) -> str:
    """Return what comes of a damaged collection."""
    try:
        collection = Collection.open(copy)
    except (WorkbenchError, OSError) as error:
        return REFUSED if is_typed(error) else f"{WRONG}: {type(error).__name__}: {error}"
    with collection:
        refusals, wrong = 0, []
        for check_name, check in list_checks(collection, subject.world).items():
            try:
                if not check():
                    wrong.append(check_name)
            except WorkbenchError:
                refusals += 1
            except KeyError:
                wrong.append(check_name)
        rebuilt = bool(collection.events)
        if wrong and isinstance(match_world(collection, subject.older), int):
            return f"{WRONG}: an older state, {'with' if rebuilt else 'without'} a word"
    if wrong:
        return f"{WRONG}: {', '.join(wrong)}"
    if refusals:
        return REFUSED_LATER
    findings = verify_collection(copy, n_searches=N_SEARCHES)
    if rebuilt:
        return f"{WRONG}: rebuilt, yet {findings[0]}" if findings else REBUILT
    return NAMED if findings else judge_sync(subject, copy)


def judge_sync(subject: Subject, copy: Path) -> str:
    """Return whether damage that changes nothing leaves the next sync as it should be."""
    if subject.after_sync is None:
        return HARMLESS
    try:
        with Collection.open(copy) as collection:
            sync(collection)
            faults = find_faults(collection, subject.after_sync)
        faults += [str(finding) for finding in verify_collection(copy, n_searches=N_SEARCHES)]
    except WorkbenchError as error:
        return f"{NAMED} by the next write: {error}"
    return f"{WRONG}: after a sync, {', '.join(faults)}" if faults else HARMLESS


def is_typed(error: Exception) -> bool:
    """Say whether an error tells a user what to mend."""
    return isinstance(error, WorkbenchError) or (isinstance(error, OSError) and error.filename is not None)


def conclude(proof: Proof, counts: Counter[str]) -> Proof:
    """Say in the result what came how often."""
    proof.result = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
    return proof


if __name__ == "__main__":
    run_script(prove)
