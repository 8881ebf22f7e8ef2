"""The verbs that keep a collection sound, as a person types them."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from workbench.cli import app
from workbench.errors import WorkbenchError
from workbench.models import find_model

CANARY = "The xylograph of Quizzenburg hums at 440 hertz."


def workbench(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def kb(tmp_path: Path, tiny_home: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "secret.txt").write_text(CANARY)
    (folder / "crank.md").write_text("# Crank\n\nThe crank starts the engine.\n\n## Care\n\nOil it once a year.\n")
    (folder / "brake.md").write_text("# Brake\n\nThe brake stops the engine.\n")
    result = workbench("sync", tmp_path / "kb", folder, "--set", "models.embedder=tiny-random-bert")
    assert result.exit_code == 0, result.output
    return tmp_path / "kb"


def holds(folder: Path, text: str) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def test_a_purge_prints_a_receipt_and_no_byte_is_left(kb: Path) -> None:
    assert holds(kb, "xylograph")
    result = workbench("purge", kb, "secret.*")
    assert result.exit_code == 0, result.output
    receipt = json.loads(result.stdout)
    assert receipt["documents"] == ["secret.txt"]
    assert sum(receipt["n_canaries"].values()) > 5
    assert receipt["n_files"] >= 3
    assert holds(kb, "xylograph") == holds(kb, "secret") == []
    assert "crank.md" in workbench("search", kb, "engine").stdout


def test_verify_finds_a_flipped_bit_and_repair_mends_it(kb: Path) -> None:
    assert workbench("verify", kb).stdout.startswith("whole")
    path = next((kb / "segments").rglob("word_counts.npy"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    broken = workbench("verify", kb)
    assert broken.exit_code == 1
    assert "segment" in broken.stdout
    assert workbench("repair", kb).exit_code == 0
    assert workbench("verify", kb).exit_code == 0


def test_an_export_travels_with_its_settings(kb: Path, tmp_path: Path) -> None:
    assert "3 documents" in workbench("export", kb, tmp_path / "kb.zip").stdout
    assert workbench("import", tmp_path / "kb.zip", tmp_path / "copy").exit_code == 0
    assert (tmp_path / "copy/library.yaml").read_text() == (kb / "library.yaml").read_text()
    found = [workbench("search", place, "what stops the engine").stdout for place in (kb, tmp_path / "copy")]
    assert found[0] == found[1] != ""
    with pytest.raises(FileExistsError, match="copy exists"):
        raise workbench("import", tmp_path / "kb.zip", tmp_path / "copy").exception or AssertionError


def test_a_change_of_embedder_goes_forth_and_back(kb: Path, tmp_path: Path) -> None:
    other = shutil.copytree(find_model("tiny-random-bert", kind="embedder").folder, tmp_path / "other-bert")
    before = workbench("search", kb, "what stops the engine").stdout
    filled = workbench("reembed", kb, other)
    assert filled.exit_code == 0, filled.output
    assert "overlap@10: 1.000" in filled.stdout  # the same weights under another name
    assert workbench("search", kb, "what stops the engine").stdout == before
    assert "searched with other-bert now" in workbench("reembed", kb, "--promote").stdout
    assert "embedder: other-bert" in workbench("status", kb).stdout
    assert workbench("search", kb, "what stops the engine").stdout == before
    assert "searched with tiny-random-bert now" in workbench("reembed", kb, "--rollback").stdout
    assert "deleted the edition of other-bert" in workbench("reembed", kb, "--drop").stdout
    assert isinstance(workbench("reembed", kb, "--rollback").exception, WorkbenchError)
    assert workbench("verify", kb).exit_code == 0


def test_a_reembedding_wants_one_thing_at_a_time(kb: Path) -> None:
    assert workbench("reembed", kb).exit_code == 2
    assert workbench("reembed", kb, "--promote", "--drop").exit_code == 2
