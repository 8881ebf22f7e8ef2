"""The proofs of the verdict in small: planted worlds are found, equal arms have no winner, intervals cover."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))

from statistics_proof.coverage import ROWS, print_coverage
from statistics_proof.verdicts import print_verdicts
from worlds.catalogue import WORLDS
from worlds.nouns import UNDECIDED
from worlds.prior import Leaning, find_leanings, print_priors, share
from worlds.real import MATERIALS, REAL_WORLDS, write_experiment
from worlds.real_run import print_real_worlds
from worlds.replay import print_replays, replay
from worlds.simulate import simulate

from workbench.config import load_config

BY_NAME = {world.name: world for world in WORLDS}


def test_there_are_at_least_twelve_worlds_and_every_arm_is_right_somewhere() -> None:
    assert len(WORLDS) >= 12
    assert {arm for world in WORLDS for arm in world.best} == {
        "base",
        "rag",
        "lora",
        "rag_lora",
        "rag_reader",
        "routed",
        UNDECIDED,
    }


@pytest.mark.parametrize("name", ["house_format", "half_of_each", "tie", "sensitive_documents"])
def test_a_world_is_recognised(name: str) -> None:
    assert replay(BY_NAME[name], 2).n_right == 2


def test_a_world_whose_best_arm_is_another_is_counted_as_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = replace(BY_NAME["distractors"], best=frozenset({"base"}))
    assert print_replays((wrong,), 2) == 1
    assert "0 of   2 right, 2 wrong winners: rag_reader 2" in capsys.readouterr().out


def test_equal_seeds_draw_equal_studies() -> None:
    first, second = (simulate(BY_NAME["tie"], 3).arms["rag"].records for _ in range(2))
    assert first == second != simulate(BY_NAME["tie"], 4).arms["rag"].records


def test_a_few_simulated_studies_cover_roughly(capsys: pytest.CaptureFixture[str]) -> None:
    broken = print_coverage(60, seed=1)
    assert not [name for name in broken if "pooled" in name]  # a row of 60 may stray
    assert len(capsys.readouterr().out.splitlines()) == len(ROWS) + 2
    assert print_verdicts(60, seed=1) in ([], ["power at the minimum detectable effect"])


@pytest.mark.parametrize("name", MATERIALS)
def test_real_material_is_a_valid_experiment(name: str, tmp_path: Path) -> None:
    material = MATERIALS[name](lambda rows: rows[:20], 0)
    config = load_config(
        write_experiment(
            material, tmp_path, name=name, generator="tiny-random-llama", embedder="tiny-random-bert", seed=0
        )
    )
    assert set(config.arms) == set(material.arms)
    for row in material.questions:
        for span in row.get("relevant", ()):
            text = material.documents[span["document_id"]]
            assert text[span["start"] : span["end"]] == row["answers"][0]


def test_a_real_world_is_run_and_judged(tmp_path: Path, tiny_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = argparse.Namespace(real=tmp_path, generator="tiny-random-llama", embedder="tiny-random-bert", seed=0)
    print_real_worlds(arguments, {"tie"})
    assert [world.name for world in REAL_WORLDS if world.material == "tie"] == ["tie"]
    assert "tie" in capsys.readouterr().out
    assert (tmp_path / "tie/run/decision.json").exists()


def test_priors_are_counted_against_what_is_true() -> None:
    world = next(world for world in REAL_WORLDS if world.name == "new_facts")
    lucky, other = Leaning(world, ["rag", "rag", UNDECIDED]), Leaning(world, ["rag", "rag", "lora"])
    assert (lucky.n_right, lucky.n_wrong, other.n_right, other.n_wrong) == (2, 0, 2, 1)
    assert "agrees in 2" in lucky.line
    assert share([lucky, other]) == (
        "2 worlds: the prior agrees in 66.7% of 6 materials, names another arm in 16.7%, none in 16.7%; "
        "it always agrees in 0 worlds"
    )


def test_what_is_true_of_a_material_shows_with_and_without_kinds_and_spans(
    tiny_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = argparse.Namespace(generator="tiny-random-llama", embedder="tiny-random-bert", seeds=1)
    worlds = [world for world in REAL_WORLDS if world.name in ("few_labels", "fast_changing", "sources_needed")]
    for bare in (False, True):
        leans = {one.world.name: one.leans for one in find_leanings(worlds, arguments, bare=bare)}
        assert leans == {"few_labels": ["lora"], "fast_changing": ["rag_reader"], "sources_needed": ["rag_reader"]}
    assert print_priors(arguments, {"few_labels"}) == 0
    assert capsys.readouterr().out.count("1 worlds: the prior agrees in 100.0% of 1 materials") == 2
