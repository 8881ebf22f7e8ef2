"""Draws each simulated world many times and counts how often the recommendation is a right one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from workbench.verdict import decide
from worlds.nouns import UNDECIDED, World
from worlds.simulate import simulate

NEEDED = 0.95  # share of draws whose recommendation must be right


@dataclass(frozen=True, slots=True)
class Tally:
    """How often each arm was recommended in one world."""

    world: World
    counts: Counter[str]

    @property
    def n_right(self) -> int:
        """Draws with a right recommendation."""
        return sum(count for arm, count in self.counts.items() if arm in self.world.best)

    @property
    def n_wrong_winners(self) -> int:
        """Draws in which an arm was taken that is not right; to say that nobody knows is no wrong winner."""
        return sum(count for arm, count in self.counts.items() if arm not in (*self.world.best, UNDECIDED))

    @property
    def line(self) -> str:
        """The row of the table."""
        counts = ", ".join(f"{arm} {count}" for arm, count in self.counts.most_common())
        right = f"{self.n_right:3} of {self.counts.total():3} right, {self.n_wrong_winners} wrong winners"
        return f"{self.world.name:26} {right}: {counts}"


def replay(world: World, n_seeds: int) -> Tally:
    """Draw `world` with seeds 0 to n_seeds - 1."""
    counts = Counter(decide(simulate(world, seed)).recommendation.arm or UNDECIDED for seed in range(n_seeds))
    return Tally(world, counts)


def print_replays(worlds: tuple[World, ...], n_seeds: int) -> int:
    """Print a row a world and return the exit code: 1 where too few draws are right."""
    tallies = []
    for world in worlds:
        tallies.append(replay(world, n_seeds))
        print(tallies[-1].line, flush=True)
    n = sum(tally.counts.total() for tally in tallies)
    right, wrong = sum(tally.n_right for tally in tallies), sum(tally.n_wrong_winners for tally in tallies)
    print(f"{len(tallies)} worlds: {right / n:.1%} of {n} recommendations right, {wrong / n:.1%} wrong winners")
    return int(right / n < NEEDED)
