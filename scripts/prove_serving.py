"""Serve an experiment, ask more of it than it takes on, hang up on it, and stop it under load: what must hold, holds.

python scripts/prove_serving.py configs/quickstart.yaml --out runs/quickstart --seconds 300
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from serving_proof.proof import prove

from workbench.errors import WorkbenchError


def main() -> int:
    """Run all parts and return the exit code: 1 where something does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="an experiment's YAML")
    parser.add_argument("--out", type=Path, required=True, help="its run's folder")
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=300.0, help="of pressing")
    parser.add_argument("--hang-ups", type=int, default=500)
    parser.add_argument("--models", default="base", help="who is asked, by comma: the base, adapters, arms")
    parser.add_argument("--new-tokens", type=int, default=24, help="most of one answer")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for the server")
    arguments = parser.parse_args()
    try:
        return asyncio.run(prove(arguments))
    except WorkbenchError as error:
        print(f"prove_serving: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
