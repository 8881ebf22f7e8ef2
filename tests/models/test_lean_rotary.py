"""The rotary embedding's node gives what Transformers' function gives, and stands in only where it does."""

import sys
from typing import Any

import pytest
import torch
from transformers.models.cohere import modeling_cohere
from transformers.models.llama import modeling_llama

from tests.tiny import load_tiny
from workbench.models.lean_rotary import FUNCTION, lean_rotary

pytestmark = pytest.mark.usefixtures("tiny_home")
before: Any = modeling_llama.apply_rotary_pos_emb


class Model(torch.nn.Module):
    """Stands for a model whose code lies in the module that is named."""

    device = torch.device("cpu")


def model_of(home: Any) -> Any:
    return type("Named", (Model,), {"__module__": home.__name__})()


def make_states(dtype: torch.dtype) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    draw = torch.Generator().manual_seed(1)
    # As a projection leaves them: (B, S, H, D), seen as (B, H, S, D).
    states = [torch.randn((2, 5, heads, 8), generator=draw).to(dtype).transpose(1, 2) for heads in (6, 2)]
    return [each.requires_grad_() for each in states], list(torch.randn((2, 2, 5, 8), generator=draw).to(dtype))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_results_are_equal_to_the_bit_and_gradients_are_right(dtype: torch.dtype) -> None:
    states, turns = make_states(dtype)
    expected = modeling_llama.apply_rotary_pos_emb(*states, *turns)
    with lean_rotary(model_of(modeling_llama)) as n_modules:
        found = modeling_llama.apply_rotary_pos_emb(*states, *turns)
    assert n_modules == 1
    assert all("Rotary" in str(mine.grad_fn) for mine in found)
    for mine, theirs, state in zip(found, expected, states, strict=True):
        assert torch.equal(mine, theirs)
        assert mine.transpose(1, 2).is_contiguous()
        upstream = torch.randn_like(theirs)
        (one,), (other,) = (torch.autograd.grad(each, state, upstream) for each in (mine, theirs))
        assert torch.allclose(one, other, atol=1e-6 if dtype == torch.float32 else 0.05)


def test_theirs_stays_where_nothing_is_learnt_or_dtypes_differ_and_comes_back() -> None:
    states, (cos, sin) = make_states(torch.bfloat16)
    with lean_rotary(model_of(modeling_llama)):
        stands_in: Any = modeling_llama.apply_rotary_pos_emb
        wide = stands_in(*states, cos.float(), sin.float())
        assert wide[0].dtype == torch.float32
        with torch.no_grad():
            plain = stands_in(*states, cos, sin)
        turned = [state.transpose(1, 2) for state in states]  # (B, S, H, D), as some models have it
        other = stands_in(*turned, cos, sin, unsqueeze_dim=2)
        fifth = stands_in(*states, cos, sin, 1)
    assert stands_in is not before
    assert modeling_llama.apply_rotary_pos_emb is before
    assert all(map(torch.equal, plain, before(*states, cos, sin)))
    assert all(map(torch.equal, fifth, plain))
    assert all(map(torch.equal, other, before(*turned, cos, sin, unsqueeze_dim=2)))


def test_a_function_with_other_results_is_left_alone() -> None:
    states, turns = make_states(torch.float32)
    neighbours: Any = modeling_cohere.apply_rotary_pos_emb  # these it turns, not halves
    expected = neighbours(*states, *turns)
    with lean_rotary(model_of(modeling_cohere)) as n_modules:
        assert n_modules == 0
        assert all(map(torch.equal, neighbours(*states, *turns), expected))


@pytest.mark.parametrize("wanted", [True, False])
def test_a_real_models_module_is_found(wanted: bool) -> None:
    model, _ = load_tiny()
    home = sys.modules[type(model).__module__]
    with lean_rotary(model, wanted=wanted) as n_modules:
        assert n_modules == wanted
        assert (getattr(home, FUNCTION) is before) != wanted
    assert getattr(home, FUNCTION) is before
