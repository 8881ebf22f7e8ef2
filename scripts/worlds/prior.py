"""How often the prior names the planted best arm: the real worlds' corpora, questions and wishes, read but not run.

A prior that names no arm is neither right nor wrong, unless nobody can tell (UNDECIDED). Which general questions a base
model knows is not asked here, since no prior could: all of them are taken. Each material is also read bare, without the
kinds and spans that its maker knows and many users do not write down.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from workbench.config import load_config
from workbench.expected import Prior
from workbench.prior import count, judge
from worlds.nouns import UNDECIDED
from worlds.real import MATERIALS, REAL_WORLDS, RealWorld, write_experiment

KNOWN_TO_THE_MAKER = ("kind", "relevant")  # keys of a question that a bare one lacks


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
        leans = ", ".join(f"{arm} {n}" for arm, n in Counter(self.leans).most_common())
        said = {0: "no", len(self.leans): "agrees"}.get(self.n_right, f"agrees in {self.n_right}")
        return f"{self.world.name:22} {' or '.join(sorted(self.world.best)):12} {said:12} {leans}"


def print_priors(arguments: argparse.Namespace, wanted: set[str] | None) -> int:
    """Print a row a world and the shares; return 0: how good a prior is, is a finding, not a fault."""
    worlds = [world for world in REAL_WORLDS if wanted is None or world.name in wanted]
    for bare in (False, True):
        told = "without kinds and spans" if bare else "as given"
        print(f"{told}, {arguments.seeds} materials a world\n{'world':22} {'true best':12} {'prior':12} leans to")
        leanings = find_leanings(worlds, arguments, bare=bare)
        for one in leanings:
            print(one.line)
        print(f"{share(leanings)}\n", flush=True)
    return 0


def find_leanings(worlds: Sequence[RealWorld], arguments: argparse.Namespace, *, bare: bool) -> list[Leaning]:
    """Return what the prior leans to in each world; worlds of one material share its reading."""
    leans: dict[str, list[str]] = {world.name: [] for world in worlds}
    for name in dict.fromkeys(world.material for world in worlds):
        for seed in range(arguments.seeds):
            with TemporaryDirectory() as scratch:
                path = _write(name, Path(scratch), seed, arguments, bare=bare)
                figures = count(load_config(path))
                for world in worlds:
                    if world.material == name:
                        config = load_config(path, overrides=world.wishes)
                        leans[world.name].append(named(judge(config, figures)))
    return [Leaning(world, leans[world.name]) for world in worlds]


def share(leanings: Sequence[Leaning]) -> str:
    """Return the table's last row."""
    n = sum(len(one.leans) for one in leanings)
    right, wrong = sum(one.n_right for one in leanings), sum(one.n_wrong for one in leanings)
    always = sum(one.n_right == len(one.leans) for one in leanings)
    return (
        f"{len(leanings)} worlds: the prior agrees in {right / n:.1%} of {n} materials, names another arm in "
        f"{wrong / n:.1%}, none in {(n - right - wrong) / n:.1%}; it always agrees in {always} worlds"
    )


def named(prior: Prior) -> str:
    """Return the one arm that a prior names, or UNDECIDED: between arms of one kind it cannot tell either."""
    return prior.named[0] if len(prior.named) == 1 else UNDECIDED


def _write(name: str, folder: Path, seed: int, arguments: argparse.Namespace, *, bare: bool) -> Path:
    material = MATERIALS[name](lambda rows: rows, seed)
    if bare:
        rows = [{key: row[key] for key in row if key not in KNOWN_TO_THE_MAKER} for row in material.questions]
        material = replace(material, questions=rows)
    models = {"generator": arguments.generator, "embedder": arguments.embedder}
    return write_experiment(material, folder, name=name, seed=seed, **models)
