"""The machine: Python, threads, GPU, disk, clock, text encoding, scratch space. Figures in, findings out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from workbench.doctor.finding import Finding, Level, fine

LEAST_PYTHON = (3, 11)  # as pyproject.toml asks
TESTED_PYTHON = (3, 11)
LEAST_COMPUTE_CAPABILITY = 8.0  # bfloat16 in hardware
SECONDS_OF_DOUBT = 86_400.0  # a file may come from a machine whose clock is ahead


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU as its driver names it."""

    name: str
    driver: str
    compute_capability: float
    total_bytes: int
    free_bytes: int


def judge_python(version: tuple[int, int, int]) -> Finding:
    """Judge the interpreter's version."""
    text, least = ".".join(map(str, version)), ".".join(map(str, LEAST_PYTHON))
    if version[:2] < LEAST_PYTHON:
        return Finding(
            "python", Level.BLOCKER, f"{text}, needed is {least} or newer", "PYTHON=python3.11 ./scripts/quickstart"
        )
    if version[:2] > TESTED_PYTHON:
        tested = ".".join(map(str, TESTED_PYTHON))
        return Finding("python", Level.WARN, f"{text}; the tests ran with {tested}", "run them here: ./scripts/check")
    return fine("python", text)


def judge_threads(cores: int, asked: str | None) -> Finding:
    """Judge OMP_NUM_THREADS against the cores this process may use.

    Args:
        asked: its value; None: not set.
    """
    if asked is None:
        return fine("threads", f"{cores} cores, OMP_NUM_THREADS is not set: all are used")
    if not asked.isdigit() or int(asked) < 1:
        return Finding("threads", Level.WARN, f"OMP_NUM_THREADS is {asked!r}, no number", "unset OMP_NUM_THREADS")
    if int(asked) > cores:
        found = f"OMP_NUM_THREADS is {asked}, but there are {cores} cores: threads wait for each other"
        return Finding("threads", Level.WARN, found, f"export OMP_NUM_THREADS={cores}")
    if int(asked) < cores:
        found = f"OMP_NUM_THREADS is {asked} of {cores} cores: slower than could be, unless others need them"
        return Finding("threads", Level.WARN, found, "unset OMP_NUM_THREADS")
    return fine("threads", f"{asked} of {cores} cores")


def judge_gpu(
    gpu: Gpu | None,
    *,
    device: Literal["auto", "cpu", "cuda"],
    dtype: str,
    torch_version: str,
    quantize: str = "none",
) -> Finding:
    """Judge what the config asks of a GPU.

    Args:
        gpu: the first there is; None: the driver shows none.
        torch_version: as its package says; `+cpu` in it: a build without CUDA.
    """
    cpu_build = "+cpu" in torch_version
    if device == "cuda" and (gpu is None or cpu_build):
        found = (
            f"models.device is cuda, but torch {torch_version} is a build for the CPU"
            if gpu
            else ("models.device is cuda, but no GPU is here (nvidia-smi names none)")
        )
        return Finding("gpu", Level.BLOCKER, found, "--set models.device=auto, or install torch for CUDA")
    if quantize != "none" and (gpu is None or cpu_build or device == "cpu"):
        found = f"models.quantize is {quantize}, which needs a GPU, and the generator would run on the CPU"
        return Finding("gpu", Level.BLOCKER, found, "--set models.quantize=none")
    if gpu is None or device == "cpu":
        return fine("gpu", "none used, the CPU computes")
    if cpu_build:
        found = f"{gpu.name} is here, but torch {torch_version} is a build for the CPU and does not use it"
        return Finding("gpu", Level.WARN, found, "install torch for CUDA: pip install torch, without constraints.txt")
    has_bfloat16 = gpu.compute_capability >= LEAST_COMPUTE_CAPABILITY
    found = f"{gpu.name}, driver {gpu.driver}, compute capability {gpu.compute_capability}"
    if dtype == "bfloat16" and not has_bfloat16:
        found += f"; bfloat16 is emulated below {LEAST_COMPUTE_CAPABILITY}"
        return Finding("gpu", Level.WARN, found, "--set models.dtype=auto")
    return fine("gpu", f"{found}, bfloat16: {'yes' if has_bfloat16 else 'no'}")


def judge_disk(place: str, free: int, needed: int) -> Finding:
    """Judge the space where runs and collections grow.

    Args:
        needed: bytes a run of this experiment may write.
    """
    found = f"{_gib(free)} GiB free at {place}, about {_gib(needed)} GiB needed"
    if free < needed:
        return Finding("disk", Level.BLOCKER, found, "free some, or take another disk: --out FOLDER")
    if free < 3 * needed:
        return Finding("disk", Level.WARN, found, "checkpoints and a second run would not fit; free some")
    return fine("disk", found)


def judge_clock(now: float, newest: float, newest_name: str, *, monotonic: bool) -> Finding:
    """Judge the clock by the newest file there is.

    Args:
        now, newest: seconds since 1970.
        monotonic: whether the system's steady clock is one.
    """
    if not monotonic:
        return Finding("clock", Level.BLOCKER, "the steady clock runs backwards: no duration can be measured", "reboot")
    shown = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
    if now < newest - SECONDS_OF_DOUBT:
        days = (newest - now) / 86_400
        found = f"{shown}, {days:.0f} days before {newest_name} was written; dates in runs and keys would be wrong"
        return Finding("clock", Level.WARN, found, "set it: date -u -s 'YYYY-MM-DD HH:MM'")
    return fine("clock", shown)


def judge_locale(preferred: str, filesystem: str) -> Finding:
    """Judge the encodings of text files and of file names."""
    wrong = [name for name in (preferred, filesystem) if name.lower().replace("-", "").replace("_", "") != "utf8"]
    found = f"text {preferred}, file names {filesystem}"
    if wrong:
        return Finding("locale", Level.WARN, f"{found}: names outside of {wrong[0]} break", "export PYTHONUTF8=1")
    return fine("locale", found)


def judge_scratch(place: str, fault: str, free: int) -> Finding:
    """Judge the folder for temporary files.

    Args:
        fault: why nothing can be written there; "": it can.
    """
    if fault:
        return Finding("scratch", Level.BLOCKER, f"{place}: {fault}", "export TMPDIR=FOLDER that you may write to")
    if free < 2**28:
        found = f"{place} has {free / 2**20:.0f} MiB free; uploads, bundles and merges need more"
        return Finding("scratch", Level.WARN, found, "export TMPDIR=FOLDER on a larger disk")
    return fine("scratch", f"{place}, {_gib(free)} GiB free")


def _gib(n_bytes: int) -> str:
    return f"{n_bytes / 2**30:.2f}" if n_bytes < 10 * 2**30 else f"{n_bytes / 2**30:.0f}"
