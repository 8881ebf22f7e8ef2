"""Run contestants in turn, each training in a process of its own, and bring their numbers together."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from retrieval_bench.compare import THREADS, BenchError

import workbench
from training_bench.task import Task

SCRIPTS = Path(__file__).parents[1]
SOURCES = Path(workbench.__file__).parents[1]
KEPT = ("PATH", "HOME", "WORKBENCH_HOME", "LANG", "CUDA_VISIBLE_DEVICES")
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}


@dataclass(frozen=True, slots=True)
class Host:
    """Where a contestant runs."""

    python: Path
    path: tuple[Path, ...]  # folders that come first on its module path
    n_threads: int
    least_bytes: int = 0  # memory that has to be free before it starts


def run_task(task: Task, host: Host) -> dict[str, Any]:
    """Run one task in a new process without a way to a hub, and return its result.

    Raises:
        BenchError: too little memory is free, or it failed; the message ends with what it said last.
    """
    free = psutil.virtual_memory().available
    if free < host.least_bytes:
        raise BenchError(
            f"{task.contestant} may need {host.least_bytes / 2**30:.0f} GiB for these rows, {free / 2**30:.1f} are "
            f"free; end other processes, or set --peer-memory-gib, or leave the reader out: --roads closed_book"
        )
    with tempfile.TemporaryDirectory() as scratch:
        task_path, result_path = Path(scratch) / "task.json", Path(scratch) / "result.json"
        fields = asdict(replace(task, folder=str(Path(scratch) / "kept")))
        task_path.write_text(json.dumps(fields), encoding="utf-8")
        environment = {name: os.environ[name] for name in KEPT if name in os.environ}
        environment |= dict.fromkeys(THREADS, str(host.n_threads)) | OFFLINE
        ended = subprocess.run(
            [str(host.python), "-m", "training_bench.child", str(task_path), str(result_path)],
            env=environment | {"PYTHONPATH": os.pathsep.join(map(str, (*host.path, SCRIPTS, SOURCES)))},
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode != 0:
            said = "\n".join(ended.stderr.strip().splitlines()[-15:])
            raise BenchError(f"{task.contestant}/{task.setting} ended with {ended.returncode}; it said last:\n{said}")
        result: dict[str, Any] = json.loads(result_path.read_text(encoding="utf-8"))
        return result


RunTask = Callable[[Task, Host], dict[str, Any]]


def run_rounds(
    tasks: Sequence[Task], hosts: Mapping[str, Host], *, rounds: int, run: RunTask = run_task
) -> dict[str, list[dict[str, Any]]]:
    """Run A B A B ...; return the results by contestant and setting."""
    results: dict[str, list[dict[str, Any]]] = {name_of(task): [] for task in tasks}
    for number in range(rounds):
        for task in tasks:
            load = os.getloadavg()[0]
            result = run(task, hosts[task.contestant]) | {"load_before": load}
            results[name_of(task)].append(result)
            steps = " ".join(f"{seconds:.2f}" for seconds in result["step_seconds"])
            print(
                f"run {number + 1}/{rounds} {name_of(task):14} peak {result['peak_bytes'] / 2**20:.0f} MiB, first loss "
                f"{result['losses'][0]:.4f}, steps {steps} s (machine's load before: {load:.1f})",
                flush=True,
            )
    return results


def name_of(task: Task) -> str:
    """What tables call it."""
    return f"{task.contestant}/{task.setting}"


def best_steps(runs: Sequence[Mapping[str, Any]]) -> list[float]:
    """Return for each step the least seconds of all runs: what other processes took from it is left out."""
    return [min(times) for times in zip(*(run["step_seconds"] for run in runs), strict=True)]


def summarise(runs: Sequence[Mapping[str, Any]], step_tokens: Sequence[int], *, n_warm: int) -> dict[str, Any]:
    """Return tokens a second over the steps after the first `n_warm`, seconds besides the steps, and peaks.

    Args:
        step_tokens: tokens of each step's rows, padding left out.
    """
    steps = best_steps(runs)
    return {
        "tokens_a_second": sum(step_tokens[n_warm:]) / sum(steps[n_warm:]),
        "step_seconds": steps,
        "other_seconds": min(run["seconds"] - sum(run["step_seconds"]) for run in runs),
        "peak_bytes": median(run["peak_bytes"] for run in runs),
        "loaded_bytes": median(run["loaded_bytes"] for run in runs),
        "planned_bytes": runs[0].get("planned_bytes"),
        "losses": runs[0]["losses"],
        "versions": runs[0]["versions"],
    }


def refuse_different_tasks(ours: Mapping[str, Any], theirs: Mapping[str, Any], *, most: float = 1e-3) -> float:
    """Return how far the losses of the first step lie apart, in nats: the adapter changes nothing yet.

    Raises:
        BenchError: by `most` or more: they do not train on the same.
    """
    apart = float(abs(ours["losses"][0] - theirs["losses"][0]))
    if apart >= most:
        raise BenchError(
            f"the first step's loss is {ours['losses'][0]:.5f} for us and {theirs['losses'][0]:.5f} for the peer: they "
            f"lie {apart:.2g} apart, {most} or more, so they do not train on the same rows"
        )
    return apart
