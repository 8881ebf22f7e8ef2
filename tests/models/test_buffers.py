"""What a node computes in: shape and dtype as asked, and a hole that is filled again."""

import subprocess
import sys

import pytest
import torch

from workbench.models.buffers import LINE, empty


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.int64, torch.bool])
def test_shape_dtype_and_room_are_as_asked(dtype: torch.dtype) -> None:
    made = empty((3, 5, 7), like=torch.zeros(1, dtype=torch.bfloat16), dtype=dtype)
    assert (made.shape, made.dtype, made.device.type) == ((3, 5, 7), dtype, "cpu")
    assert made.is_contiguous() and made.untyped_storage().nbytes() <= 105 * dtype.itemsize + LINE
    assert made.data_ptr() % LINE == 0
    assert torch.equal(made.fill_(1), torch.ones((3, 5, 7), dtype=dtype))


def test_it_is_like_its_neighbour_where_no_dtype_is_named() -> None:
    assert empty((2, 0), like=torch.zeros(1, dtype=torch.float16)).dtype == torch.float16
    assert empty((2,), like=torch.zeros(1, device="meta")).device.type == "meta"


KEEPING = """
import psutil, torch
from workbench.models.buffers import empty

def resident():
    return psutil.Process().memory_info().rss // 2**20

def make(n):
    return empty((n,), like=like).fill_(1)

like, kept = torch.zeros(1), []
warm = [make(2**20) for _ in range(2)]  # glibc maps large blocks apart until one of their size was freed
del warm
before = resident()
for _ in range(200):  # as a training's layers: a tensor goes, a tensor stays, and small objects settle between
    gone, stays = make(2**16), make(2**16)
    kept.append((stays, [torch.zeros(1) for _ in range(20)]))
    del gone
print(resident() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it is glibc's posix_memalign that leaves holes")
def test_what_was_freed_is_used_again() -> None:
    done = subprocess.run([sys.executable, "-c", KEEPING], capture_output=True, text=True, check=True)
    assert 50 <= int(done.stdout) < 70  # MiB: 200 tensors of 256 KiB, and no 200 holes (101 of torch's own)
