"""OpenVINO under the embedder: the same numbers, a conversion that is checked, and not a word to anybody."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workbench.errors import ConfigError, ModelIntegrityError
from workbench.models import SentenceEmbedder, find_model, openvino_encoder
from workbench.models.store import InstalledModel

pytest.importorskip("openvino")

TEXTS = ("The printer shows error E42.", "bananas are yellow fruit", "a " * 100)


@pytest.fixture
def tiny(tiny_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InstalledModel:
    """The random BERT, in a home without conversions."""
    installed = find_model("tiny-random-bert")
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    return installed


def test_the_vectors_are_near_those_of_torch_and_are_stamped_apart(tiny: InstalledModel) -> None:
    ours, reference = (SentenceEmbedder(tiny, backend=backend) for backend in ("openvino", "torch"))
    near = 1e-6 if ours.identity.backend == "openvino-float32" else 1e-2
    assert np.allclose(ours.embed_documents(TEXTS), reference.embed_documents(TEXTS), atol=near)
    assert reference.identity.backend == "torch-float32" != ours.identity.backend


def test_auto_takes_openvino_on_a_cpu_where_it_is_installed(
    tiny: InstalledModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert SentenceEmbedder(tiny, backend="auto").identity.backend.startswith("openvino-")
    monkeypatch.setattr(openvino_encoder, "has_openvino", lambda: False)
    assert SentenceEmbedder(tiny, backend="auto").identity.backend == "torch-float32"


def test_asked_for_and_not_installed_is_an_error_with_the_command(
    tiny: InstalledModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_encoder, "has_openvino", lambda: False)
    with pytest.raises(ConfigError, match=r"pip install 'workbench\[cpu\]'"):
        SentenceEmbedder(tiny, backend="openvino")


@pytest.mark.parametrize("name", ["model.xml", "model.bin", "hashes.json"])
def test_a_damaged_conversion_is_made_again_never_used(tiny: InstalledModel, tmp_path: Path, name: str) -> None:
    rows = SentenceEmbedder(tiny, backend="openvino").embed_documents(TEXTS)
    (folder,) = (tmp_path / "openvino").iterdir()
    damaged = bytearray((folder / name).read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (folder / name).write_bytes(damaged)
    assert np.array_equal(SentenceEmbedder(tiny, backend="openvino").embed_documents(TEXTS), rows)
    assert (folder / name).read_bytes() != bytes(damaged)
    assert openvino_encoder._is_whole(folder)


def test_a_whole_conversion_is_kept(tiny: InstalledModel, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = SentenceEmbedder(tiny, backend="openvino").embed_documents(TEXTS)

    def refuse(*_: Any) -> None:
        raise AssertionError("converted again")

    monkeypatch.setattr(openvino_encoder, "_trace", refuse)
    assert np.array_equal(SentenceEmbedder(tiny, backend="openvino").embed_documents(TEXTS), rows)


def test_a_conversion_that_computes_something_else_is_refused(
    tiny: InstalledModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = openvino_encoder._trace

    def alter(model: Any, names: tuple[str, ...]) -> Any:
        layer = model.encoder.layer[1].output.dense
        kept = layer.weight.data.clone()
        layer.weight.data = -kept
        converted = trace(model, names)
        layer.weight.data = kept  # what torch computes afterwards is not what was converted
        return converted

    monkeypatch.setattr(openvino_encoder, "_trace", alter)
    with pytest.raises(ModelIntegrityError, match=r"numbers differ .* --set models\.embedder_backend=torch"):
        SentenceEmbedder(tiny, backend="openvino")
    assert not (tmp_path / "openvino").exists()


INTERRUPTED_SYNC = """
import gc, signal
from workbench.cli import main
from workbench.models import SentenceEmbedder, openvino_encoder, find_model

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell started the tests in the background
first, second = (SentenceEmbedder(find_model("tiny-random-bert"), backend="openvino") for _ in range(2))
del first  # the older before the younger, as a reembed lets them go
gc.collect()
del second
gc.collect()

def interrupt(*_):
    signal.raise_signal(signal.SIGINT)  # its handler has run when this returns

try:
    interrupt()
except KeyboardInterrupt:
    openvino_encoder._infer = interrupt
    main()
"""


def test_ctrl_c_while_openvino_embeds_ends_with_130_whatever_came_and_went(tiny_home: Path, tmp_path: Path) -> None:
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents/crank.md").write_text("The crank starts the engine.")
    knobs = ("models.embedder=tiny-random-bert", "models.embedder_backend=openvino")
    arguments = ["sync", str(tmp_path / "kb"), str(tmp_path / "documents"), "--set", knobs[0], "--set", knobs[1]]
    command = [sys.executable, "-c", INTERRUPTED_SYNC, *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 130, ended.stderr[-500:]  # -11 is what a Core for each embedder ended with
    assert "interrupted; the same command goes on" in ended.stderr


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import openvino", True),  # the control: left alone, the import does report
        ("from workbench.models.openvino_encoder import import_openvino; import_openvino()", False),
    ],
)
def test_importing_openvino_tells_nobody(tmp_path: Path, code: str, told: bool) -> None:
    package = tmp_path / "openvino_telemetry"
    (package / "backend").mkdir(parents=True)
    (package / "__init__.py").write_text(
        f"open({str(tmp_path / 'told')!r}, 'w').close()\n"
        "class Telemetry:\n    def __init__(self, *a, **k): pass\n    def send_event(self, *a, **k): pass\n"
    )
    (package / "backend/__init__.py").write_text("from . import backend_ga4\n")
    (package / "backend/backend_ga4.py").write_text("")
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{Path(__file__).parents[2]}"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=60)
    assert (tmp_path / "told").exists() is told


def test_an_openvino_that_came_with_its_telemetry_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    openvino_encoder.import_openvino()
    monkeypatch.setitem(sys.modules, "openvino_telemetry", sys)
    with pytest.raises(ConfigError, match="pip uninstall openvino-telemetry"):
        openvino_encoder.import_openvino()
