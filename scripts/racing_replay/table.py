"""The table of replays: a row a world or run, with what the race kept, what it cost, and by which rule arms stopped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from worlds.catalogue import WORLDS
from worlds.simulate import simulate

from racing_replay.replay import Replay, ReplayedStudy
from workbench.config import EvaluationConfig, RacingConfig
from workbench.reporting import read_study
from workbench.verdict import Study

NEEDED = 0.95  # share of replays that must say what the full grid says
AFFORDED = 0.40  # share of the generated tokens


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
    def line(self) -> str:
        """The row of the table."""
        n = len(self.replays)
        rules: Counter[str] = sum((one.rules for one in self.replays), Counter())
        stopped = ", ".join(f"{rule} {count / n:.1f}" for rule, count in rules.most_common())
        full = ", ".join(f"{arm} {count / n:.0%}" for arm, count in Counter(one.full for one in self.replays).items())
        missed = Counter(f"{one.full} became {one.raced}" for one in self.replays if not one.agrees)
        lost = "".join(f"; {what}: {count}" for what, count in missed.most_common())
        return f"{self.name:26} {self.agreement:6.1%} {self.tokens:6.1%}  full grid: {full}; stops: {stopped}{lost}"


def planted_studies(
    n_draws: int, n_questions: int | None, wanted: set[str] | None
) -> Iterable[tuple[str, list[Study]]]:
    """Yield the simulated worlds without a routed arm, each drawn `n_draws` times."""
    for world in WORLDS:
        if not world.routed and (wanted is None or world.name in wanted):
            sized = world if n_questions is None else replace(world, n_questions=n_questions)
            yield world.name, [simulate(sized, seed) for seed in range(n_draws)]


def run_studies(folders: Sequence[Path]) -> Iterable[tuple[str, list[Study]]]:
    """Yield finished runs."""
    for folder in folders:
        yield folder.name, [read_study(folder)]


def limit_seconds(studies: Iterable[tuple[str, list[Study]]], max_seconds: float) -> Iterable[tuple[str, list[Study]]]:
    """Yield the studies under a limit on the seconds of an answer."""
    for name, drawn in studies:
        yield (
            name,
            [
                replace(study, wishes=study.wishes.model_copy(update={"max_seconds": max_seconds}), _scores={})
                for study in drawn
            ],
        )


def print_replays(
    studies: Iterable[tuple[str, list[Study]]], racing: RacingConfig, *, n_replays: int, batch_size: int
) -> int:
    """Print a row a world or run; return 1 where too few replays agree or they generate too much, on average."""
    print(f"{'':26} {'same':>6} {'tokens':>6}")
    rows = []
    for name, drawn in studies:
        replays = []
        for study in drawn:
            replayed, evaluation = ReplayedStudy(study, batch_size=batch_size), _racing(study.evaluation, racing)
            replays += [replayed.race(evaluation, seed) for seed in range(-(-n_replays // len(drawn)))]
        rows.append(Row(name, replays))
        print(rows[-1].line, flush=True)
    agreement = sum(row.agreement for row in rows) / len(rows)
    tokens = sum(row.tokens for row in rows) / len(rows)
    within, fewest = sum(row.tokens <= AFFORDED for row in rows), min(row.agreement for row in rows)
    print(
        f"{len(rows)} rows: the same recommendation in {agreement:.1%} of the replays for {tokens:.1%} of the "
        f"generated tokens; {within} rows within {AFFORDED:.0%}, fewest agreements {fewest:.1%}"
    )
    return int(agreement < NEEDED or tokens > AFFORDED)


def _racing(evaluation: EvaluationConfig, racing: RacingConfig) -> EvaluationConfig:
    return evaluation.model_copy(update={"racing": racing})
