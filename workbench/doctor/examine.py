"""Gather what the checks judge, from machine and config, and run them all; nothing stops at the first fault."""

from __future__ import annotations

import importlib.metadata
import json
import locale
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil
from packaging.utils import canonicalize_name

from workbench import offline
from workbench.config import ExperimentConfig, load_config
from workbench.config.serving import CONTEXT_TOKENS
from workbench.doctor import machine, memory, network, packages, places
from workbench.doctor.finding import Finding, Level, fine
from workbench.errors import ConfigError, MissingModelError, WorkbenchError
from workbench.hardware import count_cores, free_memory, processor_flags
from workbench.models import find_model, home

PACKAGE = Path(__file__).resolve().parents[1]
RUN_BYTES = 256 * 2**20  # beside collection and adapters: records, report, checkpoints of a small model
KEYS = "keys.json"  # in the server's folder


def examine(
    config_path: Path | None, *, out: Path | None = None, overrides: Iterable[str] = (), deep: bool = False
) -> list[Finding]:
    """Return the findings, in the order in which things fail.

    Args:
        config_path: an experiment; None: only the machine is looked at.
        out: the run's folder; None: runs/NAME.
        deep: hash large models and verify large collections.
    """
    config, findings = _read_config(config_path, list(overrides))
    findings += _machine(config, out)
    if config is not None:
        run = out or Path("runs") / config.name
        findings += _experiment(config, run, deep=deep)
    wanted = config.offline if config is not None else True
    offline.apply(wanted)
    findings += network.judge_offline(wanted=wanted, guarded=offline.is_guarded(), environment=os.environ)
    return findings


def _read_config(path: Path | None, overrides: list[str]) -> tuple[ExperimentConfig | None, list[Finding]]:
    """Read the config; each of its faults is a finding with file and line."""
    if path is None:
        return None, []
    try:
        config = load_config(path, overrides=overrides)
    except ConfigError as error:
        faults = str(error).splitlines()
        return None, [Finding("config", Level.BLOCKER, fault, f"edit {path}") for fault in faults]
    return config, [fine("config", f"{path}, {len(config.arms)} arms, {len(config.training.adapters)} adapters")]


def _machine(config: ExperimentConfig | None, out: Path | None) -> list[Finding]:
    installed = {
        str(canonicalize_name(one.name)): one.version for one in importlib.metadata.distributions() if one.name
    }
    scratch = Path(tempfile.gettempdir())
    newest = max(PACKAGE.rglob("*.py"), key=lambda path: path.stat().st_mtime)
    first, second = time.monotonic(), time.monotonic()
    models = config.models if config is not None else None
    found = [
        machine.judge_python((sys.version_info[0], sys.version_info[1], sys.version_info[2])),
        *packages.judge_packages(_declared(), installed),
        packages.judge_tested(_constraints(), installed),
        machine.judge_threads(count_cores(), os.environ.get("OMP_NUM_THREADS")),
        machine.judge_gpu(
            find_gpu(),
            device=models.device if models else "auto",
            dtype=models.dtype if models else "auto",
            torch_version=installed.get("torch", "none"),
            quantize=models.quantize if models else "none",
        ),
        machine.judge_clock(
            time.time(),
            newest.stat().st_mtime,
            newest.name,
            monotonic=time.get_clock_info("monotonic").monotonic and second >= first,
        ),
        machine.judge_locale(locale.getpreferredencoding(False), sys.getfilesystemencoding()),
        machine.judge_scratch(str(scratch), places.try_writing(scratch), shutil.disk_usage(scratch).free),
        places.check_writable("model home", home()),
    ]
    return [*found, places.check_writable("run folder", out or Path("runs"))]


def _experiment(config: ExperimentConfig, run: Path, *, deep: bool) -> list[Finding]:
    models = config.models
    findings = places.check_inputs(config.corpus.path, config.questions.path)
    findings += [
        places.check_model(models.generator, "generator", deep=deep),
        places.check_model(models.embedder, "embedder", deep=deep),
    ]
    if config.retrieval.rerank is not None:
        findings.append(places.check_model(models.reranker, "reranker", deep=deep))
    findings.append(places.check_collection(run / "collection", deep=deep))
    taken = [adapter.folder for adapter in config.training.adapters.values() if adapter.folder is not None]
    findings += places.check_adapters(run, taken)
    findings += _memory(config, run)
    corpus = [config.corpus.path] if config.corpus.path is not None else []
    needed = RUN_BYTES + 8 * places.tree_bytes(corpus)  # text, chunks, vectors and their indexes
    place = next(path for path in (run, *run.absolute().parents) if path.exists())
    findings.append(machine.judge_disk(str(place), shutil.disk_usage(place).free, needed))
    findings.append(places.check_key_file((config.serving.folder or run / "serving") / KEYS))
    return findings


def _memory(config: ExperimentConfig, run: Path) -> list[Finding]:
    try:
        folder = find_model(config.models.generator, kind="generator").folder
    except (MissingModelError, WorkbenchError, OSError):
        return []  # its own finding says so
    gpu = find_gpu() if config.models.device != "cpu" else None
    shapes = memory.read_shapes(folder)
    stored = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    item = _item_bytes(config.models.dtype, gpu)
    ranks = [config.training.recipe(name).r for name in config.training.adapters]
    need = memory.Need(
        libraries=0 if gpu else memory.LIBRARIES_BYTES,
        weights=memory.weight_bytes(shapes, 0.5 if config.models.quantize == "nf4" else item),
        adapter=4 * 4 * memory.lora_parameters(shapes, max(ranks, default=0)),  # itself, gradient, two moments
        slots=config.serving.slots
        * (config.serving.context_tokens or CONTEXT_TOKENS)
        * memory.token_bytes(stored, item),
        planned=_planned(run),
    )
    if gpu is not None:
        return memory.judge_memory(need, free=gpu.free_bytes, total=gpu.total_bytes, where="GPU memory")
    return memory.judge_memory(need, free=free_memory(), total=psutil.virtual_memory().total, where="memory")


def _item_bytes(dtype: str, gpu: machine.Gpu | None) -> int:
    """Return the bytes of a number as `auto` will choose: bfloat16 where the hardware multiplies it."""
    native = gpu.compute_capability >= machine.LEAST_COMPUTE_CAPABILITY if gpu else "avx512_bf16" in processor_flags()
    return 2 if dtype == "bfloat16" or (dtype == "auto" and native) else 4


def _planned(run: Path) -> int:
    """Return the most bytes that a training in this run planned; 0: none has."""
    planned = 0
    for path in run.glob("train-*/stage.json"):
        with suppress(ValueError, KeyError, TypeError, OSError):
            planned = max(planned, json.loads(path.read_text(encoding="utf-8"))["result"]["planned_bytes"] or 0)
    return planned


def find_gpu() -> machine.Gpu | None:
    """Return the first GPU that NVIDIA's driver names; None: there is none. Torch takes seconds to be asked."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    fields = "name,driver_version,compute_cap,memory.total,memory.free"
    command = [program, f"--query-gpu={fields}", "--format=csv,noheader,nounits"]
    with suppress(OSError, subprocess.TimeoutExpired, ValueError, IndexError):
        lines = subprocess.run(command, capture_output=True, text=True, timeout=3, check=False).stdout.splitlines()
        name, driver, capability, total, free = (part.strip() for part in lines[0].split(","))
        return machine.Gpu(name, driver, float(capability), int(total) * 2**20, int(free) * 2**20)
    return None


def _declared() -> list[str]:
    try:
        return importlib.metadata.requires("workbench") or []
    except importlib.metadata.PackageNotFoundError:
        return ["workbench"]  # run from its folder alone: not installed


def _constraints() -> list[str] | None:
    path = PACKAGE.parent / "constraints.txt"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else None
