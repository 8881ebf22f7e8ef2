"""Run the engines in turn, each in a process of its own on the same cores, and bring their numbers together."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from retrieval_bench.engine import Task
from retrieval_bench.quality import Grades, compare_methods, summarise_quality
from workbench.errors import WorkbenchError

SCRIPTS = Path(__file__).parents[1]
SCALARS = ("load_seconds", "ingest_seconds", "open_seconds", "loaded_bytes", "peak_bytes", "disk_bytes", "n_vectors")
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class BenchError(WorkbenchError, RuntimeError):
    """A measurement did not come to its end."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """One engine with one setting, and the interpreter that has it."""

    engine: str
    setting: str
    python: Path
    model: str

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"{self.engine}/{self.setting}"


def run_task(python: Path, task: Task, cores: Sequence[int], module: str = "retrieval_bench.child") -> dict[str, Any]:
    """Run one task in a new process on `cores`, without a way to a hub, and return its result.

    Raises:
        BenchError: it failed; the message ends with what it said last.
    """
    with tempfile.TemporaryDirectory() as scratch:
        task_path, result_path = Path(scratch) / "task.json", Path(scratch) / "result.json"
        task_path.write_text(json.dumps(asdict(task)), encoding="utf-8")
        command = [str(python), "-m", module, str(task_path), str(result_path)]
        ended = subprocess.run(
            ["taskset", "-c", ",".join(map(str, cores)), *command],
            env=child_environment(len(cores)),
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode != 0:
            said = "\n".join(ended.stderr.strip().splitlines()[-15:])
            raise BenchError(f"{task.engine}/{task.setting} ended with {ended.returncode}; it said last:\n{said}")
        result: dict[str, Any] = json.loads(result_path.read_text(encoding="utf-8"))
        return result


def child_environment(n_threads: int) -> dict[str, str]:
    """Return the environment all engines get: equal threads, no hub, nothing of the caller's Python."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "WORKBENCH_HOME", "LANG") if name in os.environ}
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    return kept | dict.fromkeys(THREADS, str(n_threads)) | offline | {"PYTHONPATH": str(SCRIPTS)}


def run_rounds(
    contestants: Sequence[Contestant], task: Task, work: Path, *, repeats: int, cores: Sequence[int]
) -> dict[str, list[dict[str, Any]]]:
    """Run A B C A B C ...; only the first run of each ranks for quality. Returns the results by contestant."""
    results: dict[str, list[dict[str, Any]]] = {contestant.name: [] for contestant in contestants}
    for repeat in range(repeats):
        for contestant in contestants:
            store = work / "store"
            shutil.rmtree(store, ignore_errors=True)
            store.mkdir(parents=True)
            own = replace(
                task,
                engine=contestant.engine,
                setting=contestant.setting,
                model=contestant.model,
                store=str(store),
                depth=0 if repeat else task.depth,
                reranker=task.reranker if contestant.engine == "ours" and not repeat else "",
            )
            load = os.getloadavg()[0]
            result = run_task(contestant.python, own, cores) | {"load_before": load}
            results[contestant.name].append(result)
            print(f"run {repeat + 1}/{repeats} {contestant.name:20} {describe_run(result)}", flush=True)
    shutil.rmtree(work / "store", ignore_errors=True)
    return results


def describe_run(result: Mapping[str, Any]) -> str:
    """Return one line on one run."""
    hybrid = float(np.percentile(result["milliseconds"]["hybrid"], 50))
    return (
        f"load {result['load_seconds']:.1f} s, ingest {result['ingest_seconds']:.1f} s, hybrid p50 {hybrid:.1f} ms, "
        f"peak {result['peak_bytes'] / 2**20:.0f} MiB (machine's load before: {result['load_before']:.1f})"
    )


def summarise(results: Mapping[str, Sequence[Mapping[str, Any]]], grades: Grades) -> dict[str, dict[str, Any]]:
    """Return per contestant the medians over its runs, its quality and its gains."""
    summary: dict[str, dict[str, Any]] = {}
    for name, runs in results.items():
        row: dict[str, Any] = {key: median(run[key] for run in runs) for key in SCALARS}
        row["ingest_seconds_each"] = [run["ingest_seconds"] for run in runs]
        row["load_before_each"] = [run["load_before"] for run in runs]
        row["milliseconds"] = {
            method: {
                f"p{p}": median(float(np.percentile(run["milliseconds"][method], p)) for run in runs) for p in (50, 99)
            }
            for method in runs[0]["milliseconds"]
        }
        rankings = runs[0]["rankings"]
        row["quality"] = summarise_quality(rankings, grades)
        row["gains"] = compare_methods(rankings, grades)
        summary[name] = row | {"versions": runs[0]["versions"]}
    return summary


def compute_ratios(summary: Mapping[str, Mapping[str, Any]], ours: str) -> dict[str, dict[str, float]]:
    """Return per peer, at its better setting for each figure, how many times ours it takes, and our lead in nDCG@10."""
    mine = summary[ours]
    engines = {name.split("/")[0] for name in summary} - {ours.split("/", maxsplit=1)[0]}
    ratios: dict[str, dict[str, float]] = {}
    for engine in sorted(engines):
        rows = [row for name, row in summary.items() if name.split("/")[0] == engine]
        ratio = {
            key: min(row[key] for row in rows) / mine[key] for key in ("ingest_seconds", "peak_bytes", "disk_bytes")
        }
        for method in mine["milliseconds"].keys() & rows[0]["milliseconds"].keys():
            for p in ("p50", "p99"):
                theirs = min(row["milliseconds"][method][p] for row in rows)
                ratio[f"{method} {p}"] = theirs / mine["milliseconds"][method][p]
        for method in mine["quality"].keys() & rows[0]["quality"].keys():
            theirs = max(row["quality"][method]["ndcg@10"]["mean"] for row in rows)
            ratio[f"{method} ndcg@10, ours minus theirs"] = mine["quality"][method]["ndcg@10"]["mean"] - theirs
        ratios[engine] = dict(sorted(ratio.items()))
    return ratios
