"""What an adapter may be called: a part of folders' names, of API names, and of the names PEFT gives its tensors.

PEFT keeps an adapter's layers in torch's containers under the adapter's name, and takes tensors apart by it: a name
that is an attribute of these containers, or a part of a module's path, breaks loading, or takes tensors from the
adapters beside it. Whether a base has a module of that name is known once it is loaded: `models/adapters.py`.
Source: PEFT 0.21, utils/save_and_load.py (`_filter_state_dict_for_adapter_name`); torch.nn.ModuleDict, ParameterDict.
"""

from __future__ import annotations

import re

PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
CONTAINER_WORDS = frozenset(
    {
        *("T_destination", "add_module", "apply", "bfloat16", "buffers", "call_super_init", "children", "clear"),
        *("compile", "copy", "cpu", "cuda", "double", "dump_patches", "eval", "extra_repr", "float", "forward"),
        *("fromkeys", "get", "get_buffer", "get_extra_state", "get_parameter", "get_submodule", "half", "ipu", "items"),
        *("keys", "load_state_dict", "modules", "mtia", "named_buffers", "named_children", "named_modules"),
        *("named_parameters", "parameters", "pop", "popitem", "register_backward_hook", "register_buffer"),
        *("register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook"),
        *("register_full_backward_pre_hook", "register_load_state_dict_post_hook"),
        *("register_load_state_dict_pre_hook", "register_module", "register_parameter"),
        *("register_state_dict_post_hook", "register_state_dict_pre_hook", "requires_grad_", "set_extra_state"),
        *("set_submodule", "setdefault", "share_memory", "smart_apply", "state_dict", "to", "to_empty", "train"),
        *("training", "type", "update", "values", "xpu", "zero_grad"),
    }
)
PATH_WORDS = frozenset({"base_model", "base_layer", "bias", "layers", "mlp", "model", "modules_to_save", "weight"})


def find_name_fault(name: object) -> str:
    """Return why an adapter may not have this name; "": it may, as far as its base has no module called so."""
    if not isinstance(name, str) or PLAIN.fullmatch(name) is None:
        return "is not made of at most 100 letters, digits, - and _, a letter or a digit first"
    if name in CONTAINER_WORDS:
        return "is an attribute of the containers in which torch keeps adapters"
    if "lora_" in name or name in PATH_WORDS or name.isdigit():
        return "is part of the names of an adapter's tensors, which are told apart by it"
    return ""
