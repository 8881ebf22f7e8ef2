"""Which of several processes this is, as `accelerate launch` and torchrun say it; no torch needed to know."""

from __future__ import annotations

import os


def process_rank() -> int:
    """Return this process's number, from 0; 0 where only one was started."""
    return int(os.environ.get("RANK", "0"))


def process_count() -> int:
    """Return how many processes work together; 1 where nothing launched several."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def launch_id() -> str:
    """Return a text that the processes of one launch share and those of another do not."""
    return f"{os.getppid()}:{os.environ.get('MASTER_PORT', '')}"
