"""The table of replays: a row a world or run, with what the race kept, what it cost, and by which rule arms stopped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from worlds.catalogue import WORLDS
from worlds.simulate import simulate

from racing_replay.replay import Replay, ReplayedStudy
from workbench.config import RacingConfig, load_config
from workbench.errors import RunMismatchError
from workbench.reporting import read_study
from workbench.verdict import Study

NEEDED = 0.95  # share of replays that must say what the full grid says
AFFORDED = 0.40  # share of the generated tokens
BATCH_SIZE = 16  # questions a batch of a simulated world


@dataclass(frozen=True, slots=True)
class Row:
    """All replays of one world or run."""

    name: str
    replays: Sequence[Replay]

    @property
    def agreement(self) -> float:
        """Share of replays that say what the full grid says."""
        return sum(one.agrees for one in self.replays) / len(self.replays)

    @property
    def tokens(self) -> float:
        """Mean share of the full grid's generated tokens."""
        return sum(one.tokens for one in self.replays) / len(self.replays)

    @property
    def seconds(self) -> float:
        """Mean share of the full grid's seconds of answering."""
        return sum(one.seconds for one in self.replays) / len(self.replays)

    @property
    def line(self) -> str:
        """The row of the table."""
        n = len(self.replays)
        rules: Counter[str] = sum((one.rules for one in self.replays), Counter())
        stopped = ", ".join(f"{rule} {count / n:.1f}" for rule, count in rules.most_common())
        full = ", ".join(f"{arm} {count / n:.0%}" for arm, count in Counter(one.full for one in self.replays).items())
        missed = Counter(f"{one.full} became {one.raced}" for one in self.replays if not one.agrees)
        lost = "".join(f"; {what}: {count}" for what, count in missed.most_common())
        shares = f"{self.agreement:6.1%} {self.tokens:6.1%} {self.seconds:7.1%}"
        return f"{self.name:26} {shares}  full grid: {full}; stops: {stopped}{lost}"


class Entry(NamedTuple):
    """A world or run to be raced: its draws, and how many questions a batch has."""

    name: str
    studies: Sequence[Study]
    batch_size: int


def planted_studies(
    n_draws: int, n_questions: int | None, wanted: set[str] | None, *, batch_size: int = BATCH_SIZE
) -> Iterator[Entry]:
    """Yield the simulated worlds without a routed arm, each drawn `n_draws` times."""
    for world in WORLDS:
        if not world.routed and (wanted is None or world.name in wanted):
            sized = world if n_questions is None else replace(world, n_questions=n_questions)
            yield Entry(world.name, [simulate(sized, seed) for seed in range(n_draws)], batch_size)


def run_studies(
    folders: Sequence[Path], *, batch_size: int | None = None, without: Collection[str] = ()
) -> Iterator[Entry]:
    """Yield finished runs.

    Args:
        batch_size: None: each run's own.
        without: arms to leave out, as if they had not been asked.
    Raises:
        RunMismatchError: a folder holds no finished run, or `without` names an arm that it has not.
    """
    for folder in folders:
        study = read_study(folder)
        if unknown := [name for name in without if name not in study.arms]:
            raise RunMismatchError(
                f"{folder} has no arm {', '.join(unknown)} to leave out; its arms are: {', '.join(study.arms)}"
            )
        arms = {name: arm for name, arm in study.arms.items() if name not in without}
        own = load_config(folder / "config.yaml").generation.batch_size
        yield Entry(folder.name, [replace(study, arms=arms, _scores={})], batch_size or own)


def limit_seconds(entries: Iterable[Entry], max_seconds: float) -> Iterator[Entry]:
    """Yield the entries under a limit on the seconds of an answer."""
    for entry in entries:
        wishes = [study.wishes.model_copy(update={"max_seconds": max_seconds}) for study in entry.studies]
        limited = [replace(study, wishes=one) for study, one in zip(entry.studies, wishes, strict=True)]
        yield entry._replace(studies=limited)


def print_replays(entries: Iterable[Entry], racing: RacingConfig, *, n_replays: int) -> int:
    """Print a row a world or run; return 1 where too few replays agree or they generate too much, on average."""
    print(f"{'':26} {'same':>6} {'tokens':>6} {'seconds':>7}")
    rows = []
    for entry in entries:
        replays = []
        for study in entry.studies:
            replayed = ReplayedStudy(study, batch_size=entry.batch_size)
            evaluation = study.evaluation.model_copy(update={"racing": racing})
            replays += [replayed.race(evaluation, seed) for seed in range(-(-n_replays // len(entry.studies)))]
        rows.append(Row(entry.name, replays))
        print(rows[-1].line, flush=True)
    agreement = sum(row.agreement for row in rows) / len(rows)
    tokens = sum(row.tokens for row in rows) / len(rows)
    within, fewest = sum(row.tokens <= AFFORDED for row in rows), min(row.agreement for row in rows)
    print(
        f"{len(rows)} rows: the same recommendation in {agreement:.1%} of the replays for {tokens:.1%} of the "
        f"generated tokens; {within} rows within {AFFORDED:.0%}, fewest agreements {fewest:.1%}"
    )
    return int(agreement < NEEDED or tokens > AFFORDED)
