"""How well do weights take in facts, by the number of forms each is trained in, against the documents' own text?

python scripts/bench_injection.py --out runs/injection

Every fact is seen equally often, in 1, 2, 4, 8 or 12 wordings, and is asked for in a wording that no training row has.
With --epochs every wording is seen equally often instead, as in a dataset of more or fewer `dataset.forms`.
The text is trained on until as many tokens were read. One run, six adapters: it resumes, and its report lies in --out.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from injection_bench.experiment import run_injection
from injection_bench.table import print_table

from workbench.errors import WorkbenchError


def main() -> int:
    """Train, ask, print the table; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=Path("configs/quickstart.yaml"), help="gives corpus and models")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help="of it")
    parser.add_argument("--facts", type=int, default=40, help="as many, taken from the documents in turn")
    often = parser.add_mutually_exclusive_group()
    often.add_argument("--sights", type=int, default=48, help="how often each is seen; a multiple of every --forms")
    often.add_argument("--epochs", type=int, help="how often each wording is seen, whatever their number")
    parser.add_argument("--forms", default="1,2,4,8,12", help="numbers of wordings, by comma, at most 12")
    parser.add_argument("--out", type=Path, default=Path("runs/injection"))
    arguments = parser.parse_args()
    try:
        numbers = tuple(int(number) for number in arguments.forms.split(","))
        print_table(run_injection(arguments, numbers))
    except (WorkbenchError, ValueError) as error:
        print(f"bench_injection: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
