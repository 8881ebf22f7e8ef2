"""Layers are compiled for a block, and as they were after it."""

from typing import Any

import pytest
from transformers.modeling_layers import GradientCheckpointingLayer

from tests.tiny import RECIPE, load_tiny
from workbench.models.layers import compiled_layers
from workbench.models.lora_linear import fused_lora
from workbench.models.lora_methods import create_adapter

pytestmark = pytest.mark.usefixtures("tiny_home")


def find_layers(model: Any) -> list[Any]:
    return [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the compiler's own, on its first import
def test_layers_are_compiled_inside_the_block_alone() -> None:
    model, _ = load_tiny()
    layers = find_layers(model)
    with compiled_layers(model, wanted=True) as n_compiled:
        assert n_compiled == len(layers) == 2
        assert all(layer._compiled_call_impl is not None for layer in layers)
    assert all(layer._compiled_call_impl is None for layer in layers)
    with compiled_layers(model, wanted=False) as n_compiled:
        assert n_compiled == 0
        assert all(layer._compiled_call_impl is None for layer in layers)


def test_equal_layers_stay_equal_to_the_compiler() -> None:
    # A forward of its own on each module had every layer compiled anew, up to the limit, and then none.
    model = create_adapter(load_tiny()[0], "reader", RECIPE.model_copy(update={"dropout": 0.0}), seed=0).model
    with fused_lora(model, "reader") as n_replaced:
        assert n_replaced > 0
        assert not any("forward" in vars(module) for module in model.modules())
