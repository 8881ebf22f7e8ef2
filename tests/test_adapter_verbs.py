"""`workbench adapter`: what is listed, shown, merged and exported is what was trained, or a line says why not."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM
from typer.testing import CliRunner, Result

from tests.tiny import load_tiny, make_job, make_prompts
from workbench.adapter_shelf import find_converter
from workbench.cli import app
from workbench.errors import (
    AdapterMismatchError,
    ConfigError,
    ExportError,
    MergeError,
    MissingModelError,
)
from workbench.gates import GateReport, GateResult, Status
from workbench.gates.results import write_report
from workbench.models import add_folder, find_model
from workbench.models.adapters import adapter_active, attach_adapter, read_adapter
from workbench.models.merging import compare_logits, read_logits
from workbench.training import train_adapter

pytestmark = pytest.mark.usefixtures("tiny_home")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, built_home: Path) -> Path:
    """A folder of runs with a plain adapter, which failed a gate, and a reader, which was never checked."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(built_home))
        base = find_model("tiny-random-llama")
        for name, acts_from in (("plain", "prompt"), ("reader", "question")):
            model, tokenizer = load_tiny()
            job = make_job(tokenizer, acts_from=acts_from, epochs=3, learning_rate=2e-3)
            job = replace(job, name=name, base_fingerprint=base.fingerprint)
            train_adapter(job, model, folder / "r" / f"train-{name}", pad_id=0)
    failed = GateResult(name="stops", status=Status.FAIL, value=0.5, bound=0.9, says="Rambles.")
    write_report(folder / "r/train-plain/adapter", GateReport(adapter="plain", results=(failed,)))
    return folder


@pytest.fixture
def plain(runs: Path) -> Path:
    return runs / "r/train-plain/adapter"


@pytest.fixture
def reader(runs: Path) -> Path:
    return runs / "r/train-reader/adapter"


def verb(*words: object) -> Result:
    return CliRunner().invoke(app, ["adapter", *map(str, words)], catch_exceptions=False)


def test_list_shows_every_adapter_its_base_and_its_gates(runs: Path, plain: Path, reader: Path) -> None:
    lines = verb("list", runs).output.splitlines()
    assert lines == [
        f"{plain}  plain, rank 4, from the prompt on, base tiny-random-llama, gates: 1 failed",
        f"{reader}  reader, rank 4, from the question on, base tiny-random-llama, gates: not checked",
    ]


def test_list_tells_folders_that_are_no_adapters_of_ours(tmp_path: Path) -> None:
    for name, passport in (("foreign", None), ("damaged", "{"), (".half", "{")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "adapter_model.safetensors").write_bytes(b"")
        if passport is not None:
            (tmp_path / name / "workbench.json").write_text(passport, encoding="utf-8")
    damaged, foreign = verb("list", tmp_path).output.splitlines()
    assert "damaged/workbench.json is no adapter's passport" in damaged
    assert "foreign holds no trained adapter" in foreign
    (tmp_path / "empty").mkdir()
    assert "no adapters; make some: workbench train CONFIG" in verb("list", tmp_path / "empty").output
    with pytest.raises(MissingModelError, match="is no folder"):
        verb("list", tmp_path / "nowhere")


def test_show_gives_base_fingerprints_and_gates(plain: Path) -> None:
    shown = json.loads(verb("show", plain).output)
    assert (shown["base"], shown["mergeable"], shown["gates"][0]["status"]) == ("tiny-random-llama", True, "fail")
    assert shown["base_fingerprint"] == find_model("tiny-random-llama").fingerprint
    with pytest.raises(MissingModelError, match="holds no trained adapter"):
        verb("show", plain.parent)


def probes() -> list[tuple[int, ...]]:
    return [(*prompt.prefix_ids, *prompt.suffix_ids) for prompt in make_prompts(load_tiny()[1])]


def test_a_merged_folder_is_added_like_any_model_and_answers_as_base_and_adapter(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "merged"
    result = verb("merge", plain, "--out", out)
    assert result.output.startswith(f"{out}: largest difference of a logit")
    base = find_model("tiny-random-llama")
    model, tokenizer = load_tiny()
    adapter = read_adapter(
        plain, name="plain", base_fingerprint=base.fingerprint, template_hash=tokenizer.template_hash
    )
    model = attach_adapter(model, adapter).eval()
    texts = probes()
    with adapter_active(model, "plain"):
        apart = read_logits(model, texts)
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    added = add_folder(out, "mine")
    assert (added.kind, added.licence) == ("generator", "unknown")
    foreign = load_foreign(added.folder)
    assert compare_logits(apart, read_logits(foreign, texts)).equal
    assert not compare_logits(read_logits(load_foreign(base.folder), texts), apart).equal  # the adapter does something
    with pytest.raises(ConfigError, match=r"merged exists, and nothing is overwritten"):
        verb("merge", plain, "--out", out)


def load_foreign(folder: Path) -> Any:
    """As any program would load it."""
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model.eval()


def test_a_question_side_adapter_is_neither_merged_nor_exported(reader: Path, tmp_path: Path) -> None:
    for words in (("merge", reader, "--out", tmp_path / "m"), ("export", reader, "--to", "safetensors")):
        with pytest.raises(MergeError, match="not mergeable: acts from the question on"):
            verb(*words)
    converter = write_converter(tmp_path, "")
    with pytest.raises(MergeError, match="not mergeable"):
        verb("export", reader, "--to", "gguf", "--converter", converter, "--out", tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_another_base_is_refused_and_an_absent_one_named(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verb("merge", plain, "--out", tmp_path / "other")  # a generator with another fingerprint
    with pytest.raises(AdapterMismatchError, match=r"trained for base model .*, but .*other is .*--base"):
        verb("merge", plain, "--out", tmp_path / "m", "--base", tmp_path / "other")
    base = find_model("tiny-random-llama").folder
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    with pytest.raises(
        MissingModelError, match=r"its base model .* is not in `workbench models list`; .*--base FOLDER"
    ):
        verb("merge", plain, "--out", tmp_path / "m")
    verb("export", plain, "--to", "safetensors", "--out", tmp_path / "m", "--base", base)
    assert find_model(str(tmp_path / "m")).kind == "generator"


def write_converter(folder: Path, body: str) -> Path:
    """A stand-in for llama.cpp's converter with the same command line; it sees a whole model folder."""
    script = folder / "convert_hf_to_gguf.py"
    script.write_text(
        f"""import argparse, pathlib, sys
parser = argparse.ArgumentParser()
parser.add_argument("model", type=pathlib.Path)
parser.add_argument("--outfile", type=pathlib.Path)
parser.add_argument("--outtype", choices=["f32", "f16", "bf16"])
args = parser.parse_args()
for name in ("config.json", "model.safetensors", "tokenizer.json"):
    assert (args.model / name).exists(), name
{body}
""",
        encoding="utf-8",
    )
    return script


GOOD = 'args.outfile.write_bytes(b"GGUF" + args.outtype.encode() + args.model.name.encode())'


def test_gguf_is_written_by_the_converter_in_the_bases_format(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "llama.cpp").mkdir()
    write_converter(tmp_path / "llama.cpp", GOOD)
    monkeypatch.setenv("LLAMA_CPP", str(tmp_path / "llama.cpp"))
    assert verb("export", plain, "--to", "gguf").output.startswith("plain.gguf: largest difference")
    assert (tmp_path / "plain.gguf").read_bytes() == b"GGUFf32plain"
    assert {path.name for path in tmp_path.iterdir()} == {"llama.cpp", "plain.gguf"}
    with pytest.raises(ConfigError, match=r"plain\.gguf exists"):
        verb("export", plain, "--to", "gguf")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('sys.exit("Model LlamaForCausalLM is not supported")', r"ended with 1: Model LlamaForCausalLM is not supp"),
        ("sys.exit(3)", r"ended with 3: it said nothing"),
        ("", r"ended well, but wrote no GGUF file"),
        ('args.outfile.write_bytes(b"PK")', r"ended well, but wrote no GGUF file"),
    ],
)
def test_a_converter_that_fails_leaves_nothing(plain: Path, tmp_path: Path, body: str, message: str) -> None:
    converter = write_converter(tmp_path, body)
    with pytest.raises(ExportError, match=message):
        verb("export", plain, "--to", "gguf", "--converter", converter, "--out", tmp_path / "x.gguf")
    assert [path.name for path in tmp_path.iterdir()] == [converter.name]


def test_the_converter_is_the_one_named_else_in_llama_cpp_else_on_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LLAMA_CPP", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ExportError, match=r"is not on PATH; get a checkout of llama\.cpp .*--converter FILE"):
        find_converter(None)
    script = write_converter(tmp_path, GOOD)
    script.chmod(0o755)
    assert find_converter(None) == script
    monkeypatch.setenv("LLAMA_CPP", str(tmp_path / "nowhere"))
    with pytest.raises(ExportError, match=r"LLAMA_CPP=.*is no file; set it to a llama\.cpp checkout"):
        find_converter(None)
    assert find_converter(Path(sys.executable)) == Path(sys.executable)
    with pytest.raises(ExportError, match=r"--converter .*absent is no file"):
        find_converter(tmp_path / "absent")


def test_the_readme_names_verbs_that_are_there() -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    lines = re.findall(r"^workbench adapter (\w+)", readme, flags=re.MULTILINE)
    assert lines == ["list", "show", "merge", "export"]
    assert all(verb(name, "--help").exit_code == 0 for name in lines)
