"""Settings that make a library import code, fetch something, or read a file elsewhere: refused, key by key.

Sources: the advisories on `auto_map`, `_attn_implementation_internal` (transformers), modules.json
(sentence-transformers) and `megatron_core` (PEFT); and the loaders of transformers 5.23 and sentence-transformers 6,
read for every key that ends in an import, a download or an open.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench.errors import ModelIntegrityError
from workbench.intake.json_files import read_json
from workbench.intake.special_tokens import NAMES as SPECIAL_TOKEN_FILES
from workbench.intake.special_tokens import vet_special_tokens
from workbench.intake.templates import vet_template
from workbench.intake.vetting import find_judge
from workbench.intake.walking import is_plain_place

# Keys that make a library import or download code. Their value must be null, false or absent, at any depth.
CODE_KEYS = frozenset(
    {
        "auto_map",
        "auto_mapping",
        "custom_generate",
        "custom_pipelines",
        "_attn_implementation_internal",
        "_experts_implementation_internal",
        "experts_implementation",
        "hub_kernels",
        "kernel_config",
        "use_kernels",
        "megatron_config",
        "trust_remote_code",
    }
)
# Elsewhere than in this list, an attention implementation is a hub repository whose kernels are downloaded and run.
ATTENTION_KEYS = frozenset({"attn_implementation", "_attn_implementation"})
ATTENTION_NAMES = ("eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention")
# Keys whose value names a Python class. A bare name is looked up in the library; with dots it is an import.
CLASS_KEYS = {
    "activation_function": re.compile(r"torch\.nn\.(modules\.(activation|linear)\.)?[A-Z]\w*"),
    "activation_fn": re.compile(r"torch\.nn\.(modules\.(activation|linear)\.)?[A-Z]\w*"),
    "sbert_ce_default_activation_function": re.compile(r"torch\.nn\.(modules\.(activation|linear)\.)?[A-Z]\w*"),
    "tokenizer_class": re.compile(r"sentence_transformers(\.\w+)*\.[A-Z]\w*Tokenizer"),
    "slow_tokenizer_class": re.compile(r"\w+"),
    "processor_class": re.compile(r"\w+"),
    "image_processor_type": re.compile(r"\w+"),
    "feature_extractor_type": re.compile(r"\w+"),
}
IMPLEMENTATIONS = {"experts_implementation": ("eager", "batched_mm", "grouped_mm", "sdpa")}
UNREAD_FILE_KEYS = frozenset({"special_tokens_map_file"})  # models name a place on their maker's disk; unread
MODULE = re.compile(
    r"sentence_transformers(\.\w+)*\.(Asym|CNN|BoW|Dense|Dropout|LayerNorm|LogitScore|LSTM|Normalize|Pooling|Router|"
    r"StaticEmbedding|Transformer|WeightedLayerPooling|WordEmbeddings|WordWeights)"
)
# What a sentence-transformers module may hand on to Transformers' loaders; the rest of their arguments name files.
HANDED_ON = ("model_args", "model_kwargs", "tokenizer_args", "processor_kwargs", "config_args", "config_kwargs")
HANDED_KEYS = frozenset(
    {
        *("dtype", "torch_dtype", "attn_implementation", "add_pooling_layer", "trust_remote_code", "use_safetensors"),
        *("model_max_length", "max_length", "padding_side", "truncation_side", "do_lower_case", "use_fast"),
    }
)


def vet_json(path: Path) -> None:
    """Judge one JSON file by what libraries do with a file of its name. Raises ModelIntegrityError."""
    if find_judge(path.name) is not None:
        return  # a tokenizer's: `vetting.py`; its keys are tokens, not settings
    value = read_json(path)
    if path.name == "modules.json":
        _vet_modules(path, value)
    if path.name == "router_config.json":
        _vet_routes(path, value)
    if path.name in SPECIAL_TOKEN_FILES:
        vet_special_tokens(path, value)
    _vet_settings(path, value)


def vet_index(root: Path, name: str, names: Sequence[str]) -> None:
    """Check that an index of shards names only admitted safetensors files beside it: libraries open what it says."""
    value = read_json(root / name)
    shards = value.get("weight_map") if isinstance(value, dict) else None
    if not isinstance(shards, dict):
        raise ModelIntegrityError(f"{root / name}: no 'weight_map' of its shards")
    beside = {path.name for path in map(Path, names) if path.parent == Path(name).parent}
    for shard in shards.values():
        if not (isinstance(shard, str) and shard in beside and shard.endswith(".safetensors")):
            raise ModelIntegrityError(
                f"{root / name}: weight_map names {str(shard)[:80]!r}, which is no vetted *.safetensors file beside it"
            )


def _vet_settings(path: Path, value: Any) -> None:
    """Walk a config's keys at every depth (iteratively: a config may be nested on purpose)."""
    rest = [value]
    while rest:
        node = rest.pop()
        if isinstance(node, list):
            rest.extend(node)
        elif isinstance(node, dict):
            for key, item in node.items():
                _vet_setting(path, key, item)
                rest.append(item)


def _vet_setting(path: Path, key: str, item: Any) -> None:
    if item is None or item is False:
        return
    shown = str(item)[:80]
    if key in CODE_KEYS and item not in IMPLEMENTATIONS.get(key, ()):
        raise ModelIntegrityError(f"{path}: key {key!r} makes a library import or fetch code: {shown!r}")
    if key in ATTENTION_KEYS and item not in ATTENTION_NAMES:
        raise ModelIntegrityError(f"{path}: {key} is {shown!r}, allowed: {', '.join(ATTENTION_NAMES)}")
    if key in CLASS_KEYS and isinstance(item, str) and not (item.isidentifier() or CLASS_KEYS[key].fullmatch(item)):
        raise ModelIntegrityError(f"{path}: {key} names {shown!r}, which would be imported; it may be no such class")
    if key.endswith(("_file", "_files")) and key not in UNREAD_FILE_KEYS:
        _vet_places(path, key, item)
    if key == "transformers_weights" and not re.fullmatch(r"[\w.-]+\.safetensors", shown):
        raise ModelIntegrityError(f"{path}: {key} is {shown!r}; weights are *.safetensors beside the config")
    if key in HANDED_ON and isinstance(item, dict):
        _vet_handed_on(path, key, item)
    if key == "chat_template":
        for template in _templates_in(path, item):
            vet_template(path, template)


def _vet_places(path: Path, key: str, item: Any) -> None:
    places = item if isinstance(item, list) else [item]
    for place in places:
        if isinstance(place, str) and not is_plain_place(place):
            raise ModelIntegrityError(f"{path}: {key} names {place[:80]!r}, a file outside of the folder")


def _vet_handed_on(path: Path, key: str, item: dict[str, Any]) -> None:
    for name, value in item.items():
        if name not in HANDED_KEYS or isinstance(value, (dict, list)):
            raise ModelIntegrityError(
                f"{path}: {key} hands {name[:80]!r} on to the loader; allowed: {', '.join(sorted(HANDED_KEYS))}"
            )


def _templates_in(path: Path, item: Any) -> list[str]:
    """Return the templates of a `chat_template`: one text, or texts with names."""
    if isinstance(item, str):
        return [item]
    if isinstance(item, list) and all(isinstance(one, dict) for one in item):
        texts = [text for one in item if isinstance(text := one.get("template"), str)]
        if len(texts) == len(item):
            return texts
    raise ModelIntegrityError(f"{path}: chat_template is neither a text nor a list of named texts")


def _vet_modules(path: Path, value: Any) -> None:
    if not isinstance(value, list) or not all(isinstance(module, dict) for module in value):
        raise ModelIntegrityError(f"{path}: not a list of modules")
    for module in value:
        _check_module_type(path, module.get("type"))
        place = module.get("path", "")
        if not (isinstance(place, str) and is_plain_place(place)):
            raise ModelIntegrityError(f"{path}: module path {str(place)[:80]!r} leaves the folder")


def _vet_routes(path: Path, value: Any) -> None:
    types = value.get("types") if isinstance(value, dict) else None
    if not isinstance(types, dict):
        raise ModelIntegrityError(f"{path}: no 'types' of its modules")
    for place, name in types.items():
        _check_module_type(path, name)
        if not is_plain_place(place):
            raise ModelIntegrityError(f"{path}: module path {place[:80]!r} leaves the folder")


def _check_module_type(path: Path, name: object) -> None:
    if not (isinstance(name, str) and MODULE.fullmatch(name)):
        raise ModelIntegrityError(
            f"{path}: module type {str(name)[:80]!r} is none of sentence-transformers' own, so it could be any code"
        )
