"""Two processes on one CPU, started as a user starts them, train what one trains."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from accelerate import DistributedType

from workbench.bench import Bench
from workbench.config import load_config
from workbench.errors import ConfigError, TrainingError
from workbench.training.loop import _refuse_sharding

LAUNCH = [
    sys.executable,
    "-m",
    "accelerate.commands.launch",
    "--multi_gpu",
    "--num_processes",
    "2",
    "--num_machines",
    "1",
]
ONE_ADAPTER = ('arms={"lora": {"strategy": "closed_book", "adapter": "closed_book"}}', "training.micro_batch_size=2")


def losses(folder: Path) -> dict[str, list[dict[str, Any]]]:
    progress = json.loads((folder / "train-closed_book/checkpoint/progress.json").read_text())
    return {"steps": progress["steps"], "held_out": progress["held_out"]}


def test_two_processes_give_the_losses_of_one(experiment: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    Bench(load_config(experiment, overrides=ONE_ADAPTER), out=one).train()
    settings = [part for override in ONE_ADAPTER for part in ("--set", override)]
    command = [*LAUNCH, "-m", "workbench", "train", str(experiment), "--out", str(two), *settings]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("closed_book:") == 1  # told once
    for what, records in losses(one).items():
        assert len(records) > 1
        for ours, theirs in zip(records, losses(two)[what], strict=True):
            assert ours == pytest.approx(theirs, rel=1e-4)
    assert json.loads((two / "train-closed_book/stage.json").read_text())["result"]["processes"] == 2


def test_only_training_runs_in_several_processes(experiment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match=r"2 were launched; launch `workbench train`"):
        Bench(load_config(experiment)).run()


@pytest.mark.parametrize("kind", [DistributedType.FSDP, DistributedType.DEEPSPEED])
def test_a_launcher_that_would_shard_the_model_is_refused(kind: DistributedType) -> None:
    with pytest.raises(TrainingError, match=f"set to {kind.value}, but each process here holds the whole model"):
        _refuse_sharding(kind)
