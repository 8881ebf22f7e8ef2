"""A plain LoRA merged into its base: W' = W + (alpha / r) B A, in the base's own number format, checked by logits.

An adapter that acts from the question on cannot be merged: one set of weights would read the passages with it too.

Memory: `compare_merged` holds the layers that the adapter changes twice; `write_merged` holds one model at a time,
and the probes' logits.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from workbench.errors import MergeError
from workbench.intake import admit_model
from workbench.intake.adapter_settings import WEIGHTS
from workbench.models.adapters import adapter_active, attach_adapter
from workbench.models.loading import load_generator
from workbench.models.store import InstalledModel, find_model
from workbench.runs import fingerprint_file, new_folder, write_atomically, write_json
from workbench.types import Adapter

ORIGIN = "merged_from.json"
# Largest difference of a logit, in standard deviations of its text's logits, and the share of positions whose best
# token must stay. The format decides: each weight is rounded once (by up to 2^-24, 2^-11, 2^-8), and layers add up.
TOLERANCES = {torch.float32: (1e-3, 0.999), torch.float16: (0.05, 0.97), torch.bfloat16: (0.3, 0.9)}


@dataclass(frozen=True, slots=True)
class MergeCheck:
    """How far merged logits lie from unmerged: `difference` is the largest, in standard deviations of the logits."""

    difference: float
    agreement: float  # share of positions with the same best token
    max_difference: float
    min_agreement: float
    n_positions: int
    dtype: str

    @property
    def equal(self) -> bool:
        """Whether both are within their bounds."""
        return self.difference <= self.max_difference and self.agreement >= self.min_agreement

    def __str__(self) -> str:
        return (
            f"largest difference of a logit {self.difference:.2g} standard deviations (at most {self.max_difference}), "
            f"same best token at {self.agreement:.1%} of {self.n_positions} positions (at least "
            f"{self.min_agreement:.1%}), {self.dtype}"
        )


def refuse_unmergeable(adapter: Adapter) -> None:
    """Raise MergeError for an adapter that acts from the question on."""
    if adapter.acts_from != "prompt":
        raise MergeError(
            f"{adapter.folder}: not mergeable: acts from the {adapter.acts_from} on, and merged weights would read the "
            f"passages too, which it was not trained to. Serve base and adapter apart, or train a plain one: "
            f"--set training.acts_from=prompt"
        )


def is_quantised(model: Any) -> bool:
    """Whether weights that an adapter would change are no floats: merging is then more than one rounding."""
    return any(not layer.get_base_layer().weight.is_floating_point() for layer in _layers(model))


@torch.no_grad()
def compare_merged(model: Any, name: str, probes: Sequence[Sequence[int]]) -> MergeCheck:
    """Merge adapter `name` of a PEFT model in place, compare the logits on `probes`, put the base back bit for bit.

    Args:
        probes: token ids of some texts; every position counts.
    """
    with adapter_active(model, name):
        apart = read_logits(model, probes)
        with merged(model, name):
            together = read_logits(model, probes)
    return compare_logits(apart, together)


def compare_logits(apart: Sequence[torch.Tensor], together: Sequence[torch.Tensor]) -> MergeCheck:
    """Compare logits of shape (T, V), one tensor a text, of the same texts; the bounds are those of their format.

    Raises:
        MergeError: a logit is not finite.
    """
    dtype = apart[0].dtype
    max_difference, min_agreement = TOLERANCES[dtype]
    largest, same, n_positions = 0.0, 0, 0
    for before, after in zip(apart, together, strict=True):
        if not bool(torch.isfinite(before).all() and torch.isfinite(after).all()):
            raise MergeError("the model gives logits that are not finite")
        difference = (before.float() - after.float()).abs().max() / before.float().std()
        largest = max(largest, float(difference))
        same += int((before.argmax(-1) == after.argmax(-1)).sum())
        n_positions += len(before)
    return MergeCheck(
        difference=largest,
        agreement=same / n_positions,
        max_difference=max_difference,
        min_agreement=min_agreement,
        n_positions=n_positions,
        dtype=str(dtype).removeprefix("torch."),
    )


@torch.inference_mode()
def read_logits(model: Any, probes: Sequence[Sequence[int]]) -> list[torch.Tensor]:
    """Return the logits of each text on the CPU, shape (T, V), in the model's own format."""
    return [model(input_ids=torch.tensor([list(ids)], device=model.device)).logits[0].cpu() for ids in probes]


def write_merged(
    adapter: Adapter, base: InstalledModel, out: Path, *, dtype: torch.dtype, probes: Sequence[Sequence[int]], card: str
) -> MergeCheck:
    """Write base + adapter as one model folder `out`, once its logits, read back from disk, were found equal.

    The folder holds what `find_model` accepts: config, safetensors, the base's tokenizer and template, `card` as its
    README, and merged_from.json. It appears whole or not at all; an existing `out` is replaced.

    Raises:
        MergeError: the adapter acts from the question on, or the logits differ; nothing was written.
    """
    refuse_unmergeable(adapter)
    model: Any = attach_adapter(load_generator(base, device="cpu", dtype=dtype)[0], adapter).eval()
    with adapter_active(model, adapter.name):
        apart = read_logits(model, probes)
    model = model.merge_and_unload(safe_merge=True, adapter_names=[adapter.name])
    with new_folder(out) as folder:
        model.save_pretrained(folder)
        del model
        _copy_beside_weights(base.folder, folder)
        write_atomically(folder / "README.md", card)
        written = load_generator(find_model(str(folder), kind="generator"), device="cpu", dtype=dtype)[0]
        check = compare_logits(apart, read_logits(written, probes))
        if not check.equal:
            raise MergeError(f"{out}: the merged model would answer differently: {check}; nothing was written")
        origin = {
            "base": base.name,
            "base_fingerprint": base.fingerprint,
            "adapter": adapter.name,
            "adapter_weights": fingerprint_file(adapter.folder / WEIGHTS),
            "check": str(check),
        }
        write_json(folder / ORIGIN, origin)
    return check


def _copy_beside_weights(source: Path, target: Path) -> None:
    """Copy tokenizer, template and settings as they were; what the model itself wrote stays."""
    for name in admit_model(source).files:
        if not (target / name).exists() and not name.endswith((".safetensors", ".index.json")):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, target / name)


@contextmanager
def merged(model: Any, name: str) -> Iterator[None]:
    """Run the block with adapter `name` of a PEFT model inside the weights; after it they are as before, bit for bit.

    PEFT's own way back subtracts, which rounds. A safe merge makes new tensors, so the old ones are kept and put back.
    """
    layers = list(_layers(model))
    kept = [layer.get_base_layer().weight.data for layer in layers]
    try:
        model.merge_adapter(adapter_names=[name], safe_merge=True)
        yield
    finally:
        for layer, weight in zip(layers, kept, strict=True):
            layer.get_base_layer().weight.data = weight
            layer.merged_adapters.clear()


def _layers(model: Any) -> Iterator[Any]:
    from peft.tuners.lora import LoraLayer

    return (module for module in model.modules() if isinstance(module, LoraLayer))
