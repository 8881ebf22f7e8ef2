"""How much the server's engine makes of this machine: one user, many users, base and adapters in one batch, and a peer.

    OMP_NUM_THREADS=2 python scripts/bench_serving.py

The peer is Transformers' `generate`, one request after another, as a plain server does it. All answer the same prompts
in the same process in turn, round by round; figures are medians over the rounds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from serving_bench.engine import measure_engine, write_found

from workbench.errors import WorkbenchError


def main() -> int:
    """Measure and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m-instruct", help="a generator that is on this machine")
    parser.add_argument("--users", type=int, default=16, help="who ask at once, and slots of the engine")
    parser.add_argument("--questions", type=int, default=3, help="of each user, one after another")
    parser.add_argument("--new-tokens", type=int, default=64, help="of each answer")
    parser.add_argument("--shared", type=int, default=4, help="sets of passages that every second prompt has one of")
    parser.add_argument("--few", type=int, default=6, help="prompts that one user and the peer answer")
    parser.add_argument("--rounds", type=int, default=3, help="of every contestant, in turn")
    parser.add_argument("--out", type=Path, default=Path("runs/bench-serving"), help="folder for the JSON")
    arguments = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as work:
            write_found({"engine": measure_engine(arguments, Path(work))}, arguments.out)
    except WorkbenchError as error:
        print(f"bench_serving: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
