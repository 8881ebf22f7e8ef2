"""Run one experiment for several values of one knob, and print each run beside the first.

    python scripts/sweep.py configs/quickstart.yaml training.learning_rate 2e-4 5e-4 1e-3

Every value gets its own folder, runs/NAME-KEY-VALUE. Each run is what `workbench run` makes: it resumes and is reused.
Stages that the value does not touch are done once, for the first value: embedding, training.
"""

import argparse
import sys
from pathlib import Path

from workbench.bench import Bench
from workbench.config import load_config
from workbench.errors import WorkbenchError
from workbench.report.comparing import print_pair
from workbench.reporting import compare_run_folders, decide_run


def main() -> int:
    """Run the sweep; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("key", help="the knob, for example training.r")
    parser.add_argument("values", nargs="+", help="its values, read as YAML")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="where the runs' folders go")
    arguments = parser.parse_args()
    folders = []
    try:
        for value in arguments.values:
            config = load_config(arguments.config, overrides=[f"{arguments.key}={value}"])
            folders.append(arguments.out / f"{config.name}-{arguments.key}-{value}")
            # What an earlier value has done with equal inputs is copied: embedded once, trained once.
            print(f"{arguments.key}={value}: {Bench(config, out=folders[-1], lenders=folders[:-1]).run()}")
        for value, folder in zip(arguments.values[1:], folders[1:], strict=True):
            pair = compare_run_folders(folders[0], folder)
            print(f"\n{arguments.key}: {arguments.values[0]}, then {value}")
            print_pair(pair, (str(folders[0]), str(folder)), (decide_run(folders[0]), decide_run(folder)))
    except WorkbenchError as error:
        print(f"sweep: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
