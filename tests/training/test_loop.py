"""The laws of a training run: it learns, it resumes to the same bits, it refuses what it cannot vouch for."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.tiny import load_tiny, make_job
from workbench.errors import CheckpointMismatchError, TrainingError
from workbench.training import TrainingJob, train_adapter
from workbench.training import loop as loop_module
from workbench.training.updates import Updater

pytestmark = pytest.mark.usefixtures("tiny_home")


def train(folder: Path, job: TrainingJob | None = None, **changes: Any) -> Any:
    model, tokenizer = load_tiny()
    return train_adapter(job or make_job(tokenizer, **changes), model, folder, pad_id=0)


def weights(folder: Path) -> dict[str, bytes]:
    return {
        name: tensor.numpy().tobytes()
        for name, tensor in load_file(folder / "adapter/adapter_model.safetensors").items()
    }


def test_the_loss_falls_on_eight_examples(tmp_path: Path) -> None:
    progress = train(tmp_path, epochs=20, learning_rate=2e-3, dropout=0.0)
    assert progress.held_out[-1]["loss"] < 0.9 * progress.held_out[0]["loss"]
    assert progress.best_loss == min(record["loss"] for record in progress.held_out)
    assert progress.step == 40


def test_before_the_first_step_the_adapter_is_the_base(tmp_path: Path) -> None:
    progress = train(tmp_path, epochs=1)
    model, tokenizer = load_tiny()
    losses, n_tokens = 0.0, 0
    for example in make_job(tokenizer).held_out:
        ids = torch.tensor([example.token_ids])
        labels = ids.where(torch.tensor([example.loss_mask]), -100)
        with torch.no_grad():
            losses += float(
                torch.nn.functional.cross_entropy(model(ids).logits[0, :-1], labels[0, 1:], reduction="sum")
            )
        n_tokens += sum(example.loss_mask)
    assert progress.held_out[0] == {"step": 0, "loss": pytest.approx(losses / n_tokens, rel=1e-4)}


def test_two_trainings_give_the_same_bits(tmp_path: Path) -> None:
    for name in ("a", "b"):
        train(tmp_path / name)
    assert weights(tmp_path / "a") == weights(tmp_path / "b")


@pytest.mark.parametrize("stop_after", [1, 2, 3])
def test_an_interrupted_training_resumes_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_after: int
) -> None:
    whole = train(tmp_path / "whole", micro_batch_size=2)  # dropout, shuffling and accumulation are on
    calls: list[int] = []
    update = Updater.step

    def interrupted(self: Any, batch: Any) -> Any:
        if len(calls) == stop_after:
            raise KeyboardInterrupt
        calls.append(1)
        return update(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Updater, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "parts", micro_batch_size=2)
    resumed = train(tmp_path / "parts", micro_batch_size=2)
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")
    assert resumed.steps == whole.steps
    assert resumed.held_out == whole.held_out


def test_an_interruption_inside_an_evaluation_does_not_lose_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train(tmp_path / "whole")
    evaluate, calls = loop_module._Training._evaluate, list[int]()

    def interrupted(self: Any) -> None:
        calls.append(1)
        if len(calls) == 3:  # the last one
            raise KeyboardInterrupt
        evaluate(self)

    with monkeypatch.context() as patch:
        patch.setattr(loop_module._Training, "_evaluate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "parts")
    assert train(tmp_path / "parts").held_out == whole.held_out
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")


def test_a_checkpoint_of_another_recipe_is_refused_with_both_fingerprints(tmp_path: Path) -> None:
    train(tmp_path, epochs=1)
    found = json.loads((tmp_path / "checkpoint/progress.json").read_text())["identity"]["recipe"][:12]
    wanted = make_job(load_tiny()[1], epochs=2).identity["recipe"][:12]
    with pytest.raises(CheckpointMismatchError, match=rf"recipe {found}, now {wanted};"):
        train(tmp_path, epochs=2)


def test_a_poisoned_base_ends_typed_and_saves_nothing(tmp_path: Path) -> None:
    model, tokenizer = load_tiny()
    with torch.no_grad():
        model.lm_head.weight[5] = float("nan")
    with pytest.raises(TrainingError, match="held-out loss is nan at step 0"):
        train_adapter(make_job(tokenizer), model, tmp_path, pad_id=0)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_without_rows_there_is_no_training(tmp_path: Path) -> None:
    _, tokenizer = load_tiny()
    job = make_job(tokenizer)
    empty = TrainingJob(job.name, (), (), job.recipe, 0, "base", job.template_hash)
    with pytest.raises(TrainingError, match="no training rows"):
        train(tmp_path, empty)


def test_the_model_comes_back_bare(tmp_path: Path) -> None:
    model, tokenizer = load_tiny()
    before = dict(model.named_parameters())
    train_adapter(make_job(tokenizer), model, tmp_path, pad_id=0)
    assert dict(model.named_parameters()).keys() == before.keys()


def test_keeping_the_last_keeps_the_last(tmp_path: Path) -> None:
    progress = train(tmp_path, keep="last", epochs=4, evaluations=4)
    assert progress.best_step == progress.step == 8
    assert progress.best_loss == progress.held_out[-1]["loss"]
