"""Base model, RAG, LoRA or both? Measured offline, on your corpus and your hardware.

Offline flags are set here, before any Hugging Face library is imported: those libraries read them at import.
`WORKBENCH_ONLINE=1` (set by `workbench models fetch hf:…` for its child alone) leaves the hub reachable.
"""

import os

from workbench.offline import set_flags

__version__ = "0.1.0"

set_flags()
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # tokenizers warns after every fork otherwise
# Torch keeps the last 1,024 compiled operations in each of two caches, one for every shape. Rows differ in length, so a
# training grew by half a gigabyte in four steps (docs/LOG.md); the shapes of one step are fewer than these.
for _cache in ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY"):
    os.environ.setdefault(_cache, "64")
