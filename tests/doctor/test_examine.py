"""The doctor on a real tiny experiment, and on the same one after something was broken."""

import json
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from tests.knowledge.archives import make_original
from workbench import offline
from workbench.access import KeyStore
from workbench.cli import app
from workbench.doctor import Finding, Level, examine
from workbench.doctor.places import check_collection, check_model
from workbench.intake.hashes import count_unknown_bytes


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in (offline.GUARDED, *offline.FLAGS):
        monkeypatch.setenv(name, "1")
    before = offline.is_guarded()
    yield
    offline.apply(before)


def blockers(findings: list[Finding]) -> list[str]:
    return [f"{one.check}: {one.found}" for one in findings if one.level is Level.BLOCKER]


def test_a_sound_experiment_has_no_blocker_and_is_looked_at_fast(experiment: Path, tmp_path: Path) -> None:
    started = time.process_time()
    findings = examine(experiment, out=tmp_path / "run")
    assert time.process_time() - started < 5
    assert blockers(findings) == []
    checks = {one.check for one in findings}
    assert checks >= {"config", "python", "packages", "gpu", "disk", "clock", "locale", "scratch", "corpus", "offline"}
    assert checks >= {"model, generator", "model, embedder", "memory, training", "memory, serving", "collection"}
    assert not (tmp_path / "run").exists()


def lose_corpus(folder: Path) -> None:
    shutil.rmtree(folder / "corpus")


def lose_questions(folder: Path) -> None:
    (folder / "questions.jsonl").unlink()


def misspell(folder: Path) -> None:
    config = folder / "experiment.yaml"
    config.write_text(config.read_text().replace("retrieval: {depth", "retrieval: {dephth"))


def want_another_model(folder: Path) -> None:
    config = folder / "experiment.yaml"
    config.write_text(config.read_text().replace("tiny-random-bert", "all-minilm-l6-v2"))


def ask_for_a_gpu(folder: Path) -> None:
    config = folder / "experiment.yaml"
    config.write_text(config.read_text().replace("device: cpu", "device: cuda"))


def damage_collection(folder: Path) -> None:
    made = make_original(folder / "run" / "collection")
    database = made / "collection.sqlite"
    content = bytearray(database.read_bytes())
    place = content.rindex(b"wheel")
    content[place] ^= 1
    database.write_bytes(content)


def show_keys(folder: Path) -> None:
    keys = folder / "run" / "serving" / "keys.json"
    keys.parent.mkdir(parents=True)
    keys.touch(0o600)
    keys.chmod(0o644)


def lose_keys(folder: Path) -> None:
    KeyStore(folder / "run" / "serving").create("ann", {"*": "admin"})
    (folder / "run" / "serving" / "keys.json").unlink()


def plant_adapter(folder: Path) -> None:
    adapter = folder / "run" / "train-reader" / "adapter"
    adapter.mkdir(parents=True)
    (adapter / "adapter_config.json").write_text('{"peft_type": "LORA", "auto_mapping": {"parent_library": "os"}}')
    (adapter / "adapter_model.safetensors").write_bytes(b"")


def take_a_bad_adapter(folder: Path) -> None:
    plant_adapter(folder)
    (folder / "run" / "train-reader" / "adapter").rename(folder / "given")
    config = folder / "experiment.yaml"
    read = YAML(typ="safe").load(config.read_text())
    read["training"] = {"adapters": {"old": {"examples": "trained", "folder": str(folder / "given")}}}
    read["arms"] = {"base": {"strategy": "closed_book"}}
    config.write_text(json.dumps(read))


def fill_scratch(folder: Path) -> None:
    (folder / "run").write_text("a file where a folder should be")


@pytest.mark.parametrize(
    ("spoil", "says", "next_"),
    [
        (lose_corpus, "corpus is not there", "--set corpus.path"),
        (lose_questions, r"questions.jsonl is not there", "--set questions.path"),
        (misspell, "experiment.yaml:6: unknown key `retrieval.dephth`; did you mean `depth`?", "edit"),
        (want_another_model, "'all-minilm-l6-v2' is not on this machine", "workbench models fetch all-minilm-l6-v2"),
        (ask_for_a_gpu, "models.device is cuda, but", "models.device=auto"),
        (damage_collection, "collection: ", "workbench repair"),
        (show_keys, "keys.json has mode 0644, expected 0600", "chmod 600"),
        (lose_keys, "keys.json is gone, so the server does not start", "workbench keys create"),
        (plant_adapter, "'auto_mapping' may not be", "workbench train"),
        (take_a_bad_adapter, "'auto_mapping' may not be", "training.adapters.NAME.folder"),
        (fill_scratch, "run: is no folder", "name another folder"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_broken_is_named_with_the_next_command(
    spoil: Callable[[Path], None], says: str, next_: str, experiment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)  # no nvidia-smi
    spoil(experiment.parent)
    findings = examine(experiment, out=experiment.parent / "run")
    broken = [one for one in findings if one.level is Level.BLOCKER]
    assert any(says in f"{one.check}: {one.found}" and next_ in one.advice for one in broken), broken


def test_a_model_that_changed_is_a_blocker(experiment: Path, built_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = experiment.parent / "home"
    shutil.copytree(built_home / "models", home / "models")
    monkeypatch.setenv("WORKBENCH_HOME", str(home))
    with (home / "models" / "tiny-random-llama" / "model.safetensors").open("r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        last = stream.read(1)[0]
        stream.seek(-1, os.SEEK_END)
        stream.write(bytes([last ^ 1]))
    found = check_model("tiny-random-llama", "generator", deep=True)
    assert (found.level, "changed since it came" in found.found) == (Level.BLOCKER, True)
    assert "workbench models fetch tiny-random-llama" in found.advice


def test_large_models_are_hashed_only_deep(tiny_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.doctor.places.QUICK_BYTES", 10)
    monkeypatch.setattr("workbench.doctor.places.count_unknown_bytes", lambda *_, **__: 11)
    quick = check_model("tiny-random-llama", "generator", deep=False)
    assert (quick.level, "--deep" in quick.advice) == (Level.OK, True)
    assert "every file as it came" in check_model("tiny-random-llama", "generator", deep=True).found


def test_a_large_collection_is_read_only_deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_original(tmp_path / "c")
    monkeypatch.setattr("workbench.doctor.places.QUICK_BYTES", 10)
    quick = check_collection(folder, deep=False)
    assert (quick.level, "were not read" in quick.found) == (Level.OK, True)
    assert "every row" in check_collection(folder, deep=True).found


def test_bytes_not_yet_hashed_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    assert count_unknown_bytes(tmp_path, ["a.json"], cache_path=tmp_path / "none.json") == 2


def test_the_verb_prints_lines_or_json_and_exits_with_1_on_a_blocker(experiment: Path, tmp_path: Path) -> None:
    runner, run = CliRunner(), ["--out", str(tmp_path / "run")]
    sound = runner.invoke(app, ["doctor", str(experiment), *run])
    assert sound.exit_code == 0, sound.output
    assert "ok       python: " in sound.output
    lose_corpus(experiment.parent)
    broken = runner.invoke(app, ["doctor", str(experiment), *run, "--json"])
    assert broken.exit_code == 1
    findings = json.loads(broken.output)
    assert {"check", "level", "found", "advice"} == set(findings[0])
    assert [one["check"] for one in findings if one["level"] == "blocker"] == ["corpus"]
    assert runner.invoke(app, ["doctor"]).exit_code == 0
    assert stat.S_ISREG(experiment.stat().st_mode)
