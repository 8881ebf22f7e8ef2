"""The index stage of an experiment: its collection brought in line with its corpus, begun with a lender's if one fits.

Beside `bench.py` on the same floor, which owns the order of the stages; the collection itself is knowledge/.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
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


def bring_in_line(parts: Parts, run: Run, *, grow_lent: bool = True) -> tuple[dict[str, Any], bool]:
    """Embed what is new or changed unless that was done; return what the stage recorded, and whether it was reused.

    Args:
        grow_lent: begin with a lender's collection that holds something else, too, and embed what differs; its
            seconds are then those of the difference. False: take one only where it is what this run would build.
    """
    inputs = index_inputs(parts)
    _borrow_a_collection(parts, run, inputs, grow_lent=grow_lent)
    _forget_a_lost_collection(parts, run)
    before = run.last_result("index") or {"seconds_in_all": 0.0, "joules_in_all": 0.0}
    # The stage of another run describes that run's collection: it is lent to whoever has that one, and to nobody else.
    lending = Run(run.folder, lenders=_lenders_of_this_collection(parts, run, inputs))
    return lending.stage("index", inputs, lambda _: _index(parts, before))


def _borrow_a_collection(parts: Parts, run: Run, inputs: str, *, grow_lent: bool) -> None:
    """Begin with a lender's collection where there is none yet; best with one that was built from equal inputs."""
    folder, identity = parts.collection_folder, parts.embedder.identity
    if not run.lenders or Collection.exists(folder):
        return
    equal = [lender for lender in run.lenders if _indexed(lender, inputs) is not None]
    others = [lender for lender in run.lenders if lender not in equal] if grow_lent else []
    for lender in (*equal, *others):
        if Collection.exists(lender / folder.name):
            with Collection.open(lender / folder.name, index=parts.config.index) as lent:
                done = _indexed(lender, inputs)
                same = lent.identity == identity and (grow_lent or (done or {}).get("fingerprint") == lent.fingerprint)
            if same:
                with new_folder(folder) as copied:
                    shutil.copytree(lender / folder.name, copied, dirs_exist_ok=True)
                return


def _lenders_of_this_collection(parts: Parts, run: Run, inputs: str) -> list[Path]:
    """Return the lenders that indexed from equal inputs what the run's own collection holds."""
    found = {lender: done for lender in run.lenders if (done := _indexed(lender, inputs)) is not None}
    if not found or not Collection.exists(parts.collection_folder):
        return []
    with Collection.open(parts.collection_folder, index=parts.config.index) as own:
        return [lender for lender, done in found.items() if done["fingerprint"] == own.fingerprint]


def _indexed(lender: Path, inputs: str) -> dict[str, Any] | None:
    return Run(lender).stage_done("index", inputs) if lender.is_dir() else None


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
