"""A training run on disk: adapter, optimizer and log, complete or absent; it refuses to resume anything else.

One folder replaced atomically, safetensors and JSON only; the tensors' SHA-256 stands in the JSON, so what a failing
disk changed is refused. The order of batches, the learning rate and dropout's seed are functions of the step (see
batches.py, updates.py), so the step is all the state they need.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from workbench.errors import CheckpointMismatchError, TrainingError
from workbench.runs import fingerprint_file, new_folder, recover_folder, write_json

FOLDER = "checkpoint"
STATE = "state.safetensors"
PROGRESS = "progress.json"
VERSION = 2
MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(slots=True)
class Progress:
    """How far training has come. `seconds` is clock time spent, over all resumes."""

    step: int = 0
    seconds: float = 0.0
    tokens: int = 0  # of the rows, their prefixes left out
    loss_tokens: int = 0
    best_loss: float | None = None  # held-out loss of the adapter that is kept
    best_step: int | None = None  # and its step
    evaluated: int | None = None  # step of the last evaluation
    n_worse: int = 0  # evaluations since the lowest held-out loss
    stopped_early: bool = False
    planned_bytes: int | None = None  # memory at the peak, as planned before the first step
    micro_batch_size: int | None = None  # smaller than the recipe's once memory ran out; None: the recipe's
    steps: list[dict[str, float]] = field(default_factory=list)  # one per update: step, loss, learning_rate, norm
    held_out: list[dict[str, float]] = field(default_factory=list)  # one per evaluation: step, loss
    held_out_rows: dict[str, list[float]] = field(default_factory=dict)  # each row's loss: `before`, `kept`
    events: list[str] = field(default_factory=list)  # what was handled on the way, for a person to read


Parameters = dict[str, torch.nn.Parameter]


def save_checkpoint(
    folder: Path,
    parameters: Parameters,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    *,
    identity: Mapping[str, str],
) -> None:
    """Replace the checkpoint in `folder`. Raises TrainingError rather than save a number that is not finite.

    Args:
        identity: what decides the numbers, by name, as fingerprints; a resume must have equal ones.
    """
    tensors = {f"weight/{name}": tensor.detach().cpu().contiguous() for name, tensor in parameters.items()}
    for name, tensor in parameters.items():
        for moment in MOMENTS:
            if tensor in optimizer.state:
                tensors[f"{moment}/{name}"] = optimizer.state[tensor][moment].cpu().contiguous()
    refuse_non_finite(tensors, progress.step)
    with new_folder(folder / FOLDER) as temporary:
        save_file(tensors, temporary / STATE)
        head = {"version": VERSION, "identity": dict(identity), "state": fingerprint_file(temporary / STATE)}
        write_json(temporary / PROGRESS, head | asdict(progress))


def read_progress(folder: Path) -> Progress:
    """Return how far the training in `folder` came. Raises FileNotFoundError if it has no checkpoint."""
    return _read(folder)[1]


def load_checkpoint(
    folder: Path, parameters: Parameters, optimizer: torch.optim.Optimizer, *, identity: Mapping[str, str]
) -> Progress | None:
    """Restore weights and moments in place and return the progress; None when there is no checkpoint.

    Raises:
        CheckpointMismatchError: it belongs to other data, another base, template, recipe or seed; or it is damaged.
    """
    recover_folder(folder / FOLDER)
    if not (folder / FOLDER / PROGRESS).exists():
        return None
    head, progress = _read(folder)
    _refuse_another(folder / FOLDER, head["identity"], identity)
    state = folder / FOLDER / STATE
    found = fingerprint_file(state) if state.exists() else "no file"
    if found != head["state"]:
        raise CheckpointMismatchError(
            f"{state} is damaged: its SHA-256 is {found[:12]}, it was written with {head['state'][:12]}; "
            f"remove {folder / FOLDER} and train again"
        )
    tensors = load_file(state)
    with torch.no_grad():
        for name, tensor in parameters.items():
            tensor.copy_(tensors[f"weight/{name}"])
            moments: dict[str, Any] = {
                moment: tensors[f"{moment}/{name}"].to(tensor.device)
                for moment in MOMENTS
                if f"{moment}/{name}" in tensors
            }
            if moments:
                optimizer.state[tensor] = {"step": torch.tensor(float(progress.step))} | moments
    return progress


def _read(folder: Path) -> tuple[dict[str, Any], Progress]:
    path = folder / FOLDER / PROGRESS
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        head = {key: fields.pop(key) for key in ("version", "identity", "state")}
        if head["version"] != VERSION:
            raise KeyError(f"version {head['version']}")
        return head, Progress(**fields)
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointMismatchError(
            f"{path} is damaged or of another version than {VERSION}: {error}; remove {path.parent} and train again"
        ) from error


def _refuse_another(folder: Path, found: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    differing = [name for name in wanted if found.get(name) != wanted[name]]
    if differing:
        parts = ", ".join(f"{name} {found.get(name, 'unknown')[:12]}, now {wanted[name][:12]}" for name in differing)
        raise CheckpointMismatchError(
            f"{folder} belongs to another training: {parts}; remove the folder or train into another one"
        )


def refuse_non_finite(tensors: dict[str, torch.Tensor], step: int) -> None:
    """Raise TrainingError if any number is NaN or infinite: such an adapter must never reach the disk."""
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise TrainingError(
                f"{name} is not finite at step {step}; nothing was saved. Lower training.learning_rate and run again"
            )
