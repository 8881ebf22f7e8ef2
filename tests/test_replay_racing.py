"""Replays of a race: a clear world ends like the full grid for less, and the table adds up."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))

from racing_replay.replay import ReplayedStudy
from racing_replay.table import limit_seconds, planted_studies, print_replays, run_studies
from worlds.catalogue import WORLDS
from worlds.simulate import simulate

from workbench.bench import Bench
from workbench.config import RacingConfig, load_config
from workbench.decision import RaceReport
from workbench.errors import RunMismatchError

BY_NAME = {world.name: world for world in WORLDS}


def test_a_clear_world_is_decided_alike_for_a_fifth_of_the_tokens(capsys: pytest.CaptureFixture[str]) -> None:
    studies = planted_studies(2, None, {"both_needed"})
    assert print_replays(studies, RacingConfig(enabled=True), n_replays=6) == 0
    said = capsys.readouterr().out
    assert "full grid: rag_lora 100%" in said
    assert "the same recommendation in 100.0% of the replays" in said


def test_a_race_without_power_asks_everything_and_says_the_same() -> None:
    study = simulate(BY_NAME["tie"], 0)
    never = RacingConfig(enabled=True, min_questions=1000)
    replay = ReplayedStudy(study, batch_size=16).race(study.evaluation.model_copy(update={"racing": never}), 0)
    assert (replay.agrees, replay.tokens, replay.answers, replay.asked) == (True, 1.0, 1.0, 1.0)
    assert replay.seconds == pytest.approx(1.0)
    assert not replay.rules


def test_too_many_tokens_are_a_failure() -> None:
    studies = planted_studies(1, 80, {"tie"})
    assert print_replays(studies, RacingConfig(enabled=True, min_questions=1000), n_replays=1) == 1


def test_a_router_cannot_be_raced() -> None:
    study = simulate(BY_NAME["nothing_to_route"], 0)
    with pytest.raises(RunMismatchError, match=r"routed arm cannot be raced.*--without routed"):
        ReplayedStudy(study, batch_size=16)


def test_a_run_that_was_raced_lacks_answers_to_replay() -> None:
    race = RaceReport(metric="f1", alpha=0.05, margin=0.02, questions=80, asked=40, looks=2, stops=())
    with pytest.raises(RunMismatchError, match="of 80 questions 40 were asked"):
        ReplayedStudy(replace(simulate(BY_NAME["tie"], 0), race=race), batch_size=16)


def test_slow_arms_stop_under_a_limit_and_what_is_left_is_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    racing = RacingConfig(enabled=True)
    assert print_replays(planted_studies(2, None, {"short_answers_in_time"}), racing, n_replays=4) == 0
    assert "full grid: lora 100%; stops: excluded 3.0, worse 1.0\n" in capsys.readouterr().out
    loose = limit_seconds(planted_studies(1, None, {"short_answers_in_time"}), 9.0)
    assert print_replays(loose, racing, n_replays=1) == 1  # all arms keep it, but that is never sure
    assert "excluded" not in capsys.readouterr().out


def test_the_records_of_a_run_are_raced_in_its_own_batches(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = experiment.read_text(encoding="utf-8")
    arms = {"base": {"strategy": "closed_book"}, "rag": {"strategy": "rag"}, "one": {"strategy": "rag", "passages": 1}}
    experiment.write_text(f"{text}arms: {json.dumps(arms)}\n", encoding="utf-8")
    # A random model answers nothing, so all arms are alike: the dearer ones stop, each order's at a look of its own.
    wishes = ["generation.batch_size=2", "evaluation.margin=0.45"]
    Bench(load_config(experiment, overrides=wishes), out=tmp_path / "run").run()
    racing = RacingConfig(enabled=True, min_questions=5, alpha=0.4)
    entry = next(run_studies([tmp_path / "run"]))
    assert (entry.name, entry.batch_size) == ("run", 2)
    replayed = ReplayedStudy(entry.studies[0], batch_size=2)
    evaluation = entry.studies[0].evaluation.model_copy(update={"racing": racing})
    replays = [replayed.race(evaluation, seed) for seed in range(6)]
    assert {(replay.raced, replay.rules["dearer"]) for replay in replays} == {("base", 2)}
    assert all(0 < replay.tokens < 1 and 0 < replay.seconds < 1 for replay in replays)
    assert len({replay.seconds for replay in replays}) > 1
    print_replays(run_studies([tmp_path / "run"], without=["one"]), racing, n_replays=3)
    assert "stops: dearer 1.0, decided 1.0" in capsys.readouterr().out
    with pytest.raises(RunMismatchError, match="has no arm nothing to leave out; its arms are: base, rag, one"):
        next(run_studies([tmp_path / "run"], without=["nothing"]))
