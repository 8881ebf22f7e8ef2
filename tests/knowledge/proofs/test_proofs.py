"""The proofs as tests: short versions always, full ones where slow tests are asked for (some need strace)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
PROOFS = ("kills", "disk_errors", "bit_rot", "log_rot", "erasure", "tenants", "crowd")


def run_module(name: str, *arguments: str) -> None:
    """Run a proof in a process of its own: most of them fork, which a process with threads must not."""
    command = [sys.executable, "-m", f"tests.knowledge.proofs.{name}", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("name", PROOFS)
def test_it_holds_in_short(name: str) -> None:
    run_module(name)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", PROOFS)
def test_it_holds_in_full(name: str) -> None:
    run_module(name, "--full")
