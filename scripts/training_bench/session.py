"""One run of scripts/bench_training.py: from its arguments to the printed tables and the JSON beside them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from retrieval_bench.compare import BenchError

from training_bench.compare import Host, RunTask, name_of, refuse_different_tasks, run_rounds, run_task, summarise
from training_bench.roads import Ground, Road, lay_out
from training_bench.rows import RowSet, build_rows, open_bench, part_rows, take_rows
from training_bench.table import format_prefill, format_quality, format_road
from workbench.bench import Bench
from workbench.hardware import describe_machine
from workbench.models import choose_device_and_dtype, find_model
from workbench.runs import write_json

GIB = 2**30
WARM = {"cpu": 1, "cuda": 4}  # steps before the clock of a road counts; a GPU tries kernels out and grows its pool
PREFILL = "ours/question"
# Nats by which first losses on the same rows may lie apart. In bfloat16 the order of operations alone moves a loss of
# 5.865 (float32) to 5.861 for one and 5.873 for another, on a CPU without AMX to 5.896.
ROUNDING = {"float32": 1e-3, "bfloat16": 5e-2, "float16": 1e-2}


def compare_trainers(arguments: argparse.Namespace, work: Path, *, run: RunTask = run_task) -> int:
    """Take the roads asked for, print their tables, write `comparison.json` after each."""
    session = Session(arguments, work, run)
    roads: dict[str, Callable[[], dict[str, Any]]] = {
        "closed_book": session.closed_book,
        "reader": session.reader,
        "quality": session.quality,
    }
    wanted = arguments.roads.split(",")
    if unknown := set(wanted) - set(roads):
        raise BenchError(f"no road {', '.join(sorted(unknown))}; there are: {', '.join(roads)}")
    found: dict[str, Any] = {"machine": session.machine, "threads": arguments.threads, "dtype": session.ground.dtype}
    print(
        f"{session.machine['processor']}, {arguments.threads} threads, {session.ground.device} {session.ground.dtype}"
    )
    for name in wanted:
        found[name] = roads[name]()
        write_json(arguments.out / "comparison.json", found)
    print(f"\nall figures: {arguments.out / 'comparison.json'}")
    return 0


class Session:
    """The roads of one run."""

    def __init__(self, arguments: argparse.Namespace, work: Path, run: RunTask) -> None:
        """Find the model and the interpreters; nothing is loaded yet."""
        self.arguments, self.work = arguments, work
        self.hosts = find_hosts(arguments)
        self._run = partial(run_rounds, hosts=self.hosts, run=run)
        self.machine = describe_machine()
        self.bench = open_bench(arguments.config, arguments.overrides, work / "closed_book")
        models = self.bench.config.models
        device, dtype = choose_device_and_dtype(models)
        folder = find_model(models.generator, kind="generator").folder
        self.n_warm = WARM[device]
        kind = str(dtype).removeprefix("torch.")
        self.ground = Ground(models.generator, folder, device, kind, models.quantize, work)

    @property
    def peers(self) -> list[tuple[str, str]]:
        """TRL with each setting asked for; without a place to find it, nobody."""
        return [("trl", setting) for setting in self.arguments.settings.split(",") if "trl" in self.hosts]

    def closed_book(self) -> dict[str, Any]:
        """Question and answer alone: plain LoRA, and behind the shared prefill."""
        rows = build_rows(self.bench, "closed_book")
        road = self._short_road(rows, self.arguments.steps)
        found = self._measure(road, [("ours", "prompt"), ("ours", "question"), *self.peers], rows)
        print("\n" + format_road("closed-book rows", found))
        return found

    def reader(self) -> dict[str, Any]:
        """Question and passages: plain LoRA over a few steps, then the shared prefill over a whole training."""
        rows = build_rows(self._reader_bench(), "reader")
        road = self._short_road(rows, self.arguments.reader_steps)
        found = self._measure(road, [("ours", "prompt"), *self.peers], rows)
        print("\n" + format_road("reader rows", found))
        found["prefill"] = self._prefill(rows, found)
        print("\n" + format_prefill(found["prefill"]))
        return found

    def quality(self) -> dict[str, Any]:
        """Held-out loss of plain LoRA by both, on closed-book rows parted by document, over several seeds."""
        arguments = self.arguments
        rows = build_rows(self.bench, "closed_book")
        learnt, held_out = part_rows(rows, n_rows=arguments.quality_rows, n_held_out=arguments.held_out)
        losses: dict[str, list[float]] = {}
        for seed in range(arguments.seeds):
            road = lay_out(learnt, rows.recipe, self.ground, epochs=2, seed=seed, held_out=held_out)
            tasks = [road.task_of(*who) for who in [("ours", "prompt"), *self.peers[:1]]]
            for name, (run,) in self._run(tasks, rounds=1).items():
                losses.setdefault(name, []).append(run["held_out_loss"])
        found = {
            name: {"losses": each, "mean": mean(each), "sd": stdev(each) if len(each) > 1 else 0.0}
            for name, each in losses.items()
        }
        print("\n" + format_quality(found, n_rows=len(learnt), n_held_out=len(held_out)))
        return {"contestants": found, "rows": len(learnt), "held_out": len(held_out), "epochs": 2}

    def _reader_bench(self) -> Bench:
        if self.arguments.squad is None:
            return self.bench
        overrides = [f"questions.path={self.arguments.squad}", *self.arguments.overrides]
        return open_bench(self.arguments.squad_config, overrides, self.work / "reader")

    def _short_road(self, rows: RowSet, n_timed: int) -> Road:
        n_rows = (self.n_warm + n_timed) * rows.recipe.batch_size
        return lay_out(take_rows(rows, n_rows), rows.recipe, self.ground, epochs=1, seed=0)

    def _measure(self, road: Road, who: list[tuple[str, str]], rows: RowSet) -> dict[str, Any]:
        """Run the contestants in rounds; refuse if their first losses differ."""
        tasks = [road.task_of(*one) for one in who]
        results = self._run(tasks, rounds=self.arguments.rounds)
        summary = {
            name_of(task): summarise(results[name_of(task)], road.step_tokens, n_warm=self.n_warm)
            | {"flops": road.count_flops(task, after=self.n_warm)}
            for task in tasks
        }
        first, *others = summary.values()
        most = ROUNDING[road.task.dtype]
        apart = max((refuse_different_tasks(first, other, most=most) for other in others), default=None)
        epoch = {"rows": len(rows.examples), "tokens": sum(len(example.token_ids) for example in rows.examples)}
        for row in summary.values():
            row["epoch_seconds"] = epoch["tokens"] / row["tokens_a_second"]
        about = road.describe() | {"rounds": self.arguments.rounds, "timed_steps": len(road.task.order) - self.n_warm}
        return {"about": about, "epoch": epoch, "contestants": summary, "first_losses_apart": apart}

    def _prefill(self, rows: RowSet, short: dict[str, Any]) -> dict[str, Any]:
        """Train behind the shared prefill over all epochs, prefixes computed on the way, the model's load left out."""
        arguments, batch = self.arguments, rows.recipe.batch_size
        n_rows = arguments.prefill_rows // batch * batch
        road = lay_out(take_rows(rows, n_rows), rows.recipe, self.ground, epochs=arguments.epochs, seed=0)
        who = [("ours", "question"), *(self.peers[:1] if arguments.full else [])]
        tasks = [road.task_of(*one) for one in who]
        results = self._run(tasks, rounds=1)
        n_tokens = sum(road.step_tokens)
        found: dict[str, Any] = {}
        for task in tasks:
            run = results[name_of(task)][0]
            seconds = {"seconds": run["seconds"], "peak_bytes": run["peak_bytes"], "extrapolated": False}
            found[name_of(task)] = seconds | {"flops": road.count_flops(task)}
        for contestant, setting in [("ours", "prompt"), *self.peers]:
            task = road.task_of(contestant, setting)
            known = short["contestants"][name_of(task)]
            guessed = {"seconds": n_tokens / known["tokens_a_second"], "peak_bytes": known["peak_bytes"]}
            found.setdefault(name_of(task), guessed | {"extrapolated": True, "flops": road.count_flops(task)})
        return {"about": road.describe(), "tokens": n_tokens, "contestants": found}


def find_hosts(arguments: argparse.Namespace) -> dict[str, Host]:
    """Return where each contestant runs: ours here, TRL where the arguments say; without them ours alone.

    Raises:
        BenchError: the peer's interpreter or folder does not exist.
    """
    hosts = {"ours": Host(Path(sys.executable), (), arguments.threads)}
    python, folder = arguments.peer_python, arguments.peer_path
    if python is None and folder is None:
        return hosts
    for given in filter(None, (python, folder)):
        if not given.exists():
            raise BenchError(
                f"{given} does not exist; make it: pip install --no-deps --target PEERS -r "
                f"scripts/training_bench/peers.txt, and give --peer-path PEERS"
            )
    # Resolving the interpreter's link would leave its environment.
    interpreter = Path(os.path.abspath(python)) if python else Path(sys.executable)  # noqa: PTH100
    path = (folder.resolve(),) if folder else ()
    least = int(arguments.peer_memory_gib * GIB)
    return hosts | {"trl": Host(interpreter, path, arguments.threads, least)}
