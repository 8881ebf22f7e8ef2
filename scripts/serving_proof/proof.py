"""The parts of the proof, one after the other on one server, and the lines they print."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psutil

from serving_proof.load import Outcome, hang_up, press

QUESTIONS = ("What does a complete Hexley cost?", "How is the gauge reset?", "Who answers in the evening?")
REFUSED_WITHIN = 0.05  # seconds, of 99 in 100 refusals
GROWTH = 1.05  # of memory from a server that has warmed up to one that was pressed
TIDY_SECONDS = 3.0  # an engine without work gives freed memory back after one
WARM_SECONDS = 90.0  # until every size of batch was seen, and what torch and malloc keep of them is kept


async def prove(arguments: argparse.Namespace) -> int:
    """Run the parts, print what was seen, and return 1 where something does not hold."""
    models = arguments.models.split(",")
    command = [sys.executable, "-m", "workbench", "serve", str(arguments.config), "--out", str(arguments.out)]
    settings = ["serving.port=0", "serving.requests_per_minute=0", *arguments.set]
    with _serving([*command, *(word for setting in settings for word in ("--set", setting))]) as (server, host, port):
        process, kept = psutil.Process(server.pid), _Kept()

        def bodies(draw: random.Random) -> dict[str, Any]:
            asked = {"role": "user", "content": draw.choice(QUESTIONS)}
            body = {"model": draw.choice(models), "messages": [asked], "max_tokens": arguments.new_tokens}
            return body | {"stream": draw.random() < 0.5}

        pressing = {"connections": arguments.connections, "seed": arguments.seed}
        await press(host, port, bodies, Outcome(), seconds=WARM_SECONDS, **pressing)
        await _wait_until_idle(host, port)
        before = process.memory_info().rss
        outcome = Outcome()
        pressed = asyncio.create_task(press(host, port, bodies, outcome, seconds=arguments.seconds, **pressing))
        await asyncio.sleep(arguments.seconds / 2)
        halfway = process.memory_info().rss
        await pressed
        await _wait_until_idle(host, port)
        _tell_pressing(kept, outcome, (before, halfway, process.memory_info().rss), arguments)

        threads, files = process.num_threads(), process.num_fds()
        left = await hang_up(host, port, bodies, times=arguments.hang_ups, at_once=32, seed=arguments.seed)
        await _wait_until_idle(host, port)
        await asyncio.sleep(1.0)
        kept.that(
            process.num_threads() <= threads and process.num_fds() <= files + 2,
            f"{arguments.hang_ups} requests, {left} hung up on: threads {threads} → {process.num_threads()}, "
            f"open files {files} → {process.num_fds()}, nothing running or waiting",
        )
        last = Outcome()
        ending = asyncio.create_task(press(host, port, bodies, last, connections=64, seconds=60.0, seed=1))
        await asyncio.sleep(8.0)
        server.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(server.wait, 120)
        await asyncio.sleep(1.0)
        ending.cancel()
        cut = last.statuses["cut"] + last.statuses["CutShortError"]
        kept.that(
            code == 0 and not cut and last.statuses["whole"] > 0,
            f"SIGTERM under load: exit code {code}, {last.statuses['whole']} answers whole, {cut} cut",
        )
    return 0 if kept.all else 1


class _Kept:
    def __init__(self) -> None:
        self.all = True

    def that(self, holds: bool, line: str) -> None:
        self.all &= holds
        print(f"{'holds' if holds else 'FAILS'}  {line}", flush=True)


def _tell_pressing(kept: _Kept, outcome: Outcome, memory: tuple[int, int, int], arguments: argparse.Namespace) -> None:
    counts = ", ".join(f"{count:,} {what}" for what, count in sorted(outcome.statuses.items()))
    kept.that(
        set(outcome.statuses) <= {"whole", "429"} and outcome.statuses["whole"] > 0,
        f"{arguments.connections:,} connections for {arguments.seconds:g} s: {counts}",
    )
    half, most = outcome.percentile(0.5), outcome.percentile(0.99)
    kept.that(
        most is not None and most < REFUSED_WITHIN,
        f"refusals: median {1000 * (half or 0):.1f} ms, p99 {1000 * (most or 0):.1f} ms (aim: < 50)",
    )
    before, halfway, after = (n_bytes / 2**20 for n_bytes in memory)
    kept.that(
        after <= GROWTH * before,
        f"memory {before:,.0f} MiB, halfway {halfway:,.0f}, after {after:,.0f} ({after / before - 1:+.1%})",
    )


async def _wait_until_idle(host: str, port: int) -> None:
    async with httpx.AsyncClient(base_url=f"http://{host}:{port}", trust_env=False, timeout=30) as client:
        for _ in range(1200):
            health = (await client.get("/health")).json()
            if health["running"] == health["waiting"] == 0:
                await asyncio.sleep(TIDY_SECONDS)
                return
            await asyncio.sleep(0.1)
    raise TimeoutError(f"answers are still under way after two minutes: {health}")


@contextmanager
def _serving(command: list[str]) -> Iterator[tuple[subprocess.Popen[str], str, int]]:
    """Start a server and yield it with its address, once it answers; it is killed if it has not ended."""
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=dict(os.environ)) as server:
        try:
            assert server.stderr is not None
            started = time.monotonic()
            line = next((line for line in server.stderr if line.startswith("serving on ")), "")
            if not line:
                raise SystemExit(f"the server did not start: {' '.join(command)}")
            host, port = line.split()[2].removeprefix("http://").rsplit(":", 1)
            print(f"serving after {time.monotonic() - started:.1f} s", flush=True)
            yield server, host, int(port)
        finally:
            server.kill()
