"""Norms and gated MLPs in nodes of their own give the bits that Transformers' give, and stand aside elsewhere."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers.models.gemma.modeling_gemma import GemmaRMSNorm
from transformers.models.llama.modeling_llama import LlamaMLP, LlamaRMSNorm

from tests.tiny import RECIPE, load_tiny, make_job
from workbench.models.lean_layers import last_mlp_at, lean_layers
from workbench.models.lora_linear import fused_lora
from workbench.models.lora_methods import create_adapter
from workbench.models.prefix import decoder
from workbench.training import train_adapter
from workbench.training.updates import Updater


class Net(torch.nn.Module):
    """A norm and an MLP, as a model has them."""

    def __init__(self, norm: torch.nn.Module, activation: str = "silu") -> None:
        super().__init__()
        torch.manual_seed(0)
        config: Any = type("Config", (), {"hidden_size": 8, "intermediate_size": 12, "mlp_bias": True})()
        config.hidden_act = activation
        self.norm, self.mlp = norm, LlamaMLP(config)  # type: ignore[no-untyped-call]
        self.register_buffer("place", torch.zeros(1))

    @property
    def device(self) -> torch.device:
        return self.get_buffer("place").device

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.mlp(self.norm(x))
        return out


def make_net(
    make_norm: Callable[[int], torch.nn.Module] = LlamaRMSNorm, activation: str = "silu", *, trains: bool = False
) -> Net:
    net = Net(make_norm(8), activation)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter)
        parameter.requires_grad = trains
    return net


def test_a_norm_that_is_wider_than_its_input_widens_as_theirs_does() -> None:
    net, x = make_net(), torch.randn(2, 5, 8).bfloat16().requires_grad_()
    expected = net.norm(x)
    with lean_layers(net):
        found = net.norm(x)
    assert found.dtype == expected.dtype == torch.float32
    assert torch.equal(found, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_results_are_equal_to_the_bit_and_gradients_are_theirs(dtype: torch.dtype) -> None:
    net, x = make_net().to(dtype), (3 * torch.randn(2, 5, 8)).to(dtype).requires_grad_()
    exact, wide = make_net(), x.detach().float().requires_grad_()
    for parameter, other in zip(exact.parameters(), net.parameters(), strict=True):
        parameter.data.copy_(other)
    upstream = torch.randn(2, 5, 8).to(dtype)
    wanted = net(x)
    (expected,) = torch.autograd.grad(wanted, x, upstream)
    (truth,) = torch.autograd.grad(exact(wide), wide, upstream.float())
    with lean_layers(net) as n_modules:
        assert n_modules == 2
        out = net(x)
        assert torch.equal(out, wanted)
        (found,) = torch.autograd.grad(out, x, upstream)
    assert found.dtype == dtype
    if dtype == torch.float32:
        assert torch.allclose(found, expected, atol=1e-5, rtol=1e-5)
    assert (found.float() - truth).norm() <= 1.2 * (expected.float() - truth).norm() + 1e-5 * truth.norm()
    assert type(net.norm) is LlamaRMSNorm and type(net.mlp) is LlamaMLP, "Transformers' own are back"


class FlooredRMSNorm(LlamaRMSNorm):
    """A norm of the same parts, another by its formula where the input is small alone."""

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        wide = hidden_states.float()
        mean = wide.pow(2).mean(-1, keepdim=True).clamp(min=self.variance_epsilon)
        out: torch.Tensor = self.weight * (wide * torch.rsqrt(mean)).to(hidden_states.dtype)
        return out


class ClampedMLP(LlamaMLP):
    """An MLP of the same parts, another by its formula where the gate is large alone."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate = self.act_fn(self.gate_proj(x).clamp(max=30.0))
        out: torch.Tensor = self.down_proj(gate * self.up_proj(x))
        return out


def make_clamped() -> Net:
    net = make_net()
    net.mlp.__class__ = ClampedMLP
    return net


@pytest.mark.parametrize(
    ("net", "n_modules"),
    [
        (make_net(GemmaRMSNorm), 1),
        (make_net(activation="gelu"), 1),
        (make_net(trains=True), 1),
        (make_net(torch.nn.LayerNorm, "relu"), 0),
        (make_net(FlooredRMSNorm).bfloat16(), 1),
        (make_clamped(), 1),
    ],
    ids=["a norm with weights around 0", "another gate", "a norm that is trained", "neither", "a floor", "a clamp"],
)
def test_what_computes_something_else_is_left_alone(net: Net, n_modules: int) -> None:
    x = torch.randn(2, 5, 8).to(net.mlp.gate_proj.weight.dtype)
    wanted = net(x)
    with lean_layers(net) as found:
        assert found == n_modules
        assert torch.equal(net(x), wanted)


def test_less_is_kept_for_the_backward_pass() -> None:
    net, x = make_net(), torch.randn(64, 8, requires_grad=True)

    def kept() -> int:
        own = {tensor.data_ptr() for tensor in net.parameters()}
        sizes: dict[int, int] = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            if tensor.data_ptr() not in own:
                sizes[tensor.data_ptr()] = tensor.nbytes
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            out = net(x)
        del out
        return sum(sizes.values())

    before = kept()
    with lean_layers(net):
        assert kept() < before


@pytest.mark.usefixtures("tiny_home")
def test_an_adapter_with_dropout_does_not_hide_the_layers() -> None:
    model, _ = load_tiny()
    fresh = create_adapter(model, "one", RECIPE.model_copy(update={"dropout": 0.5}), seed=0)
    fresh.model.train()
    with lean_layers(fresh.model) as n_modules:
        assert n_modules == 3 * model.config.num_hidden_layers + 1
        assert fresh.model.training


@pytest.mark.usefixtures("tiny_home")
def test_a_training_runs_through_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = load_tiny()
    seen: set[str] = set()
    step = Updater.step

    def watched(updater: Updater, batch: Any) -> dict[str, float]:
        seen.update(type(module).__name__ for module in updater.loss.model.modules())
        return step(updater, batch)

    monkeypatch.setattr(Updater, "step", watched)
    train_adapter(make_job(tokenizer, epochs=1), model, tmp_path, pad_id=0)
    assert {"LeanLlamaRMSNorm", "LeanLlamaMLP"} <= seen
    assert not any(type(module).__name__.startswith("Lean") for module in model.modules())


def make_adapted() -> tuple[Any, Any]:
    """The random model under a LoRA adapter that does something, and rows of token ids."""
    model, _ = load_tiny()
    fresh = create_adapter(model, "one", RECIPE.model_copy(update={"dropout": 0.0}), seed=0)
    for name, parameter in fresh.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1, generator=torch.Generator().manual_seed(1))
    return fresh.model, torch.tensor([[5, 6, 7, 8, 9], [9, 8, 7, 6, 5]])


def states_and_gradients(model: Any, ids: torch.Tensor, places: Any) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    model.zero_grad()
    states = decoder(model)(input_ids=ids, use_cache=False).last_hidden_state.flatten(0, 1)[places]
    states.square().sum().backward()
    return states.detach(), {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.usefixtures("tiny_home")
def test_behind_a_gated_mlp_lora_learns_what_it_learns_there() -> None:
    model, ids = make_adapted()
    wanted, expected = states_and_gradients(model, ids, slice(None))
    with fused_lora(model, "one"), lean_layers(model):
        found, gradients = states_and_gradients(model, ids, slice(None))
    assert torch.allclose(found, wanted, atol=1e-5)
    assert set(gradients) == set(expected) and any("down_proj" in name for name in expected)
    for name, gradient in gradients.items():
        assert torch.allclose(gradient, expected[name], atol=1e-4, rtol=1e-3), name


@pytest.mark.usefixtures("tiny_home")
def test_the_last_mlp_computes_the_tokens_asked_for_and_no_other() -> None:
    model, ids = make_adapted()
    places = torch.tensor([2, 4, 8])
    widths: list[int] = []
    with fused_lora(model, "one"), lean_layers(model):
        last = decoder(model).layers[-1].mlp
        last.gate_proj.register_forward_hook(lambda module, inputs, output: widths.append(output[..., 0].numel()))
        wanted, expected = states_and_gradients(model, ids, places)
        with last_mlp_at(model, places, ids.shape):
            found, gradients = states_and_gradients(model, ids, places)
        with last_mlp_at(model, places, (5, 2)):  # tokens of another shape are not what it was told about
            states_and_gradients(model, ids, places)
        with last_mlp_at(model, None), torch.no_grad():
            decoder(model)(input_ids=ids, use_cache=False)
    assert widths == [10, 3, 10]
    assert torch.allclose(found, wanted, atol=1e-5)
    assert set(gradients) == set(expected)
    for name, gradient in gradients.items():
        assert torch.allclose(gradient, expected[name], atol=1e-4, rtol=1e-3), name


@pytest.mark.usefixtures("tiny_home")
@pytest.mark.parametrize("why", ["the layers are sealed", "tokens are mixed after it"])
def test_the_last_mlp_computes_every_token_where(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, ids = make_adapted()
    if why == "tokens are mixed after it":
        norm = decoder(model).norm
        kept = norm.forward
        monkeypatch.setattr(norm, "forward", lambda states: kept(states + states.mean(dim=1, keepdim=True)))
    with lean_layers(model, sealed=why == "the layers are sealed"):
        whole = decoder(model)(input_ids=ids, use_cache=False).last_hidden_state
        with last_mlp_at(model, torch.tensor([2]), ids.shape):
            assert torch.equal(decoder(model)(input_ids=ids, use_cache=False).last_hidden_state, whole)
