"""A trial in a process of its own: a script of this folder, run by path, which limits itself and says one word.

An end without a word means that a limit was met, or that native code broke down: both are refusals, never crashes here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

WALL_SECONDS = 60.0  # of a busy machine
FINE = "fine"
STEP = "step: "  # begins a line on stderr that says what is tried next


def run_trial(script: str, asked: Mapping[str, object], content: bytes = b"", *, seconds: int, memory: int) -> str:
    """Return why a trial failed; "": it did not.

    Args:
        script: the file of the trial's module; it reads a line of JSON from stdin, then `content`.
        asked: what the JSON says, beside its limits.
        seconds: of processor time.
        memory: bytes of address space.
    """
    line = json.dumps({**asked, "seconds": seconds, "bytes": memory}).encode("ascii") + b"\n"
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(Path(script))],
            input=line + content,
            capture_output=True,
            timeout=WALL_SECONDS,
            check=False,
            env={"PYTHONUTF8": "1", "RUST_BACKTRACE": "0", "RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
        )
    except subprocess.TimeoutExpired:
        return f"took more than {WALL_SECONDS:g} s in its trial"
    word = done.stdout.decode("utf-8", "replace")
    if done.returncode == 0 and word:
        return "" if word == FINE else word
    steps = [line for line in done.stderr.decode("utf-8", "replace").splitlines() if line.startswith(STEP)]
    where = f"{steps[-1].removeprefix(STEP)[:300]}: " if steps else ""
    return (
        f"{where}the trial ended with code {done.returncode}, by more than {seconds} s of processor time, more than "
        f"{memory // 2**20} MiB, or by breaking the library that reads it"
    )
