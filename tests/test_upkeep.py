"""The verbs that keep a collection sound, as a person types them."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner, Result

from workbench import upkeep
from workbench.cli import app
from workbench.errors import DamagedCollectionError, StaleIndexError, WorkbenchError
from workbench.library import Library
from workbench.models import add_folder, find_model

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


def test_what_cannot_be_opened_is_repaired_with_the_embedder_it_was_made_with(kb: Path) -> None:
    """With `auto`, the backend comes from the collection's stamp, though the collection does not open."""
    before = workbench("search", kb, "what stops the engine").stdout
    with sqlite3.connect(kb / "collection.sqlite") as connection:
        connection.execute("UPDATE chunks SET digest = zeroblob(32)")
    connection.close()
    assert isinstance(workbench("search", kb, "engine").exception, DamagedCollectionError)
    repaired = workbench("repair", kb)
    assert repaired.exit_code == 0, repaired.exception
    assert workbench("search", kb, "what stops the engine").stdout == before


def test_a_database_that_is_none_is_made_again_from_the_files(kb: Path, tmp_path: Path) -> None:
    before = workbench("search", kb, "what stops the engine").stdout
    (kb / "collection.sqlite").write_bytes(b"none" * 2_000)
    assert "--drop-damaged" in str(workbench("repair", kb).exception)
    assert workbench("repair", kb, "--drop-damaged").exit_code == 0
    assert workbench("sync", kb, tmp_path / "documents").exit_code == 0
    assert workbench("search", kb, "what stops the engine").stdout == before


def test_an_export_travels_with_its_settings(kb: Path, tmp_path: Path) -> None:
    assert "3 documents" in workbench("export", kb, tmp_path / "kb.zip").stdout
    assert workbench("import", tmp_path / "kb.zip", tmp_path / "copy").exit_code == 0
    assert (tmp_path / "copy/library.yaml").read_text() == (kb / "library.yaml").read_text()
    found = [workbench("search", place, "what stops the engine").stdout for place in (kb, tmp_path / "copy")]
    assert found[0] == found[1] != ""
    with pytest.raises(FileExistsError, match="copy exists"):
        raise workbench("import", tmp_path / "kb.zip", tmp_path / "copy").exception or AssertionError


@pytest.fixture
def other_bert(tiny_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Another embedder beside the first: the same shape, its word vectors turned around."""
    home = shutil.copytree(tiny_home, tmp_path / "home")
    monkeypatch.setenv("WORKBENCH_HOME", str(home))
    folder = shutil.copytree(find_model("tiny-random-bert", kind="embedder").folder, tmp_path / "model")
    path = folder / "model.safetensors"
    weights = load_file(path)
    name = next(name for name in weights if name.endswith("word_embeddings.weight"))
    save_file(weights | {name: weights[name].flip(0).contiguous()}, path, metadata={"format": "pt"})
    add_folder(folder, "other-bert")
    return "other-bert"


def hits(library: Library) -> list[tuple[str, float]]:
    return [(hit.chunk.id, hit.score) for hit in library.search("what stops the engine", k=3).ranking]


def test_a_change_of_embedder_goes_forth_and_back(other_bert: str, kb: Path) -> None:
    before = workbench("search", kb, "what stops the engine").stdout
    filled = workbench("reembed", kb, other_bert)
    assert filled.exit_code == 0, filled.output
    assert "overlap@10" in filled.stdout
    assert workbench("search", kb, "what stops the engine").stdout == before
    assert "searched with other-bert now" in workbench("reembed", kb, "--promote").stdout
    assert "embedder: other-bert" in workbench("status", kb).stdout
    assert Library.open(kb).config.models.embedder == "other-bert"
    assert workbench("reembed", kb, "--promote").exit_code == 0  # again after a kill: the same
    assert "searched with tiny-random-bert now" in workbench("reembed", kb, "--rollback").stdout
    assert workbench("search", kb, "what stops the engine").stdout == before
    assert "deleted the edition of other-bert" in workbench("reembed", kb, "--drop").stdout
    assert isinstance(workbench("reembed", kb, "--rollback").exception, WorkbenchError)
    assert workbench("verify", kb).exit_code == 0


def test_an_open_library_asks_the_edition_it_was_promoted_to(other_bert: str, kb: Path) -> None:
    dense = ["retrieval.method={kind: dense}"]
    with Library.open(kb, overrides=dense) as library:
        before = hits(library)
        upkeep.reembed(library, other_bert)
        assert hits(library) == before
        upkeep.promote(library)
        promoted = hits(library)
        upkeep.rollback(library)
        assert hits(library) == before
    assert promoted != before
    assert min(score for _, score in promoted) > -0.5
    with Library.open(kb, overrides=[*dense, "models.embedder=other-bert"]) as stranger, pytest.raises(StaleIndexError):
        hits(stranger)


def test_two_editions_travel_and_settings_changed_meanwhile_stay(other_bert: str, kb: Path, tmp_path: Path) -> None:
    assert workbench("reembed", kb, other_bert).exit_code == 0
    changed = workbench("sync", kb, tmp_path / "documents", "--set", "retrieval.passages=1")
    assert changed.exit_code == 0, changed.output
    assert workbench("export", kb, tmp_path / "kb.zip").exit_code == 0
    assert workbench("import", tmp_path / "kb.zip", tmp_path / "copy").exit_code == 0
    assert "searched with other-bert now" in workbench("reembed", tmp_path / "copy", "--promote").stdout
    config = Library.open(tmp_path / "copy").config
    assert (config.models.embedder, config.retrieval.passages) == ("other-bert", 1)
    assert workbench("search", tmp_path / "copy", "engine").exit_code == 0


def test_a_reembedding_that_makes_no_sense_is_refused(kb: Path) -> None:
    same = workbench("reembed", kb, "tiny-random-bert")
    assert "name another embedder" in str(same.exception)
    workbench("delete", kb, "**")
    assert "holds no documents" in str(workbench("reembed", kb, "tiny-random-bert").exception)


def test_an_interrupted_purge_is_finished_by_the_same_command(kb: Path) -> None:
    assert workbench("delete", kb, "secret.txt").exit_code == 0
    result = workbench("purge", kb, "secret.txt")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["unknown"] == ["secret.txt"]
    assert "not there" in result.stderr
    assert holds(kb, "xylograph") == []


def test_a_reembedding_wants_one_thing_at_a_time(kb: Path) -> None:
    assert workbench("reembed", kb).exit_code == 2
    assert workbench("reembed", kb, "--promote", "--drop").exit_code == 2
