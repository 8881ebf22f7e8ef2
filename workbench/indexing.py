"""The index stage of an experiment: its collection brought in line with its corpus, begun with a lender's if one fits.

Beside `bench.py` on the same floor, which owns the order of the stages; the collection itself is knowledge/.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any, NoReturn

from tqdm import tqdm

from workbench.corpus import chunk_documents, cutter_version
from workbench.hardware import PeakMemory
from workbench.inputs import index_inputs
from workbench.knowledge import Collection
from workbench.metering import Meter
from workbench.parts import Parts
from workbench.processes import process_rank
from workbench.runs import Run, fingerprint, new_folder


def bring_in_line(parts: Parts, run: Run) -> tuple[dict[str, Any], bool]:
    """Embed what is new or changed unless that was done; return what the stage recorded, and whether it was reused."""
    _borrow_a_collection(parts, run)
    _forget_a_lost_collection(parts, run)
    before = run.last_result("index") or {"seconds_in_all": 0.0, "joules_in_all": 0.0}
    return run.stage("index", index_inputs(parts), lambda _: _index(parts, before))


def _borrow_a_collection(parts: Parts, run: Run) -> None:
    """Begin with a lender's collection where there is none yet: only what differs is embedded."""
    folder, identity = parts.collection_folder, parts.embedder.identity
    if not run.lenders or Collection.exists(folder):
        return
    for lender in run.lenders:
        if Collection.exists(lender / folder.name):
            with Collection.open(lender / folder.name, index=parts.config.index) as lent:
                same = lent.identity == identity
            if same:
                with new_folder(folder) as copied:
                    shutil.copytree(lender / folder.name, copied, dirs_exist_ok=True)
                return


def _forget_a_lost_collection(parts: Parts, run: Run) -> None:
    """A stage that is done is worth nothing if its collection was removed or replaced."""
    done = run.last_result("index")
    if done is None or process_rank() > 0:
        return
    if Collection.exists(parts.collection_folder):
        with Collection.open(parts.collection_folder, index=parts.config.index) as collection:
            if collection.fingerprint == done["fingerprint"]:
                return
    run.forget("index")


def _index(parts: Parts, before: Mapping[str, Any]) -> dict[str, Any]:
    started, embedder, folder = time.perf_counter(), parts.embedder, parts.collection_folder
    chunk = partial(chunk_documents, offsets=embedder, config=parts.config.chunking)
    find = Collection.open if Collection.exists(folder) else Collection.create
    with (
        Meter() as meter,
        PeakMemory() as peak,
        find(folder, embedder.identity, index=parts.config.index) as collection,
        tqdm(desc="embed") as bar,
    ):
        report = collection.update(
            parts.corpus.documents,
            chunk,
            embedder.embed_documents,
            settings=fingerprint(parts.config.chunking, cutter_version()),
            on_progress=partial(_show_progress, bar),
        )
        seconds = time.perf_counter() - started
        stage = {
            "fingerprint": collection.fingerprint,
            "update": asdict(report),
            "events": list(collection.events),
            "seconds": seconds,
            "seconds_in_all": before.get("seconds_in_all", 0.0) + seconds,
            "peak_bytes": peak.rss_bytes,
        }
    spent = [meter.joules, before.get("joules_in_all")]
    known = [joules for joules in spent if joules is not None]
    return stage | {"joules_in_all": sum(known) if len(known) == len(spent) else None}


def _show_progress(bar: tqdm[NoReturn], done: int, total: int) -> None:
    bar.total = total
    bar.update(done - bar.n)
