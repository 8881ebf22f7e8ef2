"""Readers beside a writer beside a rival: every answer belongs to one committed state, and the rival is turned away.

State n is a function of n alone, so a reader that sees a number knows all that the collection must hold and answer.
The writer steps from state to state; now and then it holds the lock for longer than a rival is made to wait.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np

from tests.knowledge.fakes import IDENTITY, HashEmbedder, cut_paragraphs, embed_text, make_document
from tests.knowledge.proofs.oracle import score_words
from tests.knowledge.proofs.proof import Proof, run_proofs, workspace
from workbench.errors import BusyError
from workbench.knowledge import Collection
from workbench.types import Chunk, Document, Float32

N_DOCUMENTS, N_READERS = 24, 8
N_LINES = 4
REFUSED_SECONDS = 2.0
HOLD_SECONDS = 2.5  # longer than a rival waits for the lock
HOLD_EVERY = 25  # states
GRACE_SECONDS = 60.0  # after which a process that still runs is one that hangs
FULL_SECONDS, SHORT_SECONDS = 600.0, 4.0


def make_state(number: int) -> list[Document]:
    """Return the documents of a state: two thirds of all, each with the state's number in its text and metadata."""
    kept = random.Random(number).sample(range(N_DOCUMENTS), 2 * N_DOCUMENTS // 3)
    return [make_member(place, number) for place in sorted(kept)]


def make_member(place: int, number: int) -> Document:
    """Return one document of a state. All but its first line stays from state to state, so rows and vectors do too."""
    lines = [f"state {number} brass lamp", *(f"lens {place} {line} of glass" for line in range(1, N_LINES))]
    return replace(make_document(f"m{place:02}", "\n".join(lines)), metadata={"state": number})


def prove(full: bool) -> Iterator[Proof]:
    """Yield the proof of one crowd."""
    yield gather(FULL_SECONDS if full else SHORT_SECONDS)


def gather(seconds: float) -> Proof:
    """Run the crowd and read its reports."""
    proof = Proof("readers, a writer and a rival", f"{N_READERS} + 1 + 1 processes, {seconds:g} s")
    with workspace() as folder:
        with Collection.create(folder / "c", IDENTITY) as collection:
            collection.update(make_state(0), cut_paragraphs, HashEmbedder().embed_documents)
        until = time.time() + seconds
        roles = ["write", "rival", *["read"] * N_READERS]
        forked = multiprocessing.get_context("fork")  # a fresh interpreter would be a second of work for each
        processes = []
        for number, role in enumerate(roles):
            processes.append(forked.Process(target=act, args=(role, folder, until, folder / f"{number}")))
            processes[-1].start()
        reports = [
            read_report(process, role, proof, until + GRACE_SECONDS, folder / f"{number}")
            for number, (process, role) in enumerate(zip(processes, roles, strict=True))
        ]
        with Collection.open(folder / "c") as collection:
            last = collection.documents()[0].metadata["state"]
            proof.faults += [f"the end: {fault}" for fault in find_torn(collection)]
    judge_reports(proof, dict(zip(("write", "rival"), reports[:2], strict=True)), reports[2:], int(str(last)), seconds)
    return proof


def act(role: str, folder: Path, until: float, report: Path) -> None:
    """Be one of the crowd and leave a report.

    Into files, not pipes: nobody empties a pipe before the process ahead has ended, and a full one stops its writer. So
    a rival that warned of an unemptied log once too often kept the writer lock for ever.
    """
    with report.with_suffix(".stderr").open("w") as cries:
        os.dup2(cries.fileno(), sys.stderr.fileno())
    report.write_text(json.dumps({"write": write, "rival": rival, "read": read}[role](folder / "c", until)))


def read_report(process: BaseProcess, role: str, proof: Proof, until: float, report: Path) -> dict[str, list[float]]:
    """Wait for one process and return what it reports; a crash is a fault, and so is one that does not end."""
    process.join(max(1.0, until - time.time()))
    if process.exitcode is None:
        process.kill()
        process.join()
        proof.faults.append(f"{role}: did not end")
        return {}
    if process.exitcode:
        cries = report.with_suffix(".stderr").read_text()
        proof.faults.append(f"{role}: ended with {process.exitcode}: {cries.strip()[-300:]}")
        return {}
    content = json.loads(report.read_text())
    proof.faults += [f"{role}: {fault}" for fault in content.pop("faults")]
    return dict(content)


def judge_reports(
    proof: Proof,
    others: dict[str, dict[str, list[float]]],
    readers: Sequence[dict[str, list[float]]],
    last: int,
    seconds: float,
) -> None:
    """Add what the reports say to the proof."""
    refusals = sorted(others["rival"].get("refusals", []))
    n_looks = int(sum(sum(reader.get("looks", [])) for reader in readers))
    n_states = max((int(sum(reader.get("states", []))) for reader in readers), default=0)
    if not refusals:
        proof.faults.append("rival: was never refused, so nothing was proved")
    if refusals and refusals[-1] > REFUSED_SECONDS:
        proof.faults.append(f"rival: waited {refusals[-1]:.2f} s")
    if min((sum(reader.get("looks", [])) for reader in readers), default=0) == 0:
        proof.faults.append("read: one reader never looked")
    times, log_bytes = np.array(refusals or [0.0]), max(others["write"].get("log_bytes", [0.0]))
    proof.result = (
        f"{last} states, {n_looks} looks ({n_looks / seconds:.0f} a second, up to {n_states} states a reader), 0 torn "
        f"unless listed; rival refused {len(refusals)}x: p50 {np.percentile(times, 50):.2f} s, "
        f"p99 {np.percentile(times, 99):.2f} s, slowest {times.max():.2f} s; log at most {log_bytes / 2**20:.1f} MiB"
    )


def hold_and_embed(texts: Sequence[str]) -> Float32:
    """Embed slowly, so that the writer keeps its lock."""
    time.sleep(HOLD_SECONDS)
    return HashEmbedder().embed_documents(texts)


def write(folder: Path, until: float) -> dict[str, object]:
    """Step from state to state, and say how large the write-ahead log became."""
    number, largest = 0, 0
    log = folder / "collection.sqlite-wal"
    while time.time() < until:
        number += 1
        embed = hold_and_embed if number % HOLD_EVERY == 1 else HashEmbedder().embed_documents
        while time.time() < until:
            try:
                with Collection.open(folder, IDENTITY) as collection:
                    collection.update(make_state(number), cut_paragraphs, embed)
                break
            except BusyError:  # the rival may hold the lock for a moment
                continue
        largest = max(largest, log.stat().st_size if log.exists() else 0)
    return {"faults": [], "log_bytes": [largest]}


def rival(folder: Path, until: float) -> dict[str, object]:
    """Try to write all the time; a refusal has to name a living process and come soon."""
    refusals: list[float] = []
    faults: list[str] = []
    with Collection.open(folder) as collection:
        while time.time() < until:
            begun = time.monotonic()
            try:
                collection.delete([])
                time.sleep(0.05)
            except BusyError as error:
                refusals.append(time.monotonic() - begun)
                holder = re.search(r"by process (\d+)", str(error))
                if (
                    holder is None
                    or not Path(f"/proc/{holder.group(1)}").exists()
                    or int(holder.group(1)) == os.getpid()
                ):
                    faults.append(f"refused by no living process: {error}")
    return {"faults": faults, "refusals": refusals}


def read(folder: Path, until: float) -> dict[str, object]:
    """Look at one state after the other, through one object that is refreshed and through new ones."""
    looks, seen, faults, number = 0, set[int](), list[str](), 0
    collection = Collection.open(folder, IDENTITY)
    while time.time() < until and len(faults) < 5:
        if looks % 10 == 9:
            collection.close()
            collection = Collection.open(folder, IDENTITY)
        else:
            collection.refresh()
        faults += find_torn(collection)
        before, number = number, int(str(collection.documents()[0].metadata["state"]))
        if number < before:
            faults.append(f"state {number} came after state {before}")
        looks, seen = looks + 1, seen | {number}
        faults += [f"it rebuilt an index: {event}" for event in collection.events]
    collection.close()
    return {"faults": faults, "looks": [looks], "states": [len(seen)]}


def find_torn(collection: Collection) -> Iterator[str]:
    """Yield all in which a collection is not the state whose number it shows first."""
    found = collection.search_words("state", k=1)
    number = int(collection.chunks([found[0][0]])[0].text.split()[1])
    documents = make_state(number)
    chunks = sorted(cut_paragraphs(documents), key=lambda chunk: chunk.id)
    if [collection.document(facts.id) for facts in collection.documents()] != documents:
        yield f"documents are not those of state {number}"
    if collection.all_chunks() != chunks:
        yield f"chunks are not those of state {number}"
    question = f"state {number} lens 3"
    yield from compare(collection.search_words(question, k=999), score_words(chunks, question), f"words of {number}")
    yield from compare(
        collection.search_vectors(embed_text(question), k=999), score_vectors(chunks, question), f"vectors of {number}"
    )


def score_vectors(chunks: Sequence[Chunk], question: str) -> dict[str, float]:
    """Inner products with all chunks."""
    vector = embed_text(question).astype(np.float64)
    return {chunk.id: float(embed_text(chunk.indexed_text) @ vector) for chunk in chunks}


def compare(found: Sequence[tuple[str, float]], wanted: dict[str, float], what: str) -> Iterator[str]:
    """Yield a fault where a search did not find just what it should."""
    if {id_ for id_, _ in found} != wanted.keys() or any(abs(score - wanted[id_]) > 1e-5 for id_, score in found):
        yield f"{what} are torn"


def main() -> None:
    """Gather a crowd, for as long as was asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--seconds", type=float)
    chosen = parser.parse_args()
    sys.exit(not run_proofs((gather(one) for one in [chosen.seconds]) if chosen.seconds else prove(chosen.full)))


if __name__ == "__main__":
    main()
