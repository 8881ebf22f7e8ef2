"""Would a race have said the same, and for how many tokens? Replays finished runs or simulated worlds in many orders.

python scripts/replay_racing.py                          # the planted worlds, 200 replays each: some six minutes
python scripts/replay_racing.py --questions 160          # of 160 questions each
python scripts/replay_racing.py runs/squad runs/wiki     # the records of finished runs, in their own batches
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from racing_replay.table import BATCH_SIZE, Entry, limit_seconds, planted_studies, print_replays, run_studies

from workbench.config import RacingConfig
from workbench.errors import WorkbenchError


def main() -> int:
    """Take runs or worlds and return the exit code: 1 where the race says too little or costs too much."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path, help="folders of finished runs; none: the planted worlds")
    parser.add_argument("--replays", type=int, default=200, help="races a world or run, each in an order of its own")
    parser.add_argument("--draws", type=int, default=10, help="studies drawn of each world, between them the replays")
    parser.add_argument("--questions", type=int, help="a world; none: as many as the world states")
    parser.add_argument("--worlds", help="only these, by comma")
    parser.add_argument("--without", default="", help="arms of a run to leave out, by comma: a routed one, for example")
    parser.add_argument("--batch-size", type=int, help="questions from one look to the next; none: the run's, or 16")
    parser.add_argument("--min-questions", type=int, default=20, help="no arm stops before so many")
    parser.add_argument("--alpha", type=float, default=0.05, help="chance that the arm to take is stopped wrongly")
    parser.add_argument("--futility", type=float, default=0.05, help="least chance to be decided; 0: go on to the end")
    parser.add_argument("--max-seconds", type=float, help="a limit on seconds an answer laid on every world or run")
    arguments = parser.parse_args()
    try:
        knobs = {name: getattr(arguments, name) for name in ("alpha", "futility", "min_questions")}
        entries = _entries(arguments)
        if arguments.max_seconds is not None:
            entries = limit_seconds(entries, arguments.max_seconds)
        return print_replays(entries, RacingConfig(enabled=True, **knobs), n_replays=arguments.replays)
    except WorkbenchError as error:
        print(f"replay_racing: {error}", file=sys.stderr)
        return 1


def _entries(arguments: argparse.Namespace) -> Iterator[Entry]:
    if arguments.runs:
        without = [name for name in arguments.without.split(",") if name]
        return run_studies(arguments.runs, batch_size=arguments.batch_size, without=without)
    wanted = set(arguments.worlds.split(",")) if arguments.worlds else None
    size = arguments.batch_size or BATCH_SIZE
    return planted_studies(arguments.draws, arguments.questions, wanted, batch_size=size)


if __name__ == "__main__":
    sys.exit(main())
