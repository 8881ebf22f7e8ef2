"""Which weights of a loaded model did not come from its files: Transformers draws them at random and only warns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def find_missing_weights(model: PreTrainedModel, folder: Path, *, unused: Sequence[str] = ()) -> list[str]:
    """Return the names of the weights that were filled with random numbers, sorted.

    Where the files name every weight of the model none can be missing. Else the names may only be older ones, so
    Transformers, which knows them, loads the model again and reports.

    Args:
        folder: where the model was loaded from.
        unused: prefixes of weights the caller never computes with; those may be missing.
    """
    from safetensors import safe_open

    named: set[str] = set()
    for path in folder.glob("*.safetensors"):
        with safe_open(path, framework="pt") as weights:
            named.update(weights.keys())
    if {name for name, _ in model.named_parameters()} <= named:
        return []
    loaded: Any = type(model).from_pretrained(
        folder,
        config=model.config,
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        output_loading_info=True,
    )
    return sorted(name for name in loaded[1]["missing_keys"] if not name.startswith(tuple(unused)))
