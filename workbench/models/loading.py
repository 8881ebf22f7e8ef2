"""Open a vetted generator folder with Transformers: safetensors only, this machine only, never the folder's own code.

Not a place for adapters or generation: that is generation/.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from workbench.config import ModelsConfig
from workbench.errors import ConfigError, MissingModelError, ModelIntegrityError, WorkbenchError
from workbench.models.store import InstalledModel

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Device = Literal["cpu", "cuda"]


def choose_device_and_dtype(config: ModelsConfig) -> tuple[Device, torch.dtype]:
    """Return where and in which number format the generator runs.

    Auto takes a GPU where there is one, and bfloat16 where the hardware multiplies it; emulated, it is slower than
    float32 and less exact.

    Raises:
        ConfigError: `cuda` is asked for and there is none.
    """
    import torch

    has_cuda = torch.cuda.is_available()
    if config.device == "cuda" and not has_cuda:
        raise ConfigError(
            f"models.device is 'cuda', but torch {torch.__version__} sees no GPU here; take: --set models.device=auto"
        )
    device: Device = "cuda" if has_cuda and config.device != "cpu" else "cpu"
    match config.dtype:
        case "bfloat16":
            return device, torch.bfloat16
        case "float32":
            return device, torch.float32
        case "auto":
            native = (
                torch.cuda.is_bf16_supported(including_emulation=False) if device == "cuda" else _cpu_has_bfloat16()
            )
            return device, torch.bfloat16 if native else torch.float32


def load_generator(
    installed: InstalledModel, *, device: str, dtype: torch.dtype, quantize: str = "none"
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Return the model, in evaluation mode on `device`, and its tokenizer.

    Args:
        quantize: nf4: linear layers in 4 bits, computed in `dtype` (QLoRA, arXiv:2305.14314).
    Raises:
        ConfigError: nf4 without a GPU or without bitsandbytes.
        MissingModelError: the model is not a generator.
        ModelIntegrityError: Transformers cannot read the folder, or a weight is missing in it.
    """
    from transformers import AutoModelForCausalLM

    tokenizer = load_tokenizer(installed)
    options = _in_four_bits(device, dtype) if quantize == "nf4" else {}
    hide_progress_bars()
    with typed_faults(installed.folder):
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            installed.folder,
            dtype=dtype,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            **options,
        )
    model, report = loaded
    # Transformers only warns when it fills a missing weight with random numbers.
    if report["missing_keys"]:
        raise ModelIntegrityError(f"{installed.folder}: weights are missing: {sorted(report['missing_keys'])[:5]}")
    return (model if quantize == "nf4" else model.to(device)).eval(), tokenizer  # bitsandbytes has placed its own


def _in_four_bits(device: str, dtype: torch.dtype) -> dict[str, Any]:
    if device != "cuda":
        raise ConfigError(
            f"models.quantize is 'nf4', which needs a GPU, but the generator runs on {device!r}; take: "
            f"--set models.quantize=none"
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ConfigError("models.quantize is 'nf4', which needs the package bitsandbytes: pip install bitsandbytes")
    from transformers import BitsAndBytesConfig

    quantized = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
    return {"quantization_config": quantized, "device_map": {"": device}}


def load_tokenizer(installed: InstalledModel) -> PreTrainedTokenizerBase:
    """Return a generator's tokenizer, without its weights: prompts are measured before a model is loaded.

    Raises:
        MissingModelError: the model is not a generator.
        ModelIntegrityError: Transformers cannot read the folder's tokenizer.
    """
    from transformers import AutoTokenizer

    if installed.kind != "generator":
        raise MissingModelError(f"{installed.name} is a model of kind {installed.kind}; see: workbench models list")
    with typed_faults(installed.folder):
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            installed.folder, local_files_only=True, trust_remote_code=False
        )
    return tokenizer


@contextmanager
def typed_faults(folder: Path) -> Iterator[None]:
    """Tell whatever a library raises over a model's folder as what it is: the folder is not loadable.

    Raises:
        ModelIntegrityError: in place of any `Exception` of others, and of a panic of Rust code, which is none.
    """
    try:
        yield
    except (WorkbenchError, MemoryError):
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__module__ != "pyo3_runtime":
            raise
        raise ModelIntegrityError(f"{folder}: not loadable: {' '.join(str(error).split())[:300]}") from error


def hide_progress_bars() -> None:
    """Keep Transformers from drawing a bar for every load and save: progress is told by whoever called us."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def _cpu_has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 itself (AVX-512 BF16, as every CPU with AMX BF16 has too)."""
    import torch

    return torch.cpu._is_avx512_bf16_supported()
