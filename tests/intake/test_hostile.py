"""The gate against everything in `hostile.py`: nothing executes, all refusals are typed, even under `python -O`."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from tests.intake.hostile import ADAPTERS, MODELS, Canary
from tests.intake.hostile_archives import COLLECTIONS, GGUFS, HONEST_GGUF
from tests.intake.hostile_tokenizers import TOKENIZERS
from tests.intake.sweep import Lair, make_adapter
from workbench.errors import ModelIntegrityError
from workbench.intake import admit_adapter, admit_collection, admit_model, check_gguf
from workbench.intake.archive import DATABASE
from workbench.knowledge.portability import import_collection
from workbench.models import find_model
from workbench.models.adapters import attach_adapter
from workbench.types import Adapter

N_FIXTURES = len(MODELS) + len(TOKENIZERS) + len(ADAPTERS) + len(COLLECTIONS) + len(GGUFS)


@pytest.fixture(scope="module")
def lair(tmp_path_factory: pytest.TempPathFactory) -> Lair:
    # No model: whatever reads the folder before the gate has judged it fails in another way.
    return Lair(
        tmp_path_factory.mktemp("lair"),
        lambda folder: attach_adapter(None, Adapter("mine", folder, "base", "template", 4, 8, "prompt", "rows")),
    )


def test_honest_ones_pass_with_a_hash_of_every_file(tiny_home: Path, lair: Lair, tmp_path: Path) -> None:
    for name in ("tiny-random-bert", "tiny-random-llama"):
        model = find_model(name)
        admitted = admit_model(model.folder)
        assert admitted.fingerprint == model.fingerprint
        assert all(len(one) == 64 for one in admitted.files.values())
    adapter = admit_adapter(make_adapter(tmp_path / "adapter"))
    assert list(adapter.files) == ["adapter_config.json", "adapter_model.safetensors", "workbench.json"]
    collection = admit_collection(lair.archive)
    assert collection.files == {DATABASE: collection.manifest.sha256}
    assert import_collection(lair.archive, tmp_path / "c") == collection.manifest
    (tmp_path / "x.gguf").write_bytes(HONEST_GGUF)
    check_gguf(tmp_path / "x.gguf")


def test_the_canary_sings_when_code_runs(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Canary(tmp_path / "canary")))
    assert (tmp_path / "canary").exists()


def test_every_fixture_is_refused_in_a_typed_way_and_none_executes(tiny_home: Path, lair: Lair) -> None:
    outcomes = {name: lair.try_out(use) for name, use in lair.fixtures()}
    assert len(outcomes) == N_FIXTURES > 280
    assert {name: outcome for name, outcome in outcomes.items() if outcome != "refused"} == {}


def test_without_assertions_the_gate_holds_as_well(tiny_home: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-O", "-m", "tests.intake.sweep", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ.copy())
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == {"optimised": True, "refused": N_FIXTURES, "not refused": {}}


def test_where_an_adapter_says_it_was_trained_is_a_label_only(tmp_path: Path) -> None:
    folder = make_adapter(tmp_path / "adapter")
    config = json.loads((folder / "adapter_config.json").read_text())
    for label in (None, "someone/model", "/home/someone/models/base"):
        (folder / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": label}))
        assert admit_adapter(folder).kind == "adapter"


@pytest.mark.parametrize(
    "text",
    [
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m['content'] | trim }}{% endfor %}",
        "{% set ns = namespace(found=false) %}{% for i in range(messages | length) %}{{ i }}{% endfor %}",
        "{% generation %}{{ messages[0].content }}{% endgeneration %}",
        "{% macro show(x) %}{% if x is mapping %}{% for k in x %}{{ show(x[k]) }}{% endfor %}{% endif %}{% endmacro %}",
        "{% if messages[0].role != 'user' %}{{ raise_exception('user first') }}{% endif %}",
        "{{ strftime_now('%d %b %Y') }}{% for m in messages %}{% if loop.last %}{% break %}{% endif %}{% endfor %}",
        "{{ '-' * 40 }}{{ tools | tojson(indent=4) }}",
    ],
)
def test_templates_that_models_really_have_pass(tmp_path: Path, text: str) -> None:
    (tmp_path / "chat_template.jinja").write_text(text)
    assert "chat_template.jinja" in admit_model(tmp_path).files


def test_a_refusal_names_the_file_and_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_text("a\n{{ ''.__class__ }}")
    with pytest.raises(ModelIntegrityError, match=r"chat_template\.jinja: its chat template line 2: .*'__class__'"):
        admit_model(tmp_path)
