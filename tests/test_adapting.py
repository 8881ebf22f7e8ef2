"""Adapters of an experiment: from a dataset of its own, by a grid, with more seeds, checked at their gates."""

import json
from pathlib import Path
from typing import Any

import pytest

from workbench.bench import Bench
from workbench.config import load_config
from workbench.errors import SensitiveDataError

LORA = 'arms={"lora": {"strategy": "closed_book", "adapter": "closed_book"}}'


def train(experiment: Path, out: Path, *overrides: str) -> dict[str, Any]:
    return Bench(load_config(experiment, overrides=[LORA, *overrides]), out=out).train()["closed_book"]


def test_a_grid_takes_the_lowest_held_out_loss_for_the_training(experiment: Path, tmp_path: Path) -> None:
    overrides = ("training.grid={learning_rate: [0.01x, 4x]}", "training.grid_share=0.5")
    stage = train(experiment, tmp_path, *overrides)
    losses = [tried["held_out_loss"] for tried in stage["grid"]["tried"]]
    assert losses[1] < losses[0]
    assert stage["grid"]["best"] == {"learning_rate": 2e-3}
    progress = json.loads((tmp_path / "train-closed_book/checkpoint/progress.json").read_text())
    assert max(step["learning_rate"] for step in progress["steps"]) == pytest.approx(2e-3)
    stamp = (tmp_path / "grid-closed_book/stage.json").stat().st_mtime_ns
    assert train(experiment, tmp_path, *overrides)["weights"] == stage["weights"]
    assert (tmp_path / "grid-closed_book/stage.json").stat().st_mtime_ns == stamp


def test_more_seeds_give_more_held_out_losses(experiment: Path, tmp_path: Path) -> None:
    stage = train(experiment, tmp_path, "training.seeds=[1, 2]")
    assert set(stage["seeds"]) == {"1", "2"}
    assert len({stage["held_out_loss"], *stage["seeds"].values()}) == 3


def test_an_adapter_learns_from_a_dataset_of_the_runs_own(experiment: Path, tmp_path: Path) -> None:
    overrides = ('training.adapters.closed_book={"examples": "dataset", "tasks": ["closed_book", "text"]}',)
    config = ("dataset.dev=0.3", "training.max_tokens=1024", "training.max_examples=16")
    stage = train(experiment, tmp_path, *overrides, *config)
    assert stage["rows"] == 16
    assert {"questions", "text"} & set(stage["rows_made_by"])
    assert (tmp_path / "dataset/rows/dataset.json").exists()
    assert stage["held_out_rows"] > 0


def test_a_secret_in_a_row_stops_the_training_until_it_is_allowed(experiment: Path, tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    victim = next(line for line in lines if line["split"] == "train" and line["answers"])
    victim["text"] = "Does support.person@skerrinvale.example answer?"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(SensitiveDataError, match=rf"email: 1 in 1 rows: {victim['id']}"):
        train(experiment, tmp_path / "out")
    assert train(experiment, tmp_path / "out", "training.allow_findings=[email]")["rows"] > 0


def test_a_trained_adapter_is_checked_and_described(experiment: Path, tmp_path: Path) -> None:
    stage = train(experiment, tmp_path, "gates.enabled=true", "gates.canaries=true", "gates.canary_candidates=15")
    assert stage["gates"]["start equals base"] == "pass"
    assert "canary-0" not in json.dumps(stage["rows_made_by"])
    folder = tmp_path / "train-closed_book/adapter"
    card = (folder / "README.md").read_text()
    assert "questions" in card and "## " in card
    assert json.loads((folder / "gates.json").read_text())["results"]
    before = (folder / "gates.json").stat().st_mtime_ns
    again = train(experiment, tmp_path, "gates.enabled=true", "gates.canaries=true", "gates.canary_candidates=15")
    assert again["gates"] == stage["gates"]
    assert (folder / "gates.json").stat().st_mtime_ns == before
