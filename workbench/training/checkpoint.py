"""A training run on disk: adapter, optimizer and log, complete or absent; it refuses to resume anything else.

One folder replaced atomically, safetensors and JSON only. The order of batches, the learning rate and dropout's seed
are functions of the step (see batches.py, loop.py), so the step is all the state they need.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from workbench.errors import CheckpointMismatchError, TrainingError
from workbench.runs import new_folder, recover_folder, write_json

FOLDER = "checkpoint"
MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(slots=True)
class Progress:
    """How far training has come. `seconds` is clock time spent, over all resumes."""

    step: int = 0
    seconds: float = 0.0
    tokens: int = 0
    loss_tokens: int = 0
    best_loss: float | None = None  # held-out loss of the adapter that is kept
    best_step: int | None = None  # and its step
    evaluated: int | None = None  # step of the last evaluation
    steps: list[dict[str, float]] = field(default_factory=list)  # one per update: step, loss, learning_rate, norm
    held_out: list[dict[str, float]] = field(default_factory=list)  # one per evaluation: step, loss


Parameters = dict[str, torch.nn.Parameter]


def save_checkpoint(
    folder: Path, parameters: Parameters, optimizer: torch.optim.Optimizer, progress: Progress, *, identity: str
) -> None:
    """Replace the checkpoint in `folder`. Raises TrainingError rather than save a number that is not finite."""
    tensors = {f"weight/{name}": tensor.detach().cpu().contiguous() for name, tensor in parameters.items()}
    for name, tensor in parameters.items():
        for moment in MOMENTS:
            if tensor in optimizer.state:
                tensors[f"{moment}/{name}"] = optimizer.state[tensor][moment].cpu().contiguous()
    refuse_non_finite(tensors, progress.step)
    with new_folder(folder / FOLDER) as temporary:
        save_file(tensors, temporary / "state.safetensors")
        write_json(temporary / "progress.json", {"identity": identity} | asdict(progress))


def read_progress(folder: Path) -> Progress:
    """Return how far the training in `folder` came. Raises FileNotFoundError if it has no checkpoint."""
    fields = json.loads((folder / FOLDER / "progress.json").read_text(encoding="utf-8"))
    fields.pop("identity")
    return Progress(**fields)


def load_checkpoint(
    folder: Path, parameters: Parameters, optimizer: torch.optim.Optimizer, *, identity: str
) -> Progress | None:
    """Restore weights and moments in place and return the progress; None when there is no checkpoint.

    Raises:
        CheckpointMismatchError: it belongs to other data, another base or another recipe.
    """
    recover_folder(folder / FOLDER)
    path = folder / FOLDER / "progress.json"
    if not path.exists():
        return None
    fields = json.loads(path.read_text(encoding="utf-8"))
    found = fields.pop("identity")
    if found != identity:
        raise CheckpointMismatchError(
            f"{folder / FOLDER} belongs to a training with fingerprint {found[:12]}, this one has {identity[:12]} "
            f"(data, base, template, recipe or seed differ); remove the folder or train into another one"
        )
    progress = Progress(**fields)
    tensors = load_file(folder / FOLDER / "state.safetensors")
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


def refuse_non_finite(tensors: dict[str, torch.Tensor], step: int) -> None:
    """Raise TrainingError if any number is NaN or infinite: such an adapter must never reach the disk."""
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise TrainingError(
                f"{name} is not finite at step {step}; nothing was saved. Lower training.learning_rate and run again"
            )
