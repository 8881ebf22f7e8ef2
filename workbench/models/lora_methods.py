"""Fresh adapters by method: where they start, what is trained of them, and what they are once the base is whole again.

LoRA starts at B = 0 and changes nothing. PiSSA (arXiv:2404.02948) moves the largest singular directions out of the base
into the adapter, so it is saved as the difference to its start, at twice the rank, and the base is put back. EVA
(arXiv:2410.07170) starts A at the singular vectors of the rows' own activations, B = 0. DoRA: arXiv:2402.09353; rsLoRA:
arXiv:2312.03732; LoRA+: arXiv:2402.12354.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import torch
from peft import EvaConfig, LoraConfig, get_peft_model, get_peft_model_state_dict, initialize_lora_eva_weights

from workbench.config import RecipeConfig
from workbench.models.adapters import peft_quieted, refuse_clashing_name

Tensors = dict[str, torch.Tensor]
STARTS: dict[str, Any] = {"pissa": "pissa_niter_4", "eva": "eva"}
EVA_ROWS = 64  # rows whose activations are looked at; PEFT stops earlier where the vectors have settled


@dataclass(frozen=True, slots=True)
class FreshAdapter:
    """A PEFT model whose only trainable parameters are one new adapter's, float32 whatever the base's dtype."""

    model: Any
    name: str
    _start: Tensors = field(default_factory=dict)  # PiSSA: the adapter's weights before the first step
    _base: Tensors = field(default_factory=dict)  # PiSSA: the base's weights before they were parted

    def weights(self) -> tuple[Tensors, LoraConfig]:
        """Return the weights to be saved, on the CPU, and the config that fits them; both act on the whole base."""
        state = get_peft_model_state_dict(self.model, adapter_name=self.name)
        tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in state.items()}
        config: LoraConfig = copy(self.model.peft_config[self.name])
        config.init_lora_weights, config.eva_config = True, None  # where it started is no matter to who loads it
        config.target_modules = sorted(config.target_modules or ())  # a set's order differs from run to run
        config.base_model_name_or_path = None  # a path of this machine; the passport holds the base's fingerprint
        if not self._start:
            return tensors, config
        # W = W_rest + B0 A0, so W_rest + B A = W + [B, -B0] [A; A0].
        for key, first in self._start.items():
            sign, axis = (-1.0, 1) if "lora_B" in key else (1.0, 0)
            tensors[key] = torch.cat([tensors[key], sign * first], dim=axis).contiguous()
        config.r, config.lora_alpha = 2 * config.r, 2 * config.lora_alpha
        return tensors, config

    def unload(self) -> None:
        """Take the adapter off and leave the base as it was."""
        self.model.unload()
        if self._base:
            with torch.no_grad():
                for name, tensor in self.model.get_base_model().named_parameters():
                    if name in self._base:
                        tensor.copy_(self._base[name])

    def parameter_groups(self, recipe: RecipeConfig) -> list[dict[str, Any]]:
        """Return the optimizer's groups; `rate` is what the learning rate is multiplied by (LoRA+: more for B)."""
        ratio = recipe.lora_plus_ratio or 1.0
        groups: list[dict[str, Any]] = [{"params": [], "rate": 1.0}, {"params": [], "rate": ratio}]
        for name, parameter in self.model.named_parameters():
            if parameter.requires_grad:
                groups["lora_B" in name]["params"].append(parameter)
        return [group for group in groups if group["params"]]


def create_adapter(
    model: Any, name: str, recipe: RecipeConfig, *, seed: int, rows: Sequence[Sequence[int]] = ()
) -> FreshAdapter:
    """Attach a fresh adapter to all linear layers; the base is frozen.

    Args:
        rows: token ids of training rows; read by `method: eva` alone.
    Raises:
        AdapterMismatchError: PEFT would mix the name up with a part of the model.
    """
    refuse_clashing_name(model, name)
    torch.manual_seed(seed)
    config = LoraConfig(
        r=recipe.r,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
        use_dora=recipe.method == "dora",
        use_rslora=recipe.method == "rslora",
        init_lora_weights=STARTS.get(recipe.method, True),
        eva_config=EvaConfig(rho=1.0) if recipe.method == "eva" else None,  # one rank for all layers
    )
    base = {}
    if recipe.method == "pissa":
        base = {key: tensor.detach().clone() for key, tensor in model.named_parameters() if tensor.dim() == 2}
    with peft_quieted(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="lora with eva initialization used with low_cpu_mem_usage")
        peft_model = get_peft_model(model, config, adapter_name=name)
        if recipe.method == "eva":
            _start_from_activations(peft_model, name, rows[:EVA_ROWS])
    start = {}
    if recipe.method == "pissa":
        state = get_peft_model_state_dict(peft_model, adapter_name=name)
        start = {key: tensor.detach().cpu().clone() for key, tensor in state.items()}
    return FreshAdapter(peft_model, name, start, base)


def _start_from_activations(model: Any, name: str, rows: Sequence[Sequence[int]]) -> None:
    tokens = [torch.tensor([list(ids)], device=model.device) for ids in rows]
    batches = [{"input_ids": ids, "attention_mask": torch.ones_like(ids)} for ids in tokens]
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # PEFT warns of layers that had not settled; they are started all the same
        initialize_lora_eva_weights(model, dataloader=batches, adapter_name=name, show_progress_bar=False)
