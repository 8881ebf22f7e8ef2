"""Base model, RAG, LoRA or both? Measured offline, on your corpus and your hardware.

Offline flags are set here, before any Hugging Face library is imported: those libraries read them at import.
`WORKBENCH_ONLINE=1` (set by `workbench models fetch hf:…` for its child alone) leaves the hub reachable.
"""

import os

from workbench.offline import set_flags

__version__ = "0.1.0"

set_flags()
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # tokenizers warns after every fork otherwise
