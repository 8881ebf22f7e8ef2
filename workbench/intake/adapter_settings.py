"""adapter_config.json, key by key: PEFT's LoRA and nothing that reaches beyond the adapter's own tensors.

A key PEFT may learn later is refused until it was read here. Source: `LoraConfig` of PEFT 0.21.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from workbench.errors import ModelIntegrityError

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
PASSPORT = "workbench.json"

# PEFT imports (auto_mapping, megatron), patches layers (layer_replication), or reads data or files (the others): empty.
EMPTY_KEYS = frozenset(
    {
        *("auto_mapping", "megatron_config", "layer_replication", "runtime_config", "corda_config", "eva_config"),
        *("loftq_config", "lora_ga_config", "velora_config", "monteclora_config", "arrow_config", "kasa_config"),
        *("use_bdlora", "use_qalora", "revision"),
    }
)
SWITCHES = frozenset(
    {
        *("inference_mode", "fan_in_fan_out", "use_rslora", "use_dora", "lora_bias", "ensure_weight_tying"),
    }
)
NUMBERS = {"r": (1, 4096), "lora_alpha": (0, 2**20), "lora_dropout": (0, 1), "qalora_group_size": (0, 2**20)}
NAMES = {
    "peft_type": ("LORA",),
    "task_type": ("CAUSAL_LM",),
    "bias": ("none", "all", "lora_only"),
    "init_lora_weights": (True, False, "gaussian", "orthogonal", "pissa", "olora"),
    "megatron_core": ("megatron.core",),  # PEFT's default; without a megatron_config nobody imports it
}
# Layers by name. A single text is a regular expression that PEFT matches with every module's name: kept short and tame.
LAYERS = frozenset(
    {
        *("target_modules", "exclude_modules", "modules_to_save", "layers_to_transform", "layers_pattern"),
        *("rank_pattern", "alpha_pattern", "target_parameters", "trainable_token_indices", "alora_invocation_tokens"),
    }
)
PLAIN = re.compile(r"[\w.\-|()^$\\* ]{1,256}")
REPEATED_GROUP = re.compile(r"[*+}]\)[*+{]")  # (a+)+ : exponential
# Where and with what it was trained: the first is cleared before PEFT sees it, the base being the one that is loaded.
LABELS = ("base_model_name_or_path", "peft_version")
LABEL = re.compile(r"(?!.*(\.\.|://|^~))[\w./ @+:\-]{0,4096}")


def vet_adapter_settings(path: Path, value: Any) -> None:
    """Judge every key of an adapter's config. Raises ModelIntegrityError with the first that may not be so."""
    if not isinstance(value, dict):
        raise ModelIntegrityError(f"{path}: holds {type(value).__name__}, expected PEFT's settings")
    for key, item in value.items():
        if not _is_tame(key, item):
            raise ModelIntegrityError(f"{path}: {key[:80]!r} may not be {str(item)[:80]!r}; {_rule(key)}")
    if value.get("peft_type") != "LORA":
        raise ModelIntegrityError(f"{path}: peft_type is {value.get('peft_type')!r}; only LORA adapters are loaded")


def _is_tame(key: str, item: Any) -> bool:
    if key in EMPTY_KEYS:
        return not item
    if key in SWITCHES:
        return isinstance(item, bool)
    if key in NUMBERS:
        least, most = NUMBERS[key]
        return isinstance(item, (int, float)) and not isinstance(item, bool) and least <= item <= most
    if key in NAMES:
        return item is None or item in NAMES[key]
    if key in LAYERS:
        return _names_layers(item)
    return key in LABELS and (item is None or (isinstance(item, str) and LABEL.fullmatch(item) is not None))


def _names_layers(item: Any) -> bool:
    match item:
        case None | int():
            return True
        case str():
            return PLAIN.fullmatch(item) is not None and REPEATED_GROUP.search(item) is None
        case list():
            return len(item) <= 4096 and all(isinstance(one, (str, int)) and _names_layers(one) for one in item)
        case dict():
            return len(item) <= 4096 and all(
                _names_layers(key) and isinstance(one, (int, float)) for key, one in item.items()
            )
        case _:
            return False


def _rule(key: str) -> str:
    if key in EMPTY_KEYS:
        return "it makes PEFT import code, patch the base or read data, so it has to be empty"
    if key in NAMES:
        return f"known are {', '.join(map(repr, NAMES[key]))}"
    if key in NUMBERS:
        return f"a number from {NUMBERS[key][0]} to {NUMBERS[key][1]}"
    if key in SWITCHES or key in LAYERS or key in LABELS:
        return "only plain names, numbers and switches are read"
    return "PEFT 0.21 has no such key for LoRA"
