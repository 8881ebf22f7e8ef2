"""Hostile and honest folders at the gate."""

import json
from pathlib import Path

import pytest

from tests.intake.hostile_tokenizers import HONEST
from workbench.errors import ModelIntegrityError
from workbench.intake import admit_model
from workbench.intake.templates import MAX_TEMPLATE_BYTES


def write_safetensors(path: Path, *, header: dict[str, object] | None = None, n_bytes: int = 8) -> None:
    head = json.dumps(
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}} if header is None else header
    ).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head + bytes(n_bytes))


def F32(n: int, start: int, stop: int) -> dict[str, object]:
    return {"dtype": "F32", "shape": [n], "data_offsets": [start, stop]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = tmp_path / "model"
    (model / "1_Pooling").mkdir(parents=True)
    (model / ".git").mkdir()
    write_safetensors(model / "model.safetensors")
    for name in ("config.json", "1_Pooling/config.json"):
        (model / name).write_text("{}")
    (model / "tokenizer.json").write_text(json.dumps(HONEST))
    for name in ("README.md", "LICENSE", ".gitattributes", ".git/hook.py"):
        (model / name).write_text("for people")
    return model


def test_an_honest_folder_lists_what_a_library_may_read(folder: Path) -> None:
    assert list(admit_model(folder).files) == [
        "1_Pooling/config.json",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "modeling_mine.py", "a.pt", "a.pkl", "sub/a.h5", "a.msgpack", "a.onnx", "a"]
)
def test_a_file_of_another_format_is_refused_by_name(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"x")
    with pytest.raises(ModelIntegrityError, match=name):
        list(admit_model(folder).files)


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("config.json", {"auto_map": {"AutoModel": "modeling_mine.Mine"}}, "auto_map"),
        ("config.json", {"text_config": [{"auto_map": {"AutoModel": "x"}}]}, "auto_map"),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["a.B", None]}}, "auto_map"),
        ("config.json", {"_attn_implementation_internal": "someone/kernel"}, "_attn_implementation_internal"),
        ("config.json", {"attn_implementation": "someone/kernel"}, "someone/kernel"),
        ("config.json", {"custom_pipelines": {"x": {"impl": "x.X"}}}, "custom_pipelines"),
        ("adapter_config.json", {"base_model_name_or_path": "/elsewhere"}, "load another model in its place"),
        ("2_Dense/config.json", {"activation_function": "os.system"}, "os.system"),
        ("modules.json", [{"idx": 0, "path": "", "type": "mine.Transformer"}], "mine.Transformer"),
        ("modules.json", [{"idx": 0, "path": "../x", "type": "sentence_transformers.models.Pooling"}], "leaves"),
        ("modules.json", {"type": "mine"}, "not a list"),
        ("router_config.json", {"types": {"query": "mine.Router"}}, "mine.Router"),
        ("tokenizer_config.json", {"chat_template": "x" * (MAX_TEMPLATE_BYTES + 1)}, "chat template"),
    ],
)
def test_a_setting_that_brings_code_is_refused(folder: Path, name: str, value: object, fault: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(value))
    with pytest.raises(ModelIntegrityError, match=fault):
        list(admit_model(folder).files)


def test_harmless_settings_pass(folder: Path) -> None:
    settings = {"auto_map": None, "attn_implementation": "sdpa", "_attn_implementation_autoset": True}
    (folder / "config.json").write_text(json.dumps(settings))
    (folder / "vocab.json").write_text(json.dumps({"auto_map": 17}))  # a token of this name is only a token
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "LlamaTokenizer"}))
    assert "vocab.json" in list(admit_model(folder).files)


@pytest.mark.parametrize("text", ["{", "[" * 100_000, b"\xff\xfe\x00".decode("latin-1")])
def test_broken_json_is_a_typed_refusal(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text, encoding="latin-1")
    with pytest.raises(ModelIntegrityError, match=r"config\.json"):
        list(admit_model(folder).files)


def test_a_link_out_of_the_folder_is_refused_and_one_inside_is_not(folder: Path, tmp_path: Path) -> None:
    (folder / "again.json").symlink_to(folder / "config.json")
    assert "again.json" in list(admit_model(folder).files)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    for name, target in (("secret.txt", outside / "secret.txt"), ("sub", outside)):
        (folder / name).symlink_to(target)
        with pytest.raises(ModelIntegrityError, match="link out of"):
            list(admit_model(folder).files)
        (folder / name).unlink()


@pytest.mark.parametrize("target", ["1_Pooling", ".git/config.json", ".hidden.json"])
def test_a_link_to_what_is_not_walked_is_refused(folder: Path, target: str) -> None:
    for name in (".git/config.json", ".hidden.json"):
        (folder / name).write_text("{}")
    (folder / "link.json").symlink_to(folder / target)
    with pytest.raises(ModelIntegrityError, match="not checked"):
        list(admit_model(folder).files)


@pytest.mark.parametrize(
    "value",
    [
        {"weight_map": {"a": "../other/model.safetensors"}},
        {"weight_map": {"a": "/tmp/model.safetensors"}},
        {"weight_map": {"a": "pytorch_model.bin"}},
        {"weight_map": {"a": "config.json"}},
        {"weight_map": {"a": ".git/model.safetensors"}},
        {"weight_map": {"a": "model-00002-of-00002.safetensors"}},
        {"weight_map": {"a": ["model.safetensors"]}},
        {"weight_map": ["model.safetensors"]},
        [],
    ],
)
def test_an_index_may_name_only_vetted_weights_beside_it(folder: Path, value: object) -> None:
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model.safetensors"}}))
    assert index.name in list(admit_model(folder).files)
    index.write_text(json.dumps(value))
    with pytest.raises(ModelIntegrityError, match=r"index\.json: .*weight_map"):
        list(admit_model(folder).files)


@pytest.mark.parametrize(
    ("header", "n_bytes", "fault"),
    [
        ({"a": F32(2, 0, 8)}, 7, "need 8 bytes, the file holds 7"),
        ({"a": F32(2, 0, 8)}, 9, "need 8 bytes, the file holds 9"),
        ({"a": F32(2, 0, 8), "b": F32(2, 4, 12)}, 12, "begins at byte 4"),
        ({"a": F32(2, 0, -8)}, 8, "no count"),
        ({"a": {"data_offsets": "x"}}, 8, "malformed"),
        ({"a": {}}, 8, "malformed"),
    ],
)
def test_a_lying_safetensors_header_is_refused(
    folder: Path, header: dict[str, object], n_bytes: int, fault: str
) -> None:
    write_safetensors(folder / "model.safetensors", header=header, n_bytes=n_bytes)
    with pytest.raises(ModelIntegrityError, match=fault):
        list(admit_model(folder).files)


@pytest.mark.parametrize("content", [b"", b"\x01", (2**62).to_bytes(8, "little") + b"{}", b"\x02" + bytes(7) + b"[]"])
def test_a_file_that_is_no_safetensors_is_refused(folder: Path, content: bytes) -> None:
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelIntegrityError, match=r"model\.safetensors"):
        list(admit_model(folder).files)
