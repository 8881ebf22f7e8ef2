"""Names of adapters with the real PEFT: what is refused would break, what is let through does no harm."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from transformers import LlamaConfig, LlamaForCausalLM

from tests.intake.sweep import make_adapter
from workbench.config import RecipeConfig, TrainingConfig
from workbench.config.adapter_names import CONTAINER_WORDS, find_name_fault
from workbench.errors import AdapterMismatchError
from workbench.models.adapters import adapter_active, read_passport, refuse_clashing_name
from workbench.models.lora_methods import create_adapter
from workbench.models.mixed_lora import LoraMixer

HARMLESS = ("q", "k", "v", "A", "default", "lora", "reader-seed-3", "closed_book_again", "7b")
OF_THE_BASE = ("q_proj", "self_attn", "embed_tokens", "lm_head", "norm")


def make_base() -> Any:
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2, "num_key_value_heads": 1}
    config: Any = LlamaConfig(vocab_size=50, num_hidden_layers=2, **shape)  # type: ignore[arg-type]
    model: Any = LlamaForCausalLM(config)
    return model.eval()


def make_pair(name: str) -> Any:
    """A base with two adapters that do something, `name` and `other`."""
    torch.manual_seed(1)
    config = LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model: Any = get_peft_model(make_base(), config, adapter_name=name)
        model.add_adapter("other", config)
    return model.eval()


def saved(model: Any, name: str) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = get_peft_model_state_dict(model, adapter_name=name)
    return tensors


@pytest.mark.parametrize("name", HARMLESS)
@torch.no_grad()
def test_an_odd_name_that_is_let_through_saves_loads_and_mixes(name: str) -> None:
    refuse_clashing_name(make_base(), name)
    model, plain = make_pair(name), make_pair("plain")
    for mine, theirs in ((name, "plain"), ("other", "other")):
        tensors, expected = saved(model, mine), saved(plain, theirs)
        assert tensors.keys() == expected.keys()
        assert all(torch.equal(tensors[key], expected[key]) for key in expected)
    ids = torch.tensor([[1, 2, 3, 4]])
    mixer = LoraMixer(model)
    assert mixer.mixable == {name, "other"}
    for one in (name, "other", None):
        with adapter_active(model, one):
            alone = model(input_ids=ids).logits
        with mixer.installed():
            mixer.route([(one, 4)])
            assert torch.allclose(model(input_ids=ids).logits, alone, atol=1e-5)


@pytest.mark.parametrize("name", ["lora_A", "model", "weight", "layers", "0", *OF_THE_BASE[:2]])
def test_a_name_that_is_refused_would_take_tensors_from_the_adapter_beside_it(name: str) -> None:
    with pytest.raises(AdapterMismatchError, match=f"adapter '{name}' is "):
        refuse_clashing_name(make_base(), name)
    assert saved(make_pair(name), "other").keys() != saved(make_pair("plain"), "other").keys()


@pytest.mark.parametrize("name", ["keys", "to", "training", "a.b"])
def test_a_name_that_is_refused_cannot_be_attached_by_peft(name: str) -> None:
    assert find_name_fault(name)
    with pytest.raises(KeyError):
        make_pair(name)


def test_every_attribute_of_torchs_containers_is_refused() -> None:
    attributes = {*dir(torch.nn.ModuleDict()), *dir(torch.nn.ParameterDict())}
    assert {name for name in attributes if not name.startswith("_")} <= CONTAINER_WORDS
    assert all(find_name_fault(name) for name in attributes)


@pytest.mark.parametrize("name", OF_THE_BASE)
def test_a_module_of_the_base_is_named_in_the_refusal(name: str) -> None:
    with pytest.raises(AdapterMismatchError, match=rf"module of the base model \((model\..*)?{name}"):
        create_adapter(make_base(), name, RecipeConfig(), seed=0)


@pytest.mark.parametrize("name", ["", "a b", "../up", "a/b", "é", "x" * 101, "-a", "lora_B_mine", "keys", "12"])
def test_the_config_refuses_it_before_anything_is_loaded(name: str) -> None:
    with pytest.raises(ValueError, match=r"give it another name in training\.adapters"):
        TrainingConfig.model_validate({"adapters": {name: {"examples": "closed_book"}}})


@pytest.mark.parametrize("name", ["../../up", "a.b", "keys", 7, None, ["a"]])
def test_a_passport_with_such_a_name_is_refused(tmp_path: Path, name: object) -> None:
    folder = make_adapter(tmp_path / "adapter")
    words = dict.fromkeys(("base_fingerprint", "template_hash", "acts_from", "trained_on"), "x")
    (folder / "workbench.json").write_text(json.dumps({"name": name, "rank": 4, "alpha": 8, **words}))
    with pytest.raises(AdapterMismatchError, match=r"workbench\.json: the name .* give it another one there"):
        read_passport(folder)
