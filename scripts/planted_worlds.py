"""Worlds whose best arm is known by construction: is it the one that is recommended?

python scripts/planted_worlds.py                 # simulated answers, 20 seeds a world: a few minutes
python scripts/planted_worlds.py --real FOLDER   # real corpora, the small real models: about an hour on two cores
python scripts/planted_worlds.py --prior         # what the prior leans to in the real worlds, before any run: seconds
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from worlds.catalogue import WORLDS
from worlds.prior import print_priors
from worlds.real_run import print_real_worlds
from worlds.replay import print_replays

from workbench.errors import WorkbenchError


def main() -> int:
    """Take the mode and return the exit code: 0 where enough recommendations are right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="draws of each simulated world, or of each material")
    parser.add_argument("--worlds", help="only these, by comma")
    parser.add_argument("--real", type=Path, metavar="FOLDER", help="run the real worlds into this folder; resumable")
    parser.add_argument("--prior", action="store_true", help="only what the prior leans to in the real worlds")
    parser.add_argument("--generator", default="smollm2-135m-instruct", help="base model of the real worlds")
    parser.add_argument("--embedder", default="all-minilm-l6-v2", help="embedder of the real worlds")
    parser.add_argument("--seed", type=int, default=0, help="draws the real worlds' material")
    arguments = parser.parse_args()
    wanted = set(arguments.worlds.split(",")) if arguments.worlds else None
    try:
        if arguments.prior:
            return print_priors(arguments, wanted)
        if arguments.real:
            return print_real_worlds(arguments, wanted)
        return print_replays(tuple(world for world in WORLDS if not wanted or world.name in wanted), arguments.seeds)
    except WorkbenchError as error:
        print(f"planted_worlds: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
