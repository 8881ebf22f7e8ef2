"""Memory, before anything is loaded: what weights, adapter, optimizer and the server's slots will take, from headers.

Activations are not foreseen here: training counts them on its own rows before its first step (`training/memory.py`),
and what it counted the last time stands in the run. So these are lower bounds, and say so.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.doctor.finding import Finding, Level, fine

LIBRARIES_BYTES = 700 * 2**20  # resident once torch, transformers and faiss are imported, on a CPU
MARGIN = 0.9  # of the free memory, as training keeps it
HEADER_BYTES = 8


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes that are known beforehand, by what holds them."""

    libraries: int
    weights: int
    adapter: int  # weights, gradients and the optimizer's two moments, in float32; 0: nothing is trained
    slots: int  # the server's keys and values
    planned: int  # what a training in this run counted at its start, all in all; 0: none has

    @property
    def training(self) -> int:
        """Bytes at the least while an adapter is trained."""
        return max(self.libraries + self.weights + self.adapter, self.planned)

    @property
    def serving(self) -> int:
        """Bytes at the least with all the server's slots in use."""
        return self.libraries + self.weights + self.slots


def judge_memory(need: Need, *, free: int, total: int, where: str) -> list[Finding]:
    """Judge training and serving by what is free now; over what there is at all, it is a blocker.

    Args:
        where: "memory" or "GPU memory".
    """
    trained = "as the last training planned" if need.planned else "weights, adapter, optimizer; activations come on top"
    found = []
    for what, needed, of, knobs in (
        ("training", need.training, trained, "training.micro_batch_size, training.r"),
        ("serving", need.serving, f"weights, and {_gib(need.slots)} for the slots", "serving.slots"),
    ):
        check, text = f"{where}, {what}", f"at least {_gib(needed)} ({of}), free {_gib(free)} of {_gib(total)}"
        if needed > total:
            found.append(Finding(check, Level.BLOCKER, text, f"take a smaller model, or lower {knobs}"))
        elif needed > MARGIN * free:
            found.append(Finding(check, Level.WARN, text, f"end other programs, or lower {knobs}"))
        else:
            found.append(fine(check, text))
    return found


def read_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor in a folder's safetensors files, which the gate has judged."""
    shapes: dict[str, tuple[int, ...]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as stream:
            header = json.loads(stream.read(int.from_bytes(stream.read(HEADER_BYTES), "little")))
        shapes |= {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
    return shapes


def weight_bytes(shapes: Mapping[str, Sequence[int]], item_bytes: float) -> int:
    """Return the bytes of all weights in a format of `item_bytes` a number."""
    return int(sum(math.prod(shape) for shape in shapes.values()) * item_bytes)


def lora_parameters(shapes: Mapping[str, Sequence[int]], rank: int) -> int:
    """Return the numbers in a LoRA of all linear layers inside the model's blocks: rank × (in + out) each."""
    return sum(
        rank * sum(shape)
        for name, shape in shapes.items()
        if len(shape) == 2 and ".layers." in name and name.endswith("proj.weight")
    )


def token_bytes(config: Mapping[str, Any], item_bytes: int) -> int:
    """Return the bytes of one token's keys and values, from a generator's config.json."""
    text = config.get("text_config", config)
    n_heads = text["num_attention_heads"]
    head = text.get("head_dim") or text["hidden_size"] // n_heads
    return int(text["num_hidden_layers"] * 2 * (text.get("num_key_value_heads") or n_heads) * head * item_bytes)


def _gib(n_bytes: int) -> str:
    return f"{n_bytes / 2**30:.2f} GiB"
