"""The encoder of an embedder or reranker on OpenVINO: 3 times torch's speed on a CPU that multiplies bfloat16.

Neither of the two: pooling, norm and a reranker's head stay with torch, in float32. The conversion is torch's trace
through OpenVINO's own front end, no hub and no `ovc`. It is kept below WORKBENCH_HOME, checked on every opening.
`import openvino` sends a message home and writes a client id wherever the package `openvino_telemetry` is installed,
and pip installs it along: so this is the one file that imports it, and it makes that package unimportable first.
"""

from __future__ import annotations

import json
import sys
import threading
import warnings
from collections.abc import Collection, Mapping
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from workbench.errors import ConfigError, ModelIntegrityError
from workbench.models.store import InstalledModel, home
from workbench.runs import fingerprint_file, new_folder, write_json
from workbench.types import Float32, Int64

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

Backend = Literal["auto", "torch", "openvino"]
EMBEDDER_KNOB, RERANKER_KNOB = "models.embedder_backend", "models.reranker_backend"
TELEMETRY = "openvino_telemetry"
FILES = ("model.xml", "model.bin")
_OPENING = threading.Lock()  # `cache` alone would let two threads make a Core each
MOST_DIFFERENT = 1e-3  # of a token's float32 values, torch against OpenVINO; seen: 5e-6


def has_openvino() -> bool:
    """Whether OpenVINO is installed; it is not imported."""
    return "openvino" in sys.modules or find_spec("openvino") is not None


def takes_openvino(backend: Backend, *, device: str) -> bool:
    """Whether OpenVINO computes a model on the torch device `device`; auto: on a CPU where it is installed."""
    return backend == "openvino" or (backend == "auto" and device == "cpu" and has_openvino())


def import_openvino(knob: str = EMBEDDER_KNOB) -> ModuleType:
    """Return the package, with its telemetry made unimportable before it could start.

    Args:
        knob: the config's key that asks for it, for the message.
    Raises:
        ConfigError: it is not installed, or somebody else imported it with its telemetry on.
    """
    if not has_openvino():
        raise ConfigError(
            f"{knob} is 'openvino', but OpenVINO is not installed; install it: "
            f"pip install 'workbench[cpu]', or take: --set {knob}=torch"
        )
    if "openvino" not in sys.modules:
        sys.modules[TELEMETRY] = None  # type: ignore[assignment]  # the documented way to make an import fail
    elif sys.modules.get(TELEMETRY) is not None:
        raise ConfigError(
            f"openvino was imported before workbench, with {TELEMETRY} on, which sends messages out; remove it: "
            f"pip uninstall openvino-telemetry, or take: --set {knob}=torch"
        )
    return import_module("openvino")


def open_core(knob: str) -> Any:
    """Return this process's one `openvino.Core`, which is never let go.

    A Core's CPU plugin puts an alternate signal stack of its own under the thread that first uses it, and frees it when
    it goes. Of two Cores let go oldest first, the second puts the first one's freed stack back, and since CPython
    handles every signal on the alternate stack, the next Ctrl-C ends in SIGSEGV (seen with OpenVINO 2026.4.1).

    Raises:
        ConfigError: as `import_openvino`.
    """
    with _OPENING:
        import_openvino(knob)
        return _one_core()


@cache
def _one_core() -> Any:
    return import_module("openvino").Core()


class OpenVinoEncoder:
    """A transformer's last hidden states. Threads may share it: every call brings its own request."""

    def __init__(self, model: PreTrainedModel, installed: InstalledModel, *, names: Collection[str], knob: str) -> None:
        """Convert the model, or open what an earlier conversion left, and compile it for this CPU.

        Args:
            model: in float32, on the CPU.
            names: the features it reads, in this order.
            knob: the config's key that chose OpenVINO, for messages.
        Raises:
            ConfigError: OpenVINO is not installed.
            ModelIntegrityError: OpenVINO cannot convert the model, or computes something else than torch does.
        """
        import torch

        core = open_core(knob)
        self._names = tuple(names)
        capabilities = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self.precision = "bfloat16" if "BF16" in capabilities else "float32"
        version = import_openvino(knob).__version__.split("-")[0]
        folder = home() / "openvino" / f"{installed.fingerprint[:32]}-{version}"
        if not _is_whole(folder):
            _convert(model, folder, self._names, core, knob)
        self._compiled = core.compile_model(
            folder / FILES[0],
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": "bf16" if self.precision == "bfloat16" else "f32",
                "NUM_STREAMS": 1,
                "INFERENCE_NUM_THREADS": torch.get_num_threads(),
                # Pinned to cores, two processes on one machine would fight for the same ones.
                "ENABLE_CPU_PINNING": False,
            },
        )

    def __call__(self, features: Mapping[str, Int64]) -> Float32:
        """Return shape (B, L, D) for features of shape (B, L)."""
        request = self._compiled.create_infer_request()
        return _infer(request, [features[name] for name in self._names])


def _infer(request: Any, inputs: list[Int64]) -> Float32:
    hidden = request.infer(inputs, share_inputs=True)[0]  # (B, L, D)
    return np.asarray(hidden, dtype=np.float32)


def _is_whole(folder: Path) -> bool:
    """Whether an earlier conversion is there, byte for byte; one that is damaged is made again from the model."""
    try:
        hashes = json.loads((folder / "hashes.json").read_bytes())
        return bool(hashes == {name: fingerprint_file(folder / name) for name in FILES})
    except (FileNotFoundError, ValueError):
        return False


def _convert(model: PreTrainedModel, folder: Path, names: tuple[str, ...], core: Any, knob: str) -> None:
    openvino = import_openvino(knob)
    try:
        converted = _trace(model, names)
        _compare(model, core.compile_model(converted, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}), names)
    except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelIntegrityError(
            f"{type(model).__name__} cannot be computed by OpenVINO {openvino.__version__}: {reason}; "
            f"take: --set {knob}=torch"
        ) from error
    with new_folder(folder) as target:
        openvino.save_model(converted, target / FILES[0], compress_to_fp16=False)
        write_json(target / "hashes.json", {name: fingerprint_file(target / name) for name in FILES})


def _trace(model: PreTrainedModel, names: tuple[str, ...]) -> Any:
    import torch

    class LastHiddenState(torch.nn.Module):
        """The model with the one output that is wanted."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
            hidden: torch.Tensor = self.model(**dict(zip(names, inputs, strict=True))).last_hidden_state
            return hidden

    example = tuple(_example(names, rows=2, length=16, model=model))
    with torch.no_grad(), warnings.catch_warnings():
        # A trace warns at every Python branch it fixes; `_compare` is what shows that none of them mattered.
        warnings.simplefilter("ignore")
        # Not openvino.convert_model: that one reports every conversion to the telemetry package.
        decoding = import_module("openvino.frontend.pytorch.ts_decoder")
        decoder = decoding.TorchScriptPythonDecoder(LastHiddenState().eval(), example_input=example)
        frontend = import_module("openvino.frontend").FrontEndManager().load_by_framework("pytorch")
        return frontend.convert(frontend.load(decoder))


def _compare(model: PreTrainedModel, compiled: Any, names: tuple[str, ...]) -> None:
    """Compute other shapes than the traced one, padding included, on both sides.

    Raises:
        ValueError: the numbers differ.
    """
    import torch

    for rows, length in ((1, 5), (3, 40)):
        inputs = _example(names, rows=rows, length=length, model=model)
        with torch.no_grad():
            wanted = model(**dict(zip(names, inputs, strict=True))).last_hidden_state.numpy()  # (rows, length, D)
        found = _infer(compiled.create_infer_request(), [tensor.numpy() for tensor in inputs])
        read = _example(("attention_mask",), rows=rows, length=length, model=model)[0].numpy() == 1
        difference = float(np.abs(found - wanted)[read].max()) if found.shape == wanted.shape else np.inf
        if not difference <= MOST_DIFFERENT:
            raise ValueError(f"its numbers differ from torch's by {difference:.1e} at shape ({rows}, {length})")


def _example(names: tuple[str, ...], *, rows: int, length: int, model: PreTrainedModel) -> list[torch.Tensor]:
    import torch

    generator = torch.Generator().manual_seed(0)
    mask = torch.ones(rows, length, dtype=torch.long)
    mask[-1, length - length // 4 :] = 0
    types = torch.zeros(rows, length, dtype=torch.long)
    if getattr(model.config, "type_vocab_size", 0) > 1:
        types[:, length // 2 :] = 1  # as of a question and a passage
    features = {
        "input_ids": torch.randint(5, int(model.config.vocab_size), (rows, length), generator=generator),
        "attention_mask": mask,
        "token_type_ids": types,
    }
    return [features[name] for name in names]
