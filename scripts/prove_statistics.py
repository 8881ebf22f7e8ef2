"""Simulated studies whose truth is known: do the intervals cover it, and how often is a verdict wrong?

python scripts/prove_statistics.py               # 1,000 studies a row, some three minutes on one core
"""

from __future__ import annotations

import argparse
import sys

from statistics_proof.coverage import print_coverage
from statistics_proof.verdicts import print_verdicts


def main() -> int:
    """Take the number of studies and return the exit code: 1 where a bound is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=1000, help="simulated studies a row")
    parser.add_argument("--seed", type=int, default=0, help="draws them")
    arguments = parser.parse_args()
    broken = print_coverage(arguments.studies, arguments.seed)
    broken += print_verdicts(arguments.studies, arguments.seed)
    print("all bounds hold" if not broken else f"broken: {', '.join(broken)}")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
