"""Memory for what a training's nodes compute on a CPU: from malloc, and not from torch's own allocator.

Torch asks posix_memalign for every tensor. In glibc that takes a block a little larger and gives the ends back, where
small objects settle; so a tensor that is freed leaves a hole which none of its own size fits into again, and a training
whose layers are all alike makes such a hole for every tensor that a layer frees: a sixth of a reader's peak
(docs/LOG.md). Blocks of malloc, which is what numpy uses, fit where one of them was.

For the forward pass, and what the backward one shares with it: there more is given back than taken, and a tensor costs
five microseconds more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy
import torch

LINE = 64  # bytes that tensors of torch's begin at a multiple of; elsewhere the order of MKL's sums may be another


def empty(shape: Sequence[int], *, like: torch.Tensor, dtype: torch.dtype | None = None) -> torch.Tensor:
    """Return a tensor of `shape` and `dtype` (that of `like` where none is named) beside `like`, numbers undefined."""
    dtype = dtype or like.dtype
    if like.device.type != "cpu" or torch.compiler.is_compiling():
        return torch.empty(shape, dtype=dtype, device=like.device)
    memory = torch.from_numpy(numpy.empty(math.prod(shape) * dtype.itemsize + LINE, numpy.uint8))
    start = -memory.data_ptr() % LINE // dtype.itemsize
    made = torch.empty(0, dtype=dtype)
    return made.set_(memory.untyped_storage(), start, tuple(shape))  # type: ignore[call-overload, no-any-return]
