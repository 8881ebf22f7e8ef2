"""After a purge no byte of what was purged is left in the folder, whatever went before: edits, moves, merges, kills.

Everything a secret document ever was is turned into canaries here, not by the code on trial: its words (UTF-8, UTF-16
of both byte orders, and as hashed in the index), names, title, metadata, readers and fingerprints, and its chunks'
vectors (float32, float16; three pieces of each, since a database splits long rows). Each kind must be found before the
purge, or the search would prove nothing.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from tests.knowledge.fakes import cut_paragraphs, embed_text
from tests.knowledge.proofs.lives import KEEPERS, N_STEPS, Life, live, purge, purge_gradually
from tests.knowledge.proofs.proof import Proof, fresh_copy, run_script, small_steps, workspace
from tests.knowledge.proofs.tracing import record_calls, require_strace, run_killed_at
from tests.knowledge.proofs.verbs import embed_other
from workbench.errors import WorkbenchError
from workbench.knowledge import Collection
from workbench.knowledge.analysis import hash_words
from workbench.knowledge.verify import verify_collection
from workbench.types import Document, Float32

PIECE = 16  # bytes of a vector
Canaries = dict[bytes, str]  # the kind of each


def prove(full: bool) -> Iterator[Proof]:
    """Yield the proofs; the short version needs no strace."""
    with small_steps(), workspace() as folder:
        yield purge_after_lives(folder, 60 if full else 3)
        if full:
            require_strace()
            yield kill_purge_everywhere(folder)


def purge_after_lives(folder: Path, n_lives: int) -> Proof:
    """Purge after random histories."""
    proof = Proof("purge after any history", f"{n_lives} histories of {N_STEPS} steps")
    before, n_canaries, n_bytes = Counter[str](), 0, 0
    for seed in range(n_lives):
        life = live(folder / f"life-{seed}", random.Random(seed))
        canaries = make_canaries(life.ever)
        before.update(canaries[one] for one in find_canaries(life.folder, canaries))
        purge_gradually(life)
        n_canaries, n_bytes = n_canaries + len(canaries), n_bytes + count_bytes(life.folder)
        proof.faults += [f"history {seed}: {fault}" for fault in find_faults(life, canaries)]
    for kind in {"text", "name", "word", "vector", "fingerprint"} - before.keys():
        proof.faults.append(f"before: no {kind} canary was there to be purged, so nothing is proved of that kind")
    seen = ", ".join(f"{count} of {kind}" for kind, count in sorted(before.items()))
    proof.result = f"{n_canaries} canaries sought in {n_bytes / 2**20:.1f} MiB; there before: {seen}"
    return proof


def kill_purge_everywhere(folder: Path) -> Proof:
    """Kill a purge at each of its writing calls; the next one must leave nothing."""
    life = live(folder / "killed", random.Random(99))
    original = fresh_copy(life.folder, folder / "original")
    canaries = make_canaries(life.ever)
    work = partial(purge, life.folder, life.ids)
    calls = record_calls(work, folder / "log")
    proof = Proof("purge, killed and purged again", f"{len(calls)} writing calls, each killed")
    for call in calls:
        fresh_copy(original, life.folder)
        run_killed_at(work, call)
        purge(life.folder, life.ids)
        proof.faults += [f"{call}: {fault}" for fault in find_faults(life, canaries)]
    proof.result = f"{len(canaries)} canaries sought after each"
    return proof


def make_canaries(documents: Sequence[Document]) -> Canaries:
    """Return all that may not be found, with its kind."""
    canaries: Canaries = {}
    for document in documents:
        for kind, texts in (
            ("text", document.text.split()),
            ("name", [document.id.removesuffix(".md"), document.title, *facts_of(document)]),
            ("fingerprint", [document.fingerprint]),
        ):
            for text in texts:
                canaries |= {text.encode(encoding): kind for encoding in ("utf-8", "utf-16-le", "utf-16-be")}
        for number in hash_words(document.text):
            canaries[number.to_bytes(8, "little")] = "word"
        for chunk in cut_paragraphs([document]):
            for embed in (embed_text, embed_other):
                canaries |= dict.fromkeys(take_pieces(embed(chunk.indexed_text)), "vector")
    return canaries


def facts_of(document: Document) -> list[str]:
    """Return the words in a secret's metadata and readers."""
    tags = document.metadata["tags"]
    assert isinstance(tags, tuple) and document.readers is not None
    return [str(document.metadata["author"]), *tags, *document.readers]


def take_pieces(vector: Float32) -> Iterator[bytes]:
    """Yield pieces of a vector, in both precisions."""
    for whole in (vector.astype("<f4").tobytes(), vector.astype("<f2").tobytes()):
        middle = len(whole) // 2 // 4 * 4
        yield from (whole[:PIECE], whole[middle : middle + PIECE], whole[-PIECE:])


def find_canaries(folder: Path, canaries: Canaries) -> Iterator[bytes]:
    """Yield each canary that some byte of some file, or the name of one, still shows."""
    contents = [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()]
    contents.append("\n".join(str(path.relative_to(folder)) for path in folder.rglob("*")).encode())
    for canary in canaries:
        if any(canary in content for content in contents):
            yield canary


def find_faults(life: Life, canaries: Canaries) -> Iterator[str]:
    """Yield what a purge left, and what it did to those that stay."""
    for canary in find_canaries(life.folder, canaries):
        yield f"a {canaries[canary]} is still there: {canary[:40]!r}"
    try:
        with Collection.open(life.folder) as collection:
            if [collection.document(one.id) for one in KEEPERS] != KEEPERS or collection.n_documents != len(KEEPERS):
                yield "not exactly the keepers are left"
        yield from (str(finding) for finding in verify_collection(life.folder, n_searches=2))
    except WorkbenchError as error:
        yield f"it cannot be read any more: {error}"


def count_bytes(folder: Path) -> int:
    """Return how many bytes the files of a folder have."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    run_script(prove)
