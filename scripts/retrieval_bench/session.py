"""One run of scripts/bench_retrieval.py: from its arguments to the printed tables and the JSON beside them."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from retrieval_bench.compare import BenchError, Contestant, compute_ratios, run_rounds, summarise
from retrieval_bench.engine import Task
from retrieval_bench.quality import Grades
from retrieval_bench.slice import cut_folder
from retrieval_bench.table import format_comparison
from retrieval_bench.verify import LIMIT, compare_with_reference, format_reference
from workbench.evaluation.beir import read_beir
from workbench.hardware import describe_machine
from workbench.models import find_model
from workbench.runs import write_json


def compare_engines(arguments: argparse.Namespace, work: Path) -> int:
    """Run ours and the peers in turn, print the tables, write `comparison.json`."""
    folder, grades = prepare_folder(arguments, work)
    task = Task("", "", str(folder), "", "", split=arguments.split, reranker=arguments.rerank)
    cores = choose_cores(arguments.cores)
    results = run_rounds(list_contestants(arguments), task, work, repeats=arguments.repeats, cores=cores)
    summary = summarise(results, grades)
    ratios = compute_ratios(summary, next(iter(summary)))
    print("\n" + format_comparison(summary, ratios))
    found = {"data": describe_data(arguments, grades), "cores": cores, "machine": describe_machine()}
    write_json(arguments.out / "comparison.json", found | {"engines": summary, "theirs_over_ours": ratios})
    print(f"\nall figures: {arguments.out / 'comparison.json'}")
    return 0


def verify_reference(arguments: argparse.Namespace, work: Path) -> int:
    """Compare our scores with the reference libraries'; 1 where nDCG@10 lies more than LIMIT points apart."""
    folder, grades = prepare_folder(arguments, work)
    (work / "store").mkdir()
    task = Task(
        engine="ours",
        setting=arguments.ours.split(",")[0],
        folder=str(folder),
        model=arguments.model,
        store=str(work / "store"),
        split=arguments.split,
        rounds=0,
        export=str(work / "export.json"),
    )
    found, versions = compare_with_reference(
        task,
        grades,
        ours=Path(sys.executable),
        peers=peer_python(arguments),
        model=find_model(arguments.model, kind="embedder").folder,
        cores=choose_cores(arguments.cores),
    )
    print(format_reference(found))
    print(f"our vectors: {versions['backend']}")
    data = describe_data(arguments, grades)
    write_json(arguments.out / "reference.json", {"data": data, "ours": versions, "methods": found})
    return int(any(row["points_apart"] > LIMIT for row in found.values()))


def prepare_folder(arguments: argparse.Namespace, work: Path) -> tuple[Path, Grades]:
    """Return the folder to measure on and its judgments; reading it also checks it and warms the page cache."""
    folder = arguments.folder.resolve()
    if arguments.documents:
        folder = cut_folder(folder, work / "slice", n_documents=arguments.documents, split=arguments.split)
    read = read_beir(folder, split=arguments.split)
    print(
        f"{len(read.documents)} documents, {len(read.questions)} judged questions; {read.n_unjudged} without judgments"
    )
    return folder, read.grades


def list_contestants(arguments: argparse.Namespace) -> list[Contestant]:
    """Return ours with each of its settings first, then each peer with each of theirs."""
    own = Path(sys.executable)
    contestants = [Contestant("ours", setting, own, arguments.model) for setting in arguments.ours.split(",")]
    folder = str(find_model(arguments.model, kind="embedder").folder)
    for peer in filter(None, arguments.peers.split(",")):
        contestants += [
            Contestant(peer, setting, peer_python(arguments), folder) for setting in arguments.settings.split(",")
        ]
    return contestants


def peer_python(arguments: argparse.Namespace) -> Path:
    """Return the peers' interpreter.

    Raises:
        BenchError: none is given, or it does not exist.
    """
    if arguments.peer_python is None or not arguments.peer_python.exists():
        raise BenchError(
            f"the peers' interpreter is {arguments.peer_python}; make an environment from "
            "scripts/retrieval_bench/peers.txt and give --peer-python PEERS/bin/python, or none: --peers ''"
        )
    return Path(os.path.abspath(arguments.peer_python))  # noqa: PTH100  (resolving the link would leave its environment)


def choose_cores(wanted: int) -> list[int]:
    """Return the first cores this process may use.

    Raises:
        BenchError: there are fewer.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < wanted:
        raise BenchError(f"{wanted} cores are wanted, this process may use {len(cores)}; set --cores {len(cores)}")
    return cores[:wanted]


def describe_data(arguments: argparse.Namespace, grades: Grades) -> dict[str, Any]:
    """Return what the figures are about."""
    kept = {"folder": arguments.folder.name, "split": arguments.split, "model": arguments.model}
    return kept | {"documents": arguments.documents or "all", "questions": len(grades), "repeats": arguments.repeats}
