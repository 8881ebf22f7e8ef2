"""Base model, RAG, LoRA or both? Measured offline, on your corpus and your hardware.

Offline flags are set here, before any Hugging Face library is imported: those libraries read them at import.
`WORKBENCH_ONLINE=1` (set by `workbench models fetch hf:…` for itself alone) leaves the hub reachable.
"""

import os
import sys

__version__ = "0.1.0"

if os.environ.get("WORKBENCH_ONLINE") != "1":
    for _flag in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"):
        os.environ[_flag] = "1"
for _flag in ("HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK", "DISABLE_TELEMETRY"):
    os.environ[_flag] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # tokenizers warns after every fork otherwise

# OpenVINO, which other libraries may import before we do, reports home through this package wherever it is installed.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # the documented way to make an import fail
