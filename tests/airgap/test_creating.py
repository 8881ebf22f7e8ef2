"""A bundle of a tiny experiment: the same bytes twice, all described, and questions answered from it as before."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

import jsonschema_rs
import pytest
from typer.testing import CliRunner

from tests.airgap.small import fake_wheel, pip_wheel, this_machine
from tests.conftest import write_experiment
from workbench import upkeep
from workbench.airgap.checking import check_bundle
from workbench.airgap.creating import SBOM, Created, create_bundle
from workbench.airgap.gathering import Wanted, gather_experiment
from workbench.airgap.manifest import MANIFEST
from workbench.bench import Bench
from workbench.cli import app
from workbench.config import load_config
from workbench.errors import BundleError, ConfigError
from workbench.library import Library
from workbench.models import add_folder

QUESTION = "What colour is the Arvo gauge?"
ARMS = "arms={rag: {strategy: rag}, lora: {strategy: closed_book, adapter: closed_book}}"
SHORT = ("training.epochs=1", "training.max_examples=4", "training.evaluations=1", ARMS)
SERIAL = "1790000000"


@dataclass(frozen=True)
class Finished:
    """A tiny experiment that was indexed and trained, and a folder of wheels to bundle it with."""

    folder: Path
    wanted: Wanted

    def create(self, out: str, **changes: object) -> Created:
        target, wheels = this_machine(), self.folder / "wheels"
        return create_bundle(
            replace(self.wanted, **changes),  # type: ignore[arg-type]
            self.folder / out,
            target=target,
            torch="cpu",
            wheels=wheels,
        )


@pytest.fixture(scope="module")
def finished(built_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    folder = tmp_path_factory.mktemp("creating")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(built_home))
        patch.setenv("SOURCE_DATE_EPOCH", SERIAL)
        config = load_config(write_experiment(folder), overrides=SHORT)
        Bench(config, out=folder / "run").train()
        wheels = folder / "wheels"
        wheels.mkdir()
        fake_wheel(wheels, "workbench", metadata="License-Expression: Apache-2.0\nRequires-Dist: needed\n")
        fake_wheel(wheels, "needed", metadata="Classifier: License :: OSI Approved :: MIT License\n")
        fake_wheel(wheels, "unneeded")
        shutil.copy(pip_wheel(), wheels)
        yield Finished(folder, Wanted(config, folder / "run", (), with_corpus=False, data_licence="CC0-1.0"))


@pytest.fixture(scope="module")
def bundle(finished: Finished) -> Path:
    finished.create("bundle")
    return finished.folder / "bundle"


def test_made_twice_it_is_the_same_bytes(finished: Finished, bundle: Path) -> None:
    tars = [finished.create(f"{number}.tar").out.read_bytes() for number in range(2)]
    assert tars[0] == tars[1]
    checked = check_bundle(bundle, key=None)
    assert checked.manifest == check_bundle(finished.folder / "0.tar", key=None).manifest
    assert checked.manifest.serial == int(SERIAL)


def test_each_file_has_its_licence_and_none_tells_of_this_machine(finished: Finished, bundle: Path) -> None:
    licences = {file.path: file.licence for file in check_bundle(bundle, key=None).manifest.files}
    assert licences["questions/questions.jsonl"] == licences["runs/small/collection.zip"] == "CC0-1.0"
    assert licences["models/tiny-random-bert/model.safetensors"] == "Apache-2.0"
    assert licences["wheels/needed-1.0-py3-none-any.whl"] == "MIT License"
    assert "adapters/closed_book/adapter_model.safetensors" in licences
    assert not [path for path in licences if path.startswith(("corpus/", "wheels/unneeded"))]
    for path in bundle.rglob("*"):
        if path.is_file() and path.suffix != ".whl":
            for place in (finished.folder, Path.home(), Path.cwd()):
                assert str(place).encode() not in path.read_bytes(), path


def test_what_has_no_licence_is_told(finished: Finished) -> None:
    created = finished.create("unlicensed.tar", data_licence="not stated")
    assert created.unlicensed == ("runs/small", "questions/questions.jsonl", "adapters/closed_book")


def test_the_sbom_is_valid_and_lists_every_package_model_and_data_set(bundle: Path) -> None:
    schemas = files("cyclonedx.schema._res")
    names = ("spdx.SNAPSHOT.schema.json", "jsf-0.82.SNAPSHOT.schema.json")
    beside = {
        f"http://cyclonedx.org/schema/{name}": json.loads(schemas.joinpath(name).read_text("utf-8")) for name in names
    }
    schema = json.loads(schemas.joinpath("bom-1.6.SNAPSHOT.schema.json").read_text(encoding="utf-8"))
    registry = jsonschema_rs.Registry(list(beside.items()), draft=jsonschema_rs.Draft7)
    validator = jsonschema_rs.validator_for(schema, registry=registry)
    sbom = json.loads((bundle / SBOM).read_text(encoding="utf-8"))
    assert not [error.message for error in validator.iter_errors(sbom)]
    assert [error.message for error in validator.iter_errors(sbom | {"components": [{"name": "x"}]})]
    listed = {component["name"]: component for component in sbom["components"]}
    wheels = {path.name.split("-")[0] for path in (bundle / "wheels").iterdir()}
    models = {path.name for path in (bundle / "models").iterdir()}
    data = {"adapter-closed_book", "questions.jsonl", "runs/small/collection"}
    assert set(listed) == wheels | models | data
    assert listed["tiny-random-llama"]["type"] == "machine-learning-model"
    assert listed["runs/small/collection"]["type"] == "data"
    assert all("licenses" in component for component in listed.values())
    needs = {one["ref"]: one.get("dependsOn", []) for one in sbom["dependencies"]}
    assert needs["wheel:workbench"] == ["wheel:needed"]


def test_questions_are_answered_from_it_as_they_were_before(
    finished: Finished, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Bench(finished.wanted.config, out=finished.wanted.run)
    answers = {arm: before.ask(QUESTION, arm=arm) for arm in ("rag", "lora")}
    shutil.copytree(bundle, tmp_path / "release")
    monkeypatch.chdir(tmp_path / "release")
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "release"))
    upkeep.import_(Path("runs/small/collection.zip"), Path("runs/small/collection"))
    shutil.rmtree(tmp_path / "release/wheels")
    after = Bench(load_config(Path("configs/small.yaml")))
    for arm, answer in answers.items():
        again = after.ask(QUESTION, arm=arm)
        assert again.generation.text == answer.generation.text
        assert again.prompt == answer.prompt
    with Library.open(Path("runs/small/collection")) as library:
        found = [hit.chunk for hit in library.search(QUESTION, k=2).ranking]
    assert found == [hit.chunk for hit in answers["rag"].prompt.hits]


def test_what_cannot_end_well_is_refused_before_the_long_work(finished: Finished, bundle: Path) -> None:
    with pytest.raises(FileExistsError, match="nothing is overwritten"):
        finished.create(bundle.name, run=Path("none"))
    with pytest.raises(BundleError, match="holds no private key"):
        create_bundle(
            replace(finished.wanted, run=Path("none")),
            finished.folder / "new.tar",
            target=this_machine(),
            torch="cpu",
            key=bundle / "configs/small.yaml",
        )


def test_documents_come_along_when_asked_for(finished: Finished, tmp_path: Path) -> None:
    gathered = gather_experiment(replace(finished.wanted, with_corpus=True, run=tmp_path / "none"), tmp_path)
    assert {item.path for item in gathered.items if item.path.startswith("corpus/")} >= {"corpus/arvo.md"}
    assert any("adapter closed_book is not trained" in note for note in gathered.notes)
    config = tmp_path / "small.yaml"
    config.write_bytes(next(item.source for item in gathered.items if item.path == "configs/small.yaml"))  # type: ignore[arg-type]
    assert load_config(config).corpus.path == Path("corpus")
    with pytest.raises(ConfigError, match="holds no collection"):
        gather_experiment(replace(finished.wanted, run=tmp_path / "none"), tmp_path)


def test_an_adapter_from_elsewhere_comes_along_and_one_that_no_arm_names_does_not(
    finished: Finished, tmp_path: Path
) -> None:
    there = finished.wanted.run / "train-closed_book/adapter"
    one = "{{examples: trained, folder: {0}}}"
    taken = f"training.adapters={{{{closed_book: {one}, other: {one}}}}}"
    experiment = finished.folder / "experiment.yaml"
    config = load_config(experiment, overrides=[ARMS, taken.format(there)])
    gathered = gather_experiment(replace(finished.wanted, config=config), tmp_path)
    assert "adapter other does not come along: no arm names it" in gathered.notes
    text = next(item.source for item in gathered.items if item.path == "configs/small.yaml")
    assert isinstance(text, bytes)
    assert b"folder: adapters/closed_book" in text
    assert str(finished.folder).encode() not in text
    config = load_config(experiment, overrides=[ARMS, taken.format(tmp_path)])
    (tmp_path / "again").mkdir()
    with pytest.raises(ConfigError, match="adapter closed_book is not trained in"):
        gather_experiment(replace(finished.wanted, config=config), tmp_path / "again")


def test_a_model_from_a_folder_comes_along_under_its_name(
    finished: Finished, built_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    for name in ("tiny-random-bert", "tiny-random-llama"):
        shutil.copytree(built_home / "models" / name, tmp_path / "home/models" / name)
    (tmp_path / "my-llama").mkdir()
    for path in (built_home / "models/tiny-random-llama").iterdir():
        if path.name != "workbench.json":
            shutil.copy(path, tmp_path / "my-llama")
    kept = add_folder(tmp_path / "my-llama", "kept")
    for reference, name in (("kept", "kept"), (str(tmp_path / "my-llama"), "my-llama")):
        models = finished.wanted.config.models.model_copy(update={"generator": reference})
        config = finished.wanted.config.model_copy(update={"models": models})
        staging = tmp_path / f"staging-{name}"
        staging.mkdir()
        gathered = gather_experiment(replace(finished.wanted, config=config), staging)
        texts = {item.path: item.source for item in gathered.items if isinstance(item.source, bytes)}
        stamp = json.loads(texts[f"models/{name}/workbench.json"])
        assert stamp["source"] == {"kind": "folder", "path": name}
        assert stamp["fingerprint"] == kept.fingerprint
        assert f"generator: {name}\n".encode() in texts["configs/small.yaml"]


def test_the_verbs_make_check_and_compare(finished: Finished, bundle: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke
    assert run(app, ["bundle", "keygen", str(tmp_path / "key")]).exit_code == 0
    experiment, settings = finished.folder / "experiment.yaml", [word for one in SHORT for word in ("--set", one)]
    common = ["bundle", "create", "--config", str(experiment), *settings, "--run", str(finished.wanted.run)]
    options = ["--wheels", str(finished.folder / "wheels"), "--sign", str(tmp_path / "key")]
    made = run(app, [*common, *options, "--out", str(tmp_path / "b.tar")])
    assert made.exit_code == 0, made.output
    assert "NO LICENCE STATED: questions/questions.jsonl" in made.output
    found = run(app, ["bundle", "verify", str(tmp_path / "b.tar"), "--key", str(tmp_path / "key.pub")])
    assert found.exit_code == 0
    assert "signed by key" in found.output
    assert run(app, ["bundle", "verify", str(tmp_path / "b.tar")]).exit_code == 1
    assert "NOT CHECKED" in run(app, ["bundle", "verify", str(bundle), "--unsigned"]).output
    diff = run(app, ["bundle", "diff", str(bundle / MANIFEST), str(tmp_path / "b.tar")])
    assert "licence of questions/questions.jsonl: CC0-1.0 -> not stated" in diff.output
    n_files = sum(path.is_file() for path in bundle.rglob("*"))
    assert diff.output.splitlines()[-2].startswith("~ sbom.cdx.json")
    assert diff.output.splitlines()[-1] == f"{n_files - 2} files are the same"  # nor is the manifest one of them
