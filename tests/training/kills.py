"""Trainings killed with SIGKILL and continued, each in a process of its own: what they leave against the unbroken run.

    python -m tests.training.kills --steps 50        every step, every call that writes; prints one line a kind

Not a test file: test_kills.py runs the short form, in a process of its own, since it forks and threads do not survive.
The parent itself never computes: a child forked after OpenMP has made its threads waits for them forever.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from tests.tiny import load_tiny, make_job
from workbench.models import fetch_model
from workbench.training import TrainingJob, loop, train_adapter
from workbench.training.updates import Updater

WRITES = ("fsync", "replace", "rename", "mkdir", "unlink", "rmdir")  # of os, as runs.py and shutil call them
TIMED = "seconds"
ENTERED: list[Any] = []


def make_long_job(n_steps: int) -> TrainingJob:
    """A training of `n_steps` steps with dropout, shuffling and accumulation on."""
    changes = {"epochs": n_steps // 2, "micro_batch_size": 2, "dropout": 0.1, "evaluations": 5}
    return make_job(load_tiny()[1], **changes)


def run_apart(work: Callable[[], object]) -> int:
    """Call `work` in a forked process; return its exit status, negative for the signal that ended it."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def train_apart(job: TrainingJob, folder: Path, prepare: Callable[[], None] = lambda: None) -> int:
    """Train in a forked process after `prepare()`; return its exit status, negative for the signal that ended it."""

    def train() -> None:
        loop.SECONDS_BETWEEN_CHECKPOINTS = 0.0  # one a step: a kill falls near a write
        prepare()
        train_adapter(job, load_tiny()[0], folder, pad_id=0)

    return run_apart(train)


def digest(folder: Path) -> dict[str, str]:
    """Return SHA-256 of adapter, optimizer state and loss log (clock times left out)."""
    progress: dict[str, Any] = json.loads((folder / "checkpoint/progress.json").read_text())
    progress.pop(TIMED), progress.pop("planned_bytes")
    found = {"log": hashlib.sha256(json.dumps(progress, sort_keys=True).encode()).hexdigest()}
    for name in ("adapter/adapter_model.safetensors", "checkpoint/state.safetensors"):
        found[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    return found


def kill_at_step(step: int) -> Callable[[], None]:
    """Return a preparation that ends the process in the middle of step `step` (from 1)."""

    def prepare() -> None:
        accumulate, calls = Updater._accumulate, list[int]()

        def dying(self: Updater, batch: Any, n_tokens: int) -> float:
            calls.append(1)
            total = accumulate(self, batch, n_tokens)
            if len(calls) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return total

        Updater._accumulate = dying  # type: ignore[method-assign]

    return prepare


@contextmanager
def counted(on_call: Callable[[], None]) -> Iterator[None]:
    """Call `on_call` before every call that writes, safetensors' included."""
    before = {name: getattr(os, name) for name in WRITES}

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **options: Any) -> Any:
            on_call()
            return function(*arguments, **options)

        return wrapped

    for name, function in before.items():
        setattr(os, name, wrap(function))
    from workbench.training import checkpoint

    loop.save_file, checkpoint.save_file = wrap(save_file), wrap(save_file)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for name, function in before.items():
            setattr(os, name, function)
        loop.save_file = checkpoint.save_file = save_file  # type: ignore[attr-defined]


def kill_at_write(number: int) -> Callable[[], None]:
    """Return a preparation that ends the process before its writing call `number` (from 1)."""

    def prepare() -> None:
        calls: list[int] = []

        def on_call() -> None:
            calls.append(1)
            if len(calls) == number:
                os.kill(os.getpid(), signal.SIGKILL)

        context = counted(on_call)
        context.__enter__()
        ENTERED.append(context)  # collected, it would end

    return prepare


def count_writes(job: TrainingJob, folder: Path) -> int:
    """Return how many writing calls a whole training makes."""
    found = folder.with_suffix(".calls")

    def keep_count() -> None:
        calls: list[int] = []
        with counted(lambda: calls.append(1)):
            loop.SECONDS_BETWEEN_CHECKPOINTS = 0.0
            train_adapter(job, load_tiny()[0], folder, pad_id=0)
        found.write_text(str(len(calls)), encoding="utf-8")

    assert run_apart(keep_count) == 0
    return int(found.read_text(encoding="utf-8"))


def survives(job: TrainingJob, folder: Path, prepare: Callable[[], None], whole: dict[str, str]) -> bool:
    """Whether a training killed as `prepare` says, then continued, ends with the bits of the unbroken one."""
    killed = train_apart(job, folder, prepare)
    return killed == -signal.SIGKILL and train_apart(job, folder) == 0 and digest(folder) == whole


def main() -> None:
    """Kill at every step and at every writing call; exit 1 unless all trials hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=50, help="an even number")
    parser.add_argument("--every", type=int, default=1, help="try each n-th step and, ten times as far apart, write")
    chosen = parser.parse_args()
    n_steps, bad = chosen.steps, 0
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        os.environ["WORKBENCH_HOME"] = str(home / "models")
        assert run_apart(lambda: fetch_model("tiny-random-llama")) == 0
        few = make_long_job(min(6, n_steps))
        writes = range(1, count_writes(few, home / "count") + 1)
        steps = range(1, n_steps + 1)
        for kind, job, make, trials in (
            ("step", make_long_job(n_steps), kill_at_step, steps[:: chosen.every]),
            ("write", few, kill_at_write, writes[:: chosen.every if chosen.every == 1 else 10 * chosen.every]),
        ):
            assert train_apart(job, home / kind) == 0
            whole = digest(home / kind)
            held = sum(survives(job, home / f"{kind}-{at}", make(at), whole) for at in trials)
            sys.stdout.write(f"killed at a {kind}: {held} of {len(trials)} continue to the same bits\n")
            sys.stdout.flush()
            bad += len(trials) - held
    raise SystemExit(bool(bad))


if __name__ == "__main__":
    main()
