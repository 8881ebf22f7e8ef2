"""The loss curve while it grows: one JSON line a step, for whoever watches from another process.

Not the truth, which is the checkpoint: written without fsync, begun again from the checkpoint on every resume, and a
fault in it never stops a training.
"""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

from workbench.training.checkpoint import Progress

LIVE = "live.jsonl"
log = logging.getLogger(__name__)


class LiveCurve:
    """The curve of one training, in its folder."""

    def __init__(self, folder: Path, progress: Progress, *, n_steps: int) -> None:
        """Begin the file with what the checkpoint knows; later lines are appended."""
        self._path: Path | None = folder / LIVE
        self._write({"steps": n_steps}, mode="w")
        for record in progress.steps:
            self.step(record)
        for record in progress.held_out:
            self.held_out(record)

    def step(self, record: dict[str, float]) -> None:
        """Append one update's loss."""
        self._write({"step": record["step"], "loss": record["loss"]})

    def held_out(self, record: dict[str, float]) -> None:
        """Append one evaluation's loss."""
        self._write({"step": record["step"], "held_out": record["loss"]})

    def _write(self, line: dict[str, Any], *, mode: str = "a") -> None:
        if self._path is None:
            return
        try:
            with self._path.open(mode, encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")
        except OSError as error:
            log.warning("%s is not written any more: %s", self._path, error)
            self._path = None


def read_live(folder: Path) -> dict[str, Any]:
    """Return {"steps", "loss": [{"step", "loss"}], "held_out": [{"step", "loss"}]} of the training in `folder`.

    Nothing was trained there: 0 steps. A line that is not whole yet is left out.
    """
    curve: dict[str, Any] = {"steps": 0, "loss": [], "held_out": []}
    with suppress(FileNotFoundError):
        for line in (folder / LIVE).read_text(encoding="utf-8").splitlines():
            with suppress(json.JSONDecodeError):
                record = json.loads(line)
                if "steps" in record:
                    curve["steps"] = record["steps"]
                elif "loss" in record:
                    curve["loss"].append(record)
                else:
                    curve["held_out"].append({"step": record["step"], "loss": record["held_out"]})
    return curve
