"""LoRA's linear layer in one node gives what PEFT's gives, and stands aside wherever it would not."""

import copy
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model

from workbench.models.lora_linear import _LoraLinear, fused_lora


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(6, 5)
        self.second = torch.nn.Linear(5, 4, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.second(torch.nn.functional.silu(self.first(x)))
        return out


def make_adapted(**options: Any) -> Any:
    torch.manual_seed(0)
    config = LoraConfig(r=3, lora_alpha=6, target_modules=["first", "second"], **options)
    model = get_peft_model(Net(), config, adapter_name="one")
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    return model


def gradients(model: Any, x: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    (model(x) ** 2).sum().backward()
    return {name: tensor.grad.clone() for name, tensor in model.named_parameters() if tensor.grad is not None}


def test_output_and_gradients_are_pefts() -> None:
    model, x = make_adapted(), torch.randn(2, 7, 6)
    wanted, expected = model(x), gradients(model, x)
    with fused_lora(model, "one") as n_layers:
        assert n_layers == 2
        assert torch.allclose(model(x), wanted, atol=1e-6)
        found = gradients(model, x)
    assert set(found) == set(expected) and len(found) == 4
    for name, gradient in found.items():
        assert gradient.dtype == torch.float32
        assert torch.allclose(gradient, expected[name], atol=1e-4, rtol=1e-4), name
    assert torch.equal(model(x), wanted), "PEFT's own forward is back"


@pytest.mark.gpu
def test_over_four_bits_output_and_gradients_are_pefts() -> None:
    layers = pytest.importorskip("bitsandbytes").nn

    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(128, 64), torch.nn.SiLU(), torch.nn.Linear(64, 128, bias=False))
    for place in (0, 2):
        plain = net[place]
        net[place] = layers.Linear4bit(
            plain.in_features, plain.out_features, bias=plain.bias is not None, compute_dtype=torch.float32
        )
        net[place].load_state_dict(plain.state_dict())
    net.is_loaded_in_4bit = True  # type: ignore[assignment]  # as Transformers marks a model; PEFT asks for it
    device = "cuda" if torch.cuda.is_available() else "cpu"
    config = LoraConfig(r=3, lora_alpha=6, target_modules=["0", "2"])
    model = get_peft_model(net.to(device).requires_grad_(False), config, adapter_name="one").train()
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    x = torch.randn(2, 7, 128, device=device, requires_grad=True)
    wanted, expected = model(x), gradients(model, x)
    into_x, x.grad = x.grad, None
    with fused_lora(model, "one") as n_layers:
        assert n_layers == 2
        assert torch.allclose(model(x), wanted, atol=1e-4)
        found = gradients(model, x)
    assert x.grad is not None
    assert torch.allclose(x.grad, into_x, atol=1e-3, rtol=1e-3)
    assert set(found) == set(expected) and len(found) == 4
    for name, gradient in found.items():
        assert torch.allclose(gradient, expected[name], atol=1e-3, rtol=1e-3), name
    assert torch.equal(model(x), wanted), "PEFT's own forward is back"


def test_the_backward_pass_is_the_derivative() -> None:
    x, down, up = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in ([2, 3, 6], [2, 6], [4, 2]))
    weight, bias = torch.randn(4, 6, dtype=torch.float64), torch.randn(4, dtype=torch.float64)
    apply: Any = _LoraLinear.apply
    assert torch.autograd.gradcheck(lambda x, a, b: apply(x, weight, bias, a, b, 0.5), (x, down, up))


def test_a_bfloat16_base_keeps_a_float32_adapter_and_no_wide_copies() -> None:
    model = make_adapted()
    for layer in model.modules():
        if isinstance(layer, torch.nn.Linear) and not layer.weight.requires_grad:
            layer.to(torch.bfloat16)
    x = torch.randn(4, 6).to(torch.bfloat16)
    expected, kept = gradients(model, x), list[torch.Tensor]()

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor)
        return tensor

    with fused_lora(model, "one"):
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            model(x)
        found = gradients(model, x)
    assert {tensor.dtype for tensor in kept} == {torch.bfloat16}
    for name, gradient in found.items():
        assert gradient.dtype == torch.float32
        scale = float(expected[name].abs().max())
        assert torch.allclose(gradient, expected[name], atol=0.05 * scale), name


def test_which_adapter_acts_stays_pefts_to_say() -> None:
    model, x = make_adapted(), torch.randn(3, 6)
    model.add_adapter("two", copy.copy(model.peft_config["one"]))
    with model.disable_adapter():
        base = model(x)
    model.set_adapter("two")  # its B is zero
    with fused_lora(model, "one"):
        assert torch.allclose(model(x), base)
        model.set_adapter("one")
        assert not torch.allclose(model(x), base, atol=0.1)
        with model.disable_adapter():
            assert torch.equal(model(x), base)


@pytest.mark.parametrize("options", [{"lora_dropout": 0.1}, {"use_dora": True}], ids=lambda x: str(*x))
def test_what_it_does_not_know_is_left_to_peft(options: dict[str, Any]) -> None:
    with fused_lora(make_adapted(**options), "one") as n_layers:
        assert n_layers == 0
