"""Every method starts from the base's own loss, learns, and leaves the base as it was."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel

from tests.tiny import load_tiny, make_job
from workbench.config import RecipeConfig
from workbench.generation import LocalGenerator
from workbench.models.adapters import peft_quieted
from workbench.models.lora_methods import create_adapter
from workbench.models.prefix import PrefixStore
from workbench.training import train_adapter
from workbench.training.loss import CompletionLoss

pytestmark = pytest.mark.usefixtures("tiny_home")

METHODS = ["lora", "dora", "rslora", "pissa", "eva"]


def train(folder: Path, model: Any = None, **changes: Any) -> Any:
    own, tokenizer = load_tiny()
    job = make_job(tokenizer, **({"dropout": 0.0, "acts_from": "prompt"} | changes))
    return train_adapter(job, model or own, folder, pad_id=0)


@pytest.mark.parametrize("method", METHODS)
def test_it_starts_from_the_base_and_learns(tmp_path: Path, method: str) -> None:
    progress = train(tmp_path, method=method, epochs=10, learning_rate=2e-3)
    base = train(tmp_path / "lora", epochs=1)
    assert progress.held_out[0]["loss"] == pytest.approx(base.held_out[0]["loss"], rel=1e-4)
    assert progress.held_out[-1]["loss"] < 0.95 * progress.held_out[0]["loss"]


@pytest.mark.parametrize("method", METHODS)
def test_the_adapter_on_disk_is_the_one_that_was_measured(tmp_path: Path, method: str) -> None:
    model, tokenizer = load_tiny()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    progress = train(tmp_path, model, method=method, epochs=4, learning_rate=2e-3)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    job = make_job(tokenizer, acts_from="prompt")
    engine = LocalGenerator(model, tokenizer, base_fingerprint="base", prefix_cache_bytes=0)
    engine.load_adapter("reader", tmp_path / "adapter")
    loss = CompletionLoss(engine._model, adapter="reader", prefixes=PrefixStore(max_bytes=0, evict=False), pad_id=0)
    engine._model.set_adapter("reader")
    assert loss.per_example(job.held_out) == pytest.approx(progress.held_out_rows["kept"], rel=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_peft_loads_it_by_itself_to_equal_losses(tmp_path: Path, method: str) -> None:
    model, tokenizer = load_tiny()
    progress = train(tmp_path, method=method, epochs=4, learning_rate=2e-3)
    with peft_quieted():
        theirs = PeftModel.from_pretrained(model, str(tmp_path / "adapter"))
    job = make_job(tokenizer, acts_from="prompt")
    loss = CompletionLoss(theirs, adapter="default", prefixes=PrefixStore(max_bytes=0, evict=False), pad_id=0)
    theirs.eval()
    assert loss.per_example(job.held_out) == pytest.approx(progress.held_out_rows["kept"], rel=1e-4)


def test_an_adapters_config_holds_no_path_and_no_chance(tmp_path: Path) -> None:
    train(tmp_path, epochs=1)
    config = json.loads((tmp_path / "adapter/adapter_config.json").read_text())
    assert config["base_model_name_or_path"] is None
    assert config["target_modules"] == sorted(config["target_modules"])


def test_pissa_is_saved_at_twice_the_rank(tmp_path: Path) -> None:
    train(tmp_path, method="pissa", r=4)
    assert '"r": 8' in (tmp_path / "adapter/adapter_config.json").read_text()


def test_pissa_cannot_share_what_the_base_read() -> None:
    with pytest.raises(ValueError, match="pissa contradicts acts_from: question"):
        RecipeConfig(method="pissa", acts_from="question")


def test_lora_plus_gives_b_its_own_rate() -> None:
    recipe = RecipeConfig(r=4, lora_plus_ratio=16, acts_from="prompt")
    fresh = create_adapter(load_tiny()[0], "reader", recipe, seed=0)
    low, high = fresh.parameter_groups(recipe)
    assert (low["rate"], high["rate"]) == (1.0, 16)
    shapes = {tuple(tensor.shape) for tensor in high["params"]}
    assert all(shape[1] == 4 for shape in shapes)  # B is (out, r)
    assert len(low["params"]) == len(high["params"])


def test_checkpointed_activations_change_no_number(tmp_path: Path) -> None:
    plain = train(tmp_path / "plain")
    again = train(tmp_path / "again", gradient_checkpointing=True)
    for one, other in zip(plain.steps, again.steps, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-4)
        assert one["norm"] == pytest.approx(other["norm"], rel=1e-3)
