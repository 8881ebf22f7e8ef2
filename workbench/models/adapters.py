"""LoRA adapters through PEFT: attached, switched on and off over one loaded base, saved and vetted.

An adapter's folder holds PEFT's own two files (any tool can load it) and `workbench.json`, our passport: which base,
which chat template, where it acts from, what it was trained on.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from peft import LoraConfig, PeftModel, get_peft_model

from workbench.config.adapter_names import find_name_fault
from workbench.errors import AdapterMismatchError, MissingModelError
from workbench.intake import admit_adapter
from workbench.intake.adapter_settings import PASSPORT
from workbench.runs import write_json
from workbench.types import Adapter


def attach_adapter(model: Any, adapter: Adapter) -> Any:
    """Load a saved adapter beside those `model` already has and return the PEFT model; it is switched off.

    Raises:
        ModelIntegrityError: the gate does not admit the folder.
        AdapterMismatchError: the file lacks weights of the model's LoRA layers, or its name clashes with theirs.
    """
    admit_adapter(adapter.folder)
    refuse_clashing_name(model, adapter.name)
    with peft_quieted():
        return _attach(model, adapter)


def _attach(model: Any, adapter: Adapter) -> Any:
    config = LoraConfig.from_pretrained(str(adapter.folder))
    # Where the adapter acts is our callers' affair (see activation.py): PEFT's own search would find nothing in the
    # single tokens of a decoding step, nor below its wrapper, and would switch the adapter off there without a word.
    config.alora_invocation_tokens = None
    # A label of where it was trained, by which PEFT would look for a model; the base is the one that is loaded.
    config.base_model_name_or_path = None
    config.inference_mode = True
    if isinstance(model, PeftModel):
        model.add_adapter(adapter.name, config)
    else:
        model = get_peft_model(model, config, adapter_name=adapter.name)
    result = model.load_adapter(str(adapter.folder), adapter_name=adapter.name, is_trainable=False)
    if result.missing_keys:
        raise AdapterMismatchError(
            f"{adapter.folder}: weights are missing, the first is {result.missing_keys[0]}; train it again"
        )
    return model


def refuse_clashing_name(model: Any, name: str) -> None:
    """Refuse a name that PEFT would mix up with a part of the model when it takes adapters apart by their names.

    Raises:
        AdapterMismatchError: it is no name for an adapter, or a module of the model is called so.
    """
    fault = find_name_fault(name)
    loaded = set(getattr(model, "peft_config", ()))
    if not fault and name not in loaded:
        path = next((path for path, _ in model.named_modules() if name in path.split(".")), None)
        fault = f"is the name of a module of the base model ({path})" if path is not None else ""
    if fault:
        raise AdapterMismatchError(f"adapter {str(name)[:120]!r} {fault}; give the adapter another name")


def detach_adapter(model: Any, name: str) -> None:
    """Take one adapter off a PEFT model; which one is active afterwards is left to whoever switches the next one on."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=f"Adapter {re.escape(name)} was active which is now deleted")
        model.delete_adapter(name)


def detach_adapters(model: Any) -> Any:
    """Return the bare base below `model`, which is left without adapters; a bare one comes back as it is."""
    return model.unload() if isinstance(model, PeftModel) else model


@contextmanager
def peft_quieted() -> Iterator[None]:
    """Keep a warning back that PEFT gives about itself."""
    # PEFT 0.21 asks Transformers 5.23 by a name the latter has renamed; nothing a user could mend.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
        yield


@contextmanager
def adapter_active(model: Any, name: str | None) -> Iterator[None]:
    """Run the block with adapter `name` on, or with the bare base for None."""
    if not isinstance(model, PeftModel):
        if name is not None:
            raise AdapterMismatchError(f"adapter {name!r} is not loaded; no adapter is")
        yield
    elif name is None:
        with model.disable_adapter():
            yield
    else:
        if name not in model.peft_config:
            raise AdapterMismatchError(f"adapter {name!r} is not loaded; loaded: {', '.join(model.peft_config)}")
        model.set_adapter(name)
        yield


def save_passport(adapter: Adapter, folder: Path) -> None:
    """Write what the adapter belongs to into `folder`, beside its weights."""
    write_json(
        folder / PASSPORT,
        {
            "name": adapter.name,
            "base_fingerprint": adapter.base_fingerprint,
            "template_hash": adapter.template_hash,
            "rank": adapter.rank,
            "alpha": adapter.alpha,
            "acts_from": adapter.acts_from,
            "trained_on": adapter.trained_on,
        },
    )


def read_passport(folder: Path) -> Adapter:
    """Read what an adapter's folder says of itself; nothing is compared.

    Raises:
        MissingModelError: the folder holds no adapter.
        AdapterMismatchError: its passport is damaged.
    """
    path = folder / PASSPORT
    try:
        adapter = Adapter(**(json.loads(path.read_text(encoding="utf-8")) | {"folder": folder}))
    except FileNotFoundError as error:
        raise MissingModelError(f"{folder} holds no trained adapter; make it: workbench train CONFIG") from error
    except (TypeError, ValueError) as error:
        raise AdapterMismatchError(f"{path} is no adapter's passport: {error}; train it again") from error
    if fault := find_name_fault(adapter.name):  # files are called by it, and the passport may be anybody's
        raise AdapterMismatchError(f"{path}: the name {str(adapter.name)[:120]!r} {fault}; give it another one there")
    return adapter


def read_adapter(folder: Path, *, name: str, base_fingerprint: str, template_hash: str) -> Adapter:
    """Read an adapter's passport and check that it fits the base and the template.

    Raises:
        MissingModelError: the folder holds no adapter.
        AdapterMismatchError: it was trained for another base model or chat template; both fingerprints are named.
    """
    adapter = replace(read_passport(folder), name=name)
    for what, found, wanted in (
        ("base model", adapter.base_fingerprint, base_fingerprint),
        ("chat template", adapter.template_hash, template_hash),
    ):
        if found != wanted:
            raise AdapterMismatchError(
                f"{folder}: trained for {what} {found[:12]}, but the one loaded is {wanted[:12]}; train it again"
            )
    return adapter
