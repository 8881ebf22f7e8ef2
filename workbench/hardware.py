"""What this machine is, and a meter for peak memory. Torch is imported only when asked about."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import psutil

CGROUP = Path("/sys/fs/cgroup")
PACKAGES = ("torch", "transformers", "peft", "accelerate", "sentence-transformers", "faiss-cpu", "tantivy", "workbench")


def describe_machine() -> dict[str, object]:
    """Return processor, cores, memory (GiB), GPUs, operating system: what a reader needs to judge the costs."""
    import torch

    return {
        "processor": _processor(),
        "cores": count_cores(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "gpus": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def count_cores() -> int:
    """Return the processor's cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe_versions() -> dict[str, str]:
    """Return the versions of the packages that decide the numbers."""
    return {name: importlib.metadata.version(name) for name in PACKAGES}


def made_with() -> dict[str, object]:
    """Return versions and machine, as every stage whose numbers depend on them records them."""
    return {"versions": describe_versions(), "hardware": describe_machine()}


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def processor_flags() -> frozenset[str]:
    """Return what the processor can do, in the kernel's words; nothing where it does not say."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    return frozenset(next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), []))


def free_memory() -> int:
    """Return the bytes of memory that are left: a container's limit counts where there is one."""
    free = psutil.virtual_memory().available
    limit, used = CGROUP / "memory.max", CGROUP / "memory.current"
    if limit.exists() and (text := limit.read_text().strip()).isdigit():
        free = min(free, int(text) - int(used.read_text()))
    return int(free)


def trim_freed_memory() -> None:
    """Give what glibc's heaps keep of freed blocks back to the kernel, once, in milliseconds; elsewhere do nothing."""
    import ctypes

    with suppress(OSError, AttributeError):  # no glibc
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def return_freed_memory() -> None:
    """Make glibc give large freed blocks back to the kernel, for the rest of this process; elsewhere do nothing.

    Left alone it raises its threshold to 32 MiB and keeps what is freed below in a heap that fragments. It costs
    speed, since every large tensor is mapped and faulted in again: long rows took up to 1.6 times the processor time
    (docs/LOG.md). So only where memory is short.
    """
    import ctypes

    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # no glibc
        return
    mmap_threshold, trim_threshold = -3, -1  # malloc.h; setting either stops the automatic raising
    mallopt(mmap_threshold, 2**20)
    mallopt(trim_threshold, 2**20)


class PeakMemory:
    """Peak resident memory of this process inside a `with` block, in bytes, sampled every 50 ms; GPU memory exactly."""

    def __init__(self) -> None:
        self.rss_bytes = 0
        self.gpu_bytes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> PeakMemory:
        import torch

        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        import torch

        self._stop.set()
        self._thread.join()
        if torch.cuda.is_available():
            self.gpu_bytes = torch.cuda.max_memory_allocated()

    def _sample(self) -> None:
        process = psutil.Process()
        while True:
            self.rss_bytes = max(self.rss_bytes, process.memory_info().rss)
            if self._stop.wait(0.05):
                return
