"""What an arm costs before its first question, and again after documents changed. On the floor of `bench.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from workbench.config import ExperimentConfig

Stage = Mapping[str, Any]
PEAKS = ("peak_bytes", "peak_gpu_bytes")


def build_costs(
    name: str,
    config: ExperimentConfig,
    index: Stage,
    trained: Mapping[str, Stage],
    *,
    collection: Path,
    adapter_folder: Callable[[str], Path],
) -> dict[str, float]:
    """Return the costs of arm `name`, named with their units; a routed one needs all arms.

    A reader learns to read, not what stands there, so it is not trained again when documents change. What an adapter
    that was trained elsewhere cost is not known, unless its training's record lies beside it.

    Args:
        index: what the index stage recorded.
        trained: by adapter, what its training recorded.
    """
    needed = [config.arms[name]]
    if name == config.routed_arm:
        needed = [arm for arm in config.arms.values() if not arm.control and arm.strategy != "routed"]
    joules: list[float | None] = []
    costs = dict.fromkeys(("build_seconds", "training_seconds", "training_tokens", "update_seconds"), 0.0)
    if any(arm.strategy != "closed_book" for arm in needed):
        costs["build_seconds"] = costs["index_seconds"] = costs["update_seconds"] = index["seconds_in_all"]
        costs["artefact_bytes"] = folder_bytes(collection)
        joules.append(index.get("joules_in_all"))
    for adapter in dict.fromkeys(arm.adapter for arm in needed if arm.adapter is not None):
        stage = trained[adapter]
        seconds = stage["seconds"] or 0.0
        joules.append(stage.get("joules"))
        costs["build_seconds"] += seconds
        costs["training_seconds"] += seconds
        costs["training_tokens"] += stage["tokens"] or 0
        for peak in PEAKS:
            if stage[peak]:
                costs[f"training_{peak}"] = max(stage[peak], costs.get(f"training_{peak}", 0.0))
        costs["artefact_bytes"] = costs.get("artefact_bytes", 0.0) + folder_bytes(adapter_folder(adapter))
        if config.training.adapters[adapter].examples != "reader":
            costs["update_seconds"] += seconds
    known = [one for one in joules if one is not None]
    return costs | ({"build_joules": sum(known)} if known and len(known) == len(joules) else {})


def folder_bytes(folder: Path) -> float:
    """Return the bytes of all files below a folder."""
    return float(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()))
