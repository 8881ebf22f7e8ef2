"""A training killed at a step or in a write goes on to the bits of the unbroken one (in full: kills.py)."""

import errno
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from tests.tiny import load_tiny, make_job
from tests.training.kills import digest
from workbench.errors import CheckpointMismatchError, TrainingError
from workbench.training import checkpoint, train_adapter
from workbench.training.checkpoint import read_progress

REPOSITORY = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("tiny_home")


def test_killed_at_a_step_or_a_write_it_goes_on_to_the_same_bits() -> None:
    command = [sys.executable, "-m", "tests.training.kills", "--steps", "4", "--every", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False, cwd=REPOSITORY)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    trials = dict(re.findall(r"killed at a (\w+): \d+ of (\d+)", done.stdout))
    assert int(trials["step"]) == 2
    assert int(trials["write"]) >= 2


def test_a_full_disk_ends_the_training_and_keeps_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(load_tiny()[1], epochs=2)
    train_adapter(make_job(load_tiny()[1], epochs=2), load_tiny()[0], tmp_path / "whole", pad_id=0)
    saved, save = list[int](), checkpoint.save_checkpoint

    def scarce(*arguments: Any, **options: Any) -> None:
        saved.append(1)
        if len(saved) == 3:
            monkeypatch.setattr(checkpoint, "save_file", _no_space)
        save(*arguments, **options)

    monkeypatch.setattr("workbench.training.loop.save_checkpoint", scarce)
    monkeypatch.setattr("workbench.training.loop.SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    with pytest.raises(OSError, match="No space left"):
        train_adapter(job, load_tiny()[0], tmp_path / "full", pad_id=0)
    assert read_progress(tmp_path / "full").step == 2
    monkeypatch.setattr(checkpoint, "save_file", save_file)
    monkeypatch.setattr("workbench.training.loop.save_checkpoint", save)
    train_adapter(job, load_tiny()[0], tmp_path / "full", pad_id=0)
    assert digest(tmp_path / "full") == digest(tmp_path / "whole")


def _no_space(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("name", ["state.safetensors", "progress.json"])
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, name: str) -> None:
    job = make_job(load_tiny()[1])
    train_adapter(job, load_tiny()[0], tmp_path, pad_id=0)
    path = tmp_path / "checkpoint" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(bytes(content) if name.startswith("state") else bytes(content[:-40]))
    with pytest.raises(CheckpointMismatchError, match=r"damaged.*remove .*checkpoint and train again"):
        train_adapter(job, load_tiny()[0], tmp_path, pad_id=0)


@pytest.mark.parametrize("part", ["data", "seed", "base", "template"])
def test_a_checkpoint_of_other_makings_is_refused_by_name(tmp_path: Path, part: str) -> None:
    from dataclasses import replace

    job = make_job(load_tiny()[1])
    train_adapter(job, load_tiny()[0], tmp_path, pad_id=0)
    changes: dict[str, Any] = {
        "data": {"rows": job.rows[:-1]},
        "seed": {"seed": 8},
        "base": {"base_fingerprint": "another"},
        "template": {"template_hash": "another"},
    }
    other = replace(job, **changes[part])
    with pytest.raises(
        CheckpointMismatchError, match=rf"{part} {job.identity[part][:12]}, now {other.identity[part][:12]}"
    ):
        train_adapter(other, load_tiny()[0], tmp_path, pad_id=0)


def test_a_loss_that_explodes_ends_typed_and_leaves_only_finite_numbers(tmp_path: Path) -> None:

    model, tokenizer = load_tiny()
    job = make_job(tokenizer, epochs=2)

    def poison(module: Any, inputs: Any, output: Any) -> Any:
        return output * float("nan") if module.training and len(calls := seen) and calls.pop() == 0 else output

    seen = [0, 1, 1, 1]
    handle = model.model.norm.register_forward_hook(poison)
    with pytest.raises(TrainingError, match="loss is nan at step"):
        train_adapter(job, model, tmp_path, pad_id=0)
    handle.remove()
    for path in tmp_path.rglob("*.safetensors"):
        assert all(bool(tensor.isfinite().all()) for tensor in load_file(path).values())
