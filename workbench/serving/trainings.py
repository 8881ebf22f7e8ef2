"""One training at a time, in a process of its own: started, watched, interrupted. It is `workbench train`, no more.

A process of its own, because a training takes the base model for itself, and because it has to be stopped without the
server. What it did is in the run's folder either way, and goes on with the next start.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from workbench.errors import BusyError, ConfigError
from workbench.training.live import read_live

LOG = "training.log"
STOP_SECONDS = 60.0  # to write its checkpoint; then it is killed, which loses nothing but the steps since the last


class Trainings:
    """The server's trainings. Safe to use from several threads."""

    def __init__(self, command: Sequence[str], run: Path, folder: Path, *, on_done: Callable[[str], None]) -> None:
        """Nothing is started.

        Args:
            command: trains what `--adapter NAME`, put behind it, names.
            run: the run's folder, where the curve grows.
            folder: where the output of the process is kept.
            on_done: called in a thread of its own with the adapter's name, once it is trained.
        """
        self._command, self._run, self._log = tuple(command), run, folder / LOG
        self._on_done = on_done
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._adapter: str | None = None
        self._state, self._message = "idle", ""
        self._started = self._ended = 0.0

    def start(self, adapter: str) -> None:
        """Begin or go on with a training. Raises BusyError: one is running."""
        with self._lock:
            if self._process is not None:
                raise BusyError(f"adapter {self._adapter!r} is being trained; stop it, or wait for its end")
            with self._log.open("wb") as out:
                self._process = subprocess.Popen(
                    [*self._command, "--adapter", adapter],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # a Ctrl-C at the server's terminal is the server's to pass on
                )
            self._adapter, self._state, self._message = adapter, "running", ""
            self._started = time.monotonic()
            threading.Thread(target=self._watch, args=(self._process,), daemon=True).start()

    def stop(self) -> None:
        """Interrupt the training; it writes a checkpoint and ends. Raises ConfigError: none is running."""
        with self._lock:
            if self._process is None:
                raise ConfigError("no training is running")
            self._state = "stopping"
            self._process.send_signal(signal.SIGINT)

    def status(self) -> dict[str, Any]:
        """Return state, adapter, seconds, message, and the curve as far as it has grown."""
        with self._lock:
            adapter, state, message = self._adapter, self._state, self._message
            seconds = (self._ended or time.monotonic()) - self._started if adapter else 0.0
        curve = read_live(self._run / f"train-{adapter}")  # nothing was trained yet: an empty curve
        return {
            "state": "running" if state == "stopping" else state,
            "adapter": adapter,
            "step": int(curve["loss"][-1]["step"]) if curve["loss"] else 0,
            **curve,
            "seconds": round(seconds, 1),
            "message": "stopping" if state == "stopping" else message,
        }

    def close(self) -> None:
        """Interrupt what runs and wait until it has ended."""
        with self._lock:
            process = self._process
            if process is not None:
                self._state = "stopping"
                process.send_signal(signal.SIGINT)
        if process is not None:
            _wait(process)

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        while True:
            try:
                code = process.wait(1.0)
                break
            except subprocess.TimeoutExpired:
                with self._lock:
                    stopping = self._state == "stopping"
                if stopping:
                    code = _wait(process)
                    break
        with self._lock:
            adapter, stopped = self._adapter, self._state == "stopping"
            self._process, self._ended = None, time.monotonic()
            self._state = "done" if code == 0 else "stopped" if stopped else "failed"
            self._message = "" if code == 0 or stopped else self._last_words(code)
        if code == 0 and adapter is not None:
            self._on_done(adapter)

    def _last_words(self, code: int) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        told = [line.removeprefix("workbench: ") for line in lines if line.startswith("workbench: ")]
        return (told or lines or ["it said nothing"])[-1][:500] + f" (exit code {code}; see {self._log.name})"


def _wait(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def training_command(config: Path, run: Path) -> list[str]:
    """Return what trains an adapter of the experiment in `config` into `run`; `--adapter NAME` has to follow."""
    return [sys.executable, "-m", "workbench", "train", str(config), "--out", str(run)]
