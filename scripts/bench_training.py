"""Compare our trainer with TRL's SFTTrainer and PEFT: the same rows, model, rank, batch, order, rates and dtype.

    python scripts/bench_training.py --peer-path PEERS

TRL is no dependency of ours; a folder with it alone, beside the libraries that are here, is enough:
pip install --no-deps --target PEERS -r scripts/training_bench/peers.txt
Give this process a high priority (nice -n -15, as root) where others share the machine: each step counts as the least
of its rounds, and every contestant trains in a process of its own.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from training_bench.session import compare_trainers

from workbench.errors import WorkbenchError


def main() -> int:
    """Take the roads and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=Path("configs/quickstart.yaml"), help="gives rows and recipe")
    parser.add_argument("--squad", type=Path, help="a SQuAD file: reader rows over its passages, not the config's")
    parser.add_argument("--squad-config", type=Path, default=Path("configs/squad.yaml"), help="its experiment")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help="of both")
    parser.add_argument("--peer-path", type=Path, help="folder with trl; neither this nor --peer-python: ours alone")
    parser.add_argument("--peer-python", type=Path, help="interpreter of an environment that has trl, torch and peft")
    parser.add_argument("--settings", default="same", help="TRL's: same (as ours), default (gradient checkpointing)")
    parser.add_argument("--peer-memory-gib", type=float, default=0.0, help="TRL starts only where this much is free")
    parser.add_argument("--roads", default="closed_book,reader,quality", help="which, by comma")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each contestant on a road, in turn")
    parser.add_argument("--steps", type=int, default=6, help="timed steps on closed-book rows")
    parser.add_argument("--reader-steps", type=int, default=2, help="timed steps on reader rows")
    parser.add_argument("--prefill-rows", type=int, default=48, help="rows of the training over all epochs")
    parser.add_argument("--epochs", type=int, default=4, help="of that training")
    parser.add_argument("--full", action="store_true", help="TRL takes that training whole: no extrapolation")
    parser.add_argument("--quality-rows", type=int, default=160, help="rows learnt for the held-out loss")
    parser.add_argument("--held-out", type=int, default=40, help="rows of other documents it is computed on")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each for the held-out loss")
    parser.add_argument("--threads", type=int, default=2, help="of each contestant")
    parser.add_argument("--out", type=Path, default=Path("runs/bench-training"), help="folder for the JSON")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=arguments.out) as work:
            return compare_trainers(arguments, Path(work))
    except WorkbenchError as error:
        print(f"bench_training: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
