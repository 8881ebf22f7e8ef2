"""Open a vetted generator folder with Transformers: safetensors only, this machine only, never the folder's own code.

Not a place for adapters or generation: that is generation/.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from workbench.config import ModelsConfig
from workbench.errors import ConfigError, MissingModelError, ModelIntegrityError
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
    installed: InstalledModel, *, device: str, dtype: torch.dtype
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Return the model, in evaluation mode on `device`, and its tokenizer.

    Raises:
        MissingModelError: the model is not a generator.
        ModelIntegrityError: Transformers cannot read the folder, or a weight is missing in it.
    """
    from transformers import AutoModelForCausalLM

    tokenizer = load_tokenizer(installed)
    hide_progress_bars()
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            installed.folder,
            dtype=dtype,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise _not_loadable(installed, error) from error
    model, report = loaded
    # Transformers only warns when it fills a missing weight with random numbers.
    if report["missing_keys"]:
        raise ModelIntegrityError(f"{installed.folder}: weights are missing: {sorted(report['missing_keys'])[:5]}")
    return model.to(device).eval(), tokenizer


def load_tokenizer(installed: InstalledModel) -> PreTrainedTokenizerBase:
    """Return a generator's tokenizer, without its weights: prompts are measured before a model is loaded.

    Raises:
        MissingModelError: the model is not a generator.
        ModelIntegrityError: Transformers cannot read the folder's tokenizer.
    """
    from transformers import AutoTokenizer

    if installed.kind != "generator":
        raise MissingModelError(f"{installed.name} is a model of kind {installed.kind}; see: workbench models list")
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            installed.folder, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise _not_loadable(installed, error) from error
    return tokenizer


def hide_progress_bars() -> None:
    """Keep Transformers from drawing a bar for every load and save: progress is told by whoever called us."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def _not_loadable(installed: InstalledModel, error: Exception) -> ModelIntegrityError:
    return ModelIntegrityError(f"{installed.folder}: not loadable: {' '.join(str(error).split())[:300]}")


def _cpu_has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 itself (AVX-512 BF16, as every CPU with AMX BF16 has too)."""
    import torch

    return torch.cpu._is_avx512_bf16_supported()
