"""Replays of a race: a clear world ends like the full grid for less, and the table adds up."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))

from racing_replay.replay import ReplayedStudy
from racing_replay.table import planted_studies, print_replays
from worlds.catalogue import WORLDS
from worlds.simulate import simulate

from workbench.config import RacingConfig
from workbench.errors import RunMismatchError

BY_NAME = {world.name: world for world in WORLDS}


def test_a_clear_world_is_decided_alike_for_a_fifth_of_the_tokens(capsys: pytest.CaptureFixture[str]) -> None:
    studies = planted_studies(2, None, {"both_needed"})
    assert print_replays(studies, RacingConfig(enabled=True), n_replays=6, batch_size=16) == 0
    said = capsys.readouterr().out
    assert "full grid: rag_lora 100%" in said
    assert "the same recommendation in 100.0% of the replays" in said


def test_a_race_without_power_asks_everything_and_says_the_same() -> None:
    study = simulate(BY_NAME["tie"], 0)
    never = RacingConfig(enabled=True, min_questions=1000)
    replay = ReplayedStudy(study, batch_size=16).race(study.evaluation.model_copy(update={"racing": never}), 0)
    assert (replay.agrees, replay.tokens, replay.answers, replay.asked) == (True, 1.0, 1.0, 1.0)
    assert not replay.rules


def test_too_many_tokens_are_a_failure() -> None:
    studies = planted_studies(1, 80, {"tie"})
    assert print_replays(studies, RacingConfig(enabled=True, min_questions=1000), n_replays=1, batch_size=16) == 1


def test_a_router_cannot_be_raced() -> None:
    study = simulate(BY_NAME["nothing_to_route"], 0)
    with pytest.raises(RunMismatchError, match="routed arm cannot be raced"):
        ReplayedStudy(study, batch_size=16)
