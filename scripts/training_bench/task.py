"""One training of one contestant, as it crosses to its process. Standard library only: the peers run it too."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class Row(NamedTuple):
    """Token ids and which of them carry loss (1) or not (0); the first `n_prefix` are the passages."""

    token_ids: list[int]
    loss_mask: list[int]
    n_prefix: int = 0


@dataclass(frozen=True, slots=True)
class Task:
    """What is trained, on what, and how. Every contestant gets the same but for `contestant` and `setting`."""

    contestant: str  # "ours" | "trl"
    setting: str  # ours: where the adapter acts from, "prompt" or "question"; trl: "same" or "default" (checkpointing)
    rows: str  # a file of `write_rows`
    folder: str  # an empty one, for what the contestant keeps
    model: str  # its name, for ours
    model_folder: str
    order: tuple[tuple[int, ...], ...]  # the rows of each step, over all epochs
    rates: tuple[float, ...]  # the learning rate of each step
    epochs: int
    batch_size: int
    r: int
    alpha: int
    weight_decay: float
    clip_norm: float
    learning_rate: float  # the peak of `rates`
    seed: int
    device: str
    dtype: str  # "float32" | "bfloat16"
    quantize: str = "none"  # | "nf4": QLoRA
    compile: bool = False  # ours: `training.compile`
    held_out: bool = False  # score the held-out rows of `rows` at the end


def write_rows(path: Path, rows: list[Row], held_out: list[Row]) -> None:
    """Write the rows of one or more tasks."""
    path.write_text(json.dumps({"rows": rows, "held_out": held_out}), encoding="utf-8")


def read_rows(path: str) -> tuple[list[Row], list[Row]]:
    """Return what `write_rows` wrote: rows to learn from, and rows held out."""
    read = json.loads(Path(path).read_text(encoding="utf-8"))
    return [Row(*row) for row in read["rows"]], [Row(*row) for row in read["held_out"]]
