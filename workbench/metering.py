"""Meters for a `with` block: joules where the machine tells them, and what else kept its cores busy."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import psutil

POWERCAP = Path("/sys/class/powercap")


class Counter(NamedTuple):
    """An energy counter that only grows, until it wraps."""

    name: str
    read: Callable[[], float]  # joules
    wraps_at: float = float("inf")  # joules


def rapl_counters(root: Path = POWERCAP) -> list[Counter]:
    """Return the processors' packages whose counters may be read; many systems show them to root only.

    Memory and cores are parts of a package, `psys` is the whole platform: neither is added to it.
    Source: https://docs.kernel.org/power/powercap/powercap.html
    """
    found = []
    for folder in sorted(root.glob("*-rapl:*")):
        with suppress(OSError, ValueError):
            name = (folder / "name").read_text(encoding="utf-8").strip()
            read = partial(_microjoules, folder / "energy_uj")
            read()
            if name.startswith("package"):
                found.append(Counter(f"RAPL {name}", read, _microjoules(folder / "max_energy_range_uj")))
    return found


def nvml_counters() -> list[Counter]:
    """Return the GPUs this process uses, where NVML (package nvidia-ml-py) is installed and tells their energy."""
    try:
        import pynvml
        import torch

        pynvml.nvmlInit()
    except Exception:  # not installed, or no driver: then there is nothing to read
        return []
    found = []
    for number in range(torch.cuda.device_count()):
        with suppress(Exception):  # NVML names no common kind; a GPU before Volta does not tell
            properties = torch.cuda.get_device_properties(number)
            handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{properties.uuid}")
            read = partial(_millijoules, pynvml.nvmlDeviceGetTotalEnergyConsumption, handle)
            read()
            found.append(Counter(f"NVML {properties.name}", read))
    return found


@cache
def energy_counters() -> tuple[Counter, ...]:
    """Return every counter of this machine that can be read; found once."""
    return (*rapl_counters(), *nvml_counters())


class Meter:
    """What the block cost beyond its own time.

    Attributes:
        joules: of all readable counters, so whatever else the machine did is in it; None: none can be read.
        cores_elsewhere: cores that other processes kept busy, on average; None: the block was too short to tell.
    """

    SHORTEST = 0.05  # seconds: processor times are counted in hundredths

    def __init__(self, counters: tuple[Counter, ...] | None = None) -> None:
        """Read `counters`; None: the machine's."""
        self._counters = energy_counters() if counters is None else counters
        self.joules: float | None = None
        self.cores_elsewhere: float | None = None

    def __enter__(self) -> Meter:
        self._energy = self._read()
        self._began, self._busy = time.perf_counter(), _busy_elsewhere()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        seconds = time.perf_counter() - self._began
        if seconds >= self.SHORTEST:
            self.cores_elsewhere = max(0.0, (_busy_elsewhere() - self._busy) / seconds)
        after = self._read()
        if self._energy is not None and after is not None and self._counters:
            self.joules = sum(
                end - start if end >= start else end - start + counter.wraps_at
                for counter, start, end in zip(self._counters, self._energy, after, strict=True)
            )

    def _read(self) -> list[float] | None:
        try:
            return [counter.read() for counter in self._counters]
        except OSError:
            return None


def _busy_elsewhere() -> float:
    """Seconds that the machine's cores were busy since it started, less those of this process and its children."""
    machine, own = psutil.cpu_times(), psutil.Process().cpu_times()
    idle = machine.idle + getattr(machine, "iowait", 0.0)
    guests = getattr(machine, "guest", 0.0) + getattr(machine, "guest_nice", 0.0)  # counted in user and nice already
    mine = own.user + own.system + own.children_user + own.children_system
    return float(sum(machine) - guests - idle - mine)


def _microjoules(path: Path) -> float:
    return int(path.read_text(encoding="utf-8")) / 1e6


def _millijoules(read: Callable[[object], int], handle: object) -> float:
    return read(handle) / 1e3
