"""Adapters mixed in one pass give each token what PEFT gives it alone; a token of the base gets the base's bits."""

from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora.layer import Linear

from workbench.models.adapters import adapter_active
from workbench.models.mixed_lora import LoraMixer


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(6, 5)
        self.second = torch.nn.Linear(5, 4, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.second(torch.nn.functional.silu(self.first(x)))
        return out


def make_adapted(**others: dict[str, Any]) -> Any:
    """Adapters `one` (rank 3, dropout), `two` (rank 2, first layer only) and `others`, none of which starts at zero."""
    torch.manual_seed(0)
    model = get_peft_model(
        Net(), LoraConfig(r=3, lora_alpha=6, lora_dropout=0.5, target_modules=["first", "second"]), adapter_name="one"
    )
    model.add_adapter("two", LoraConfig(r=2, lora_alpha=8, use_rslora=True, target_modules=["first"]))
    for name, options in others.items():
        model.add_adapter(name, LoraConfig(r=2, target_modules=["first"], **options))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    return model.eval()


def alone(model: Any, name: str | None, x: torch.Tensor) -> torch.Tensor:
    with adapter_active(model, name):
        out: torch.Tensor = model(x)
    return out


@pytest.mark.parametrize(
    "runs",
    [
        [("one", 2), (None, 1), ("two", 3), ("one", 1)],
        [("two", 7)],
        [(None, 7)],
        [("one", 3), ("two", 4)],
        [(None, 6), ("two", 1)],
    ],
    ids=str,
)
@torch.inference_mode()
def test_each_token_gets_its_own_adapter(runs: list[tuple[str | None, int]]) -> None:
    model, x = make_adapted(), torch.randn(1, 7, 6)
    expected = {name: alone(model, name, x) for name in (None, "one", "two")}
    mixer = LoraMixer(model)
    assert mixer.mixable == {"one", "two"}
    with mixer.installed():
        mixer.route(runs)
        found = model(x)
    token = 0
    for name, n_tokens in runs:
        here = slice(token, token + n_tokens)
        if name is None:
            assert torch.equal(found[:, here], expected[None][:, here])
        else:
            assert torch.allclose(found[:, here], expected[name][:, here], atol=1e-6)
        token += n_tokens
    assert torch.equal(alone(model, "one", x), expected["one"]), "PEFT's own layers are back"
    assert all(type(layer) is Linear for layer in (model.base_model.model.first, model.base_model.model.second))


@torch.inference_mode()
def test_a_projection_of_a_neighbour_that_overflows_harms_nobody_else() -> None:
    model, x = make_adapted(), torch.randn(1, 4, 6)
    expected = alone(model, "two", x)
    model.base_model.model.first.lora_A["one"].weight.fill_(3e38)
    mixer = LoraMixer(model)
    with mixer.installed():
        mixer.route([("two", 3), ("one", 1)])
        found = model(x * 1.0)
    assert torch.allclose(found[:, :3], expected[:, :3], atol=1e-6)


@pytest.mark.parametrize("options", [{"use_dora": True}, {"lora_bias": True}], ids=lambda x: str(*x))
def test_what_is_more_than_a_product_does_not_mix(options: dict[str, Any]) -> None:
    assert LoraMixer(make_adapted(odd=options)).mixable == {"one", "two"}


def test_an_adapter_with_a_weight_that_is_not_finite_does_not_mix() -> None:
    model = make_adapted()
    model.base_model.model.second.lora_B["one"].weight.data[0, 0] = torch.nan
    assert LoraMixer(model).mixable == {"two"}


def test_a_bare_model_has_nothing_to_mix() -> None:
    mixer = LoraMixer(Net())
    with mixer.installed():
        mixer.route([(None, 3)])
    assert mixer.mixable == frozenset()
