"""How often the prior names the planted best arm: the real worlds' corpora, questions and wishes, read but not run.

A prior that names no arm is neither right nor wrong, unless nobody can tell (UNDECIDED). Which general questions a base
model knows is not asked here, since no prior could: all of them are taken.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from workbench.config import load_config
from workbench.expected import Prior
from workbench.prior import foresee
from worlds.nouns import UNDECIDED
from worlds.real import MATERIALS, REAL_WORLDS, RealWorld, write_experiment


@dataclass(frozen=True, slots=True)
class Leaning:
    """What the prior leant to in one world, material by material."""

    world: RealWorld
    leans: Sequence[str]  # an arm or UNDECIDED, one a material seed

    @property
    def n_right(self) -> int:
        """Materials whose prior names a best arm, or none where none is best."""
        return sum(arm in self.world.best for arm in self.leans)

    @property
    def n_wrong(self) -> int:
        """Materials whose prior names another arm; to say that nobody knows names none."""
        return sum(arm not in (*self.world.best, UNDECIDED) for arm in self.leans)

    @property
    def line(self) -> str:
        """The row of the table."""
        leans = ", ".join(f"{arm} {count}" for arm, count in Counter(self.leans).most_common())
        said = "agrees" if self.n_right == len(self.leans) else f"agrees in {self.n_right}" if self.n_right else "no"
        return f"{self.world.name:22} {' or '.join(sorted(self.world.best)):12} {said:12} {leans}"


def print_priors(arguments: argparse.Namespace, wanted: set[str] | None) -> int:
    """Print a row a world and the shares; return 0: how good a prior is, is a finding, not a fault."""
    print(f"{'world':22} {'true best':12} {'prior':12} leans to, over {arguments.seeds} materials")
    leanings = []
    for world in REAL_WORLDS:
        if wanted is None or world.name in wanted:
            leanings.append(lean(world, range(arguments.seeds), arguments.generator, arguments.embedder))
            print(leanings[-1].line, flush=True)
    n = sum(len(one.leans) for one in leanings)
    right, wrong = sum(one.n_right for one in leanings), sum(one.n_wrong for one in leanings)
    always = sum(one.n_right == len(one.leans) for one in leanings)
    print(
        f"{len(leanings)} worlds: the prior agrees in {right / n:.1%} of {n} materials, names another arm in "
        f"{wrong / n:.1%}, none in {(n - right - wrong) / n:.1%}; it always agrees in {always} worlds"
    )
    return 0


def lean(world: RealWorld, seeds: Sequence[int], generator: str, embedder: str) -> Leaning:
    """Return what the prior leans to in `world`, for each seed of its material."""
    return Leaning(world, [_named(_foreseen(world, seed, generator, embedder)) for seed in seeds])


def _foreseen(world: RealWorld, seed: int, generator: str, embedder: str) -> Prior:
    material = MATERIALS[world.material](lambda rows: rows, seed)
    with TemporaryDirectory() as scratch:
        path = write_experiment(
            material, Path(scratch), name=world.material, generator=generator, embedder=embedder, seed=seed
        )
        return foresee(load_config(path, overrides=world.wishes))[0]


def _named(prior: Prior) -> str:
    return prior.arm or UNDECIDED
