"""What importing this package does to torch: the operations it keeps compiled, one for every shape, are bounded."""

import os
import subprocess
import sys

import pytest
import torch

BOUNDS = ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY")
# Three hundred row lengths through one layer; prints the bytes by which the process grew.
MANY_SHAPES = """
import workbench, psutil, torch
weight = torch.ones(1536, 576, dtype=torch.bfloat16)
def multiply(rows):
    with torch.no_grad():
        torch.nn.functional.linear(torch.ones(rows, 576, dtype=torch.bfloat16), weight)
multiply(10)
before = psutil.Process().memory_info().rss
for rows in range(100, 400):
    multiply(rows)
print(psutil.Process().memory_info().rss - before)
"""


def grow(**bounds: str) -> int:
    environment = {name: value for name, value in os.environ.items() if name not in BOUNDS}
    child = subprocess.run(
        [sys.executable, "-c", MANY_SHAPES],
        env=environment | {"OMP_NUM_THREADS": "1"} | bounds,
        capture_output=True,
        text=True,
        check=True,
    )
    return int(child.stdout)


@pytest.mark.skipif(not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="needs a CPU with bfloat16")
def test_rows_of_many_lengths_do_not_fill_the_memory_with_operations() -> None:
    unbounded = grow(**dict.fromkeys(BOUNDS, "1024"))  # what the user sets stands; it is torch's own default
    assert grow() < 0.6 * unbounded
