"""Train one contestant in this process: python -m training_bench.child TASK.json RESULT.json. Imports no workbench."""

from __future__ import annotations

import importlib.metadata
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from training_bench.task import Task, read_rows

PACKAGES = ("torch", "transformers", "peft", "accelerate", "trl", "workbench")


def train(task: Task) -> dict[str, Any]:
    """Load, train, and score if asked to; return seconds, losses and bytes."""
    rows, held_out = read_rows(task.rows)
    if task.contestant == "ours":
        from training_bench.ours import Ours as Contestant
    elif task.contestant == "trl":
        from training_bench.peer_trl import Trl as Contestant  # type: ignore[assignment]
    else:
        raise ValueError(f"no contestant {task.contestant!r}; there are ours, trl")
    contestant = Contestant(task, rows)
    loaded = peak_bytes(task.device)
    started = time.perf_counter()
    found = contestant.train()
    seconds = time.perf_counter() - started
    found |= {"seconds": seconds, "loaded_bytes": loaded, "peak_bytes": peak_bytes(task.device)}
    if task.held_out:
        from training_bench.scoring import score_rows

        found["held_out_loss"] = score_rows(contestant.adapted(), held_out)
    return found | {"versions": find_versions()}


def clocked(work: Callable[[], Any], device: str) -> tuple[float, Any]:
    """Return the seconds `work()` took and what it returned; a GPU has done all of it."""
    started = read_clock(device)
    value = work()
    return read_clock(device) - started, value


def read_clock(device: str) -> float:
    """Return seconds on a monotonic clock, once `device` has done what it was given."""
    if device == "cuda":
        import torch

        torch.cuda.synchronize()
    return time.perf_counter()


def peak_bytes(device: str) -> int:
    """Return the most memory this process ever held: torch's on a GPU, else all of it.

    VmHWM: getrusage would count what the parent held before.
    """
    if device == "cuda":
        import torch

        return torch.cuda.max_memory_allocated()
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) * 1024


def find_versions() -> dict[str, str]:
    """Return the versions of what is installed here of the packages that decide the numbers."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def main() -> None:
    """Read the task, write the result."""
    task_path, result_path = map(Path, sys.argv[1:])
    fields = json.loads(task_path.read_text(encoding="utf-8"))
    fields["order"] = tuple(map(tuple, fields["order"]))
    task = Task(**fields | {"rates": tuple(fields["rates"])})
    result_path.write_text(json.dumps(train(task)), encoding="utf-8")


if __name__ == "__main__":
    main()
