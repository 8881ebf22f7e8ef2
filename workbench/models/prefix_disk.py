"""Prefixes on disk for those that do not fit the memory: a scratch folder under a cap, gone when the work is done.

Not a cache to keep: keys and values are cheap to compute again and huge to store (about 46 kB a token in float32 for a
model of 135M parameters), so nothing here outlives the training that filled it.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors.torch import load_file, save_file

if TYPE_CHECKING:
    import torch

Key = tuple[str | None, tuple[int, ...]]


class PrefixFolder:
    """Keys and values by (owner, token ids), one safetensors file each, at most `max_bytes` in all; none is dropped."""

    def __init__(self, folder: Path, *, max_bytes: float) -> None:
        """Empty `folder`: what a killed process left there may be torn."""
        shutil.rmtree(folder, ignore_errors=True)
        self._folder = folder
        self._max_bytes = max_bytes
        self._held: dict[Key, Path] = {}
        self.n_bytes = 0

    def __contains__(self, key: Key) -> bool:
        return key in self._held

    def get(self, key: Key) -> torch.Tensor | None:
        """Return the states stored under `key`, None if there are none."""
        path = self._held.get(key)
        return None if path is None else load_file(path)["states"]

    def put(self, key: Key, states: torch.Tensor) -> bool:
        """Store `states` unless the cap forbids it; return whether it did. A full disk is an OSError."""
        size = states.numel() * states.element_size()
        if self.n_bytes + size > self._max_bytes:
            return False
        self._folder.mkdir(parents=True, exist_ok=True)
        name = hashlib.sha256(repr(key).encode()).hexdigest()[:32]
        path = self._folder / f"{name}.safetensors"
        save_file({"states": states.contiguous()}, path)
        self._held[key] = path
        self.n_bytes += size
        return True

    def remove(self) -> None:
        """Remove the folder and all in it."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._held.clear()
        self.n_bytes = 0
