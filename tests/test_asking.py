"""`ask --arm routed`, end to end on random models: it looks at what was measured, once, and tells the arm."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import write_experiment
from workbench.bench import Bench
from workbench.cli.experiments import ask
from workbench.config import load_config
from workbench.errors import RunMismatchError
from workbench.generation import LocalGenerator
from workbench.models import SentenceEmbedder
from workbench.retrieval import Pipeline
from workbench.routed_arm import ROUTER_MODEL
from workbench.runs import read_lines
from workbench.types import CaseRecord, Route
from workbench.verdict import ArmRun, Study
from workbench.verdict import router_learning as learning
from workbench.verdict.router_features import EMBEDDING, FEATURES, Floats, Vectors, read_features
from workbench.verdict.saved_router import read_router

ARMS = (
    "arms={base: {strategy: closed_book}, rag: {strategy: rag}, lora: {strategy: closed_book, adapter: closed_book}, "
    "r: {strategy: routed}}"
)


def open_bench(experiment: Path, out: Path, *overrides: str) -> Bench:
    return Bench(load_config(experiment, overrides=[ARMS, *overrides]), out=out)


def learn_by_lot(lesson: learning.Lesson, seed: int) -> learning.Learned:
    """A router over all features, fitted on drawn values: random models are right nowhere, so nothing is learnt."""
    values: Floats = np.random.default_rng(seed).random(np.shape(lesson.values))
    sight = learning.Sight(draft=True, embedding=True)
    return learning.Learned(sight, learning._fit(replace(lesson, values=values), [(sight, 1.0)])[0])


@pytest.fixture(scope="module")
def finished(built_home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A config and the folder of its evaluated run, whose router looks at everything. Shared: only read, or copied."""
    folder = tmp_path_factory.mktemp("asking")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(built_home))
        patch.setattr("workbench.verdict.routing.FEWEST", 5)
        patch.setattr("workbench.verdict.routing.learn", learn_by_lot)
        config = write_experiment(folder)
        open_bench(config, folder / "out").evaluate()
    return config, folder / "out"


def measured_routes(bench: Bench) -> dict[str, Route]:
    """What the router chooses by the features of the records: question id → choice."""
    out, config = bench.run_folder.folder, bench.config
    records = read_lines(out / "records.jsonl", CaseRecord)
    arms = {
        name: ArmRun(name, arm, [record for record in records if record.arm == name], {})
        for name, arm in config.arms.items()
        if name != "r"
    }
    study = Study(bench.parts.questions.by_id, arms, config.evaluation, config.decision, config.seed)
    vectors = {question.id: bench.parts.embed_question(question.text) for question in bench.parts.questions.test}
    features = read_features(study, Vectors(vectors, 0.0))
    assert features is not None
    router = read_router(out / ROUTER_MODEL)
    return {id_: router.choose(features.of([id_]).seen) for id_ in features.ids}


def test_a_question_is_routed_as_its_measured_record_says(finished: tuple[Path, Path], tiny_home: Path) -> None:
    bench = open_bench(*finished)
    assert read_router(finished[1] / ROUTER_MODEL).features == (*FEATURES, EMBEDDING)
    routes = measured_routes(bench)
    assert len({route.arm for route in routes.values()}) > 1  # else this test could not tell
    for id_, route in routes.items():
        answer = bench.ask(bench.parts.questions.by_id[id_].text, arm="r")
        # A draft written alone differs from one of a batch in its last bits; random models' entropies hardly differ.
        assert answer.route is not None and answer.route.expected == pytest.approx(route.expected, abs=0.01)
        first, second = sorted(route.expected.values(), reverse=True)[:2]
        assert answer.route.arm == route.arm or first - second < 0.02
        plain = bench.ask(bench.parts.questions.by_id[id_].text, arm=answer.route.arm)
        assert (plain.generation.text, plain.prompt, plain.route) == (answer.generation.text, answer.prompt, None)


def test_it_searches_embeds_and_drafts_once(
    finished: tuple[Path, Path], tiny_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def counted(owner: type, name: str) -> None:
        true: Callable[..., Any] = getattr(owner, name)

        def counting(*args: Any, **keywords: Any) -> Any:
            calls.append(name)
            return true(*args, **keywords)

        monkeypatch.setattr(owner, name, counting)

    bench = open_bench(*finished)
    routes = measured_routes(bench)
    for owner, name in ((Pipeline, "find"), (SentenceEmbedder, "embed_questions"), (LocalGenerator, "generate")):
        counted(owner, name)
    for id_ in routes:
        calls.clear()
        answer = bench.ask(bench.parts.questions.by_id[id_].text, arm="r")
        assert answer.route is not None
        assert (calls.count("find"), calls.count("embed_questions")) == (1, 1)
        assert calls.count("generate") == (1 if answer.route.arm == "base" else 2)


def test_the_command_line_tells_the_arm_and_why(
    finished: tuple[Path, Path], tiny_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ask(finished[0], "What colour is the Arvo gauge?", arm="r", out=finished[1], overrides=[ARMS])
    told = capsys.readouterr().err
    assert told.startswith("arm ") and ": expected f1 less the weight of its seconds " in told


def test_an_evaluation_done_again_leaves_the_same_router(
    finished: tuple[Path, Path], tiny_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.verdict.routing.FEWEST", 5)
    monkeypatch.setattr("workbench.verdict.routing.learn", learn_by_lot)
    out = shutil.copytree(finished[1], tmp_path / "out")
    (out / ROUTER_MODEL).unlink()
    open_bench(finished[0], out).evaluate()
    for name in (ROUTER_MODEL, "predictions.jsonl"):
        assert (out / name).read_bytes() == (finished[1] / name).read_bytes()


def test_a_router_that_gains_nothing_asks_one_arm_and_looks_at_nothing(
    finished: tuple[Path, Path], tiny_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.verdict.routing.FEWEST", 5)
    out = shutil.copytree(finished[1], tmp_path / "out")
    open_bench(finished[0], out).evaluate()
    router = read_router(out / ROUTER_MODEL)
    assert router.always in ("base", "rag", "lora") and router.features == ()
    answer = open_bench(finished[0], out).ask("What?", arm="r")
    assert answer.route is not None and answer.route.arm == router.always


def test_no_router_a_damaged_and_a_stale_one_are_told(
    finished: tuple[Path, Path], tiny_home: Path, tmp_path: Path
) -> None:
    out = shutil.copytree(finished[1], tmp_path / "out")
    for override, told in (("generation.max_new_tokens=5", "fitted on answers"), ("training.r=2", "other adapters")):
        with pytest.raises(RunMismatchError, match=rf"{told}.*workbench evaluate CONFIG --out"):
            open_bench(finished[0], out, override).ask("What?", arm="r")
    (out / ROUTER_MODEL).write_text("{")
    with pytest.raises(RunMismatchError, match=r"router_model\.json is damaged.*workbench evaluate CONFIG --out"):
        open_bench(finished[0], out).ask("What?", arm="r")
    (out / ROUTER_MODEL).unlink()
    with pytest.raises(RunMismatchError, match=r"holds no router yet.*workbench evaluate CONFIG --out"):
        open_bench(finished[0], out).ask("What?", arm="r")
