"""A merged adapter answers as base and adapter did apart, or nothing is written."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from tests.tiny import load_tiny, make_prompts, train_tiny
from workbench.errors import MergeError
from workbench.models import find_model
from workbench.models import merging as merging_module
from workbench.models.adapters import adapter_active, attach_adapter, detach_adapters, read_adapter
from workbench.models.merging import compare_logits, compare_merged, is_quantised, read_logits, write_merged
from workbench.types import Adapter

pytestmark = pytest.mark.usefixtures("tiny_home")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, built_home: Path) -> Path:
    """An adapter that acts on the whole prompt and does something."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(built_home))
        return train_tiny(tmp_path_factory.mktemp("a"), epochs=4, learning_rate=2e-3, dropout=0.0, acts_from="prompt")


def read(folder: Path) -> Adapter:
    return read_adapter(folder, name="plain", base_fingerprint="base", template_hash=load_tiny()[1].template_hash)


def probes() -> list[tuple[int, ...]]:
    return [(*prompt.prefix_ids, *prompt.suffix_ids) for prompt in make_prompts(load_tiny()[1])]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_merging_in_place_changes_no_answer_and_leaves_the_base_bit_for_bit(plain: Path, dtype: torch.dtype) -> None:
    model: Any = load_tiny()[0].to(dtype)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    wrapped = attach_adapter(model, read(plain)).eval()
    check = compare_merged(wrapped, "plain", probes())
    assert check.equal, check
    assert check.dtype == str(dtype).removeprefix("torch.")
    assert check.n_positions == sum(map(len, probes()))
    with adapter_active(wrapped, "plain"):  # it is apart again, and does something
        loud = read_logits(wrapped, probes())
    bare = detach_adapters(wrapped)
    assert all(torch.equal(tensor, before[name]) for name, tensor in bare.state_dict().items())
    assert not compare_logits(read_logits(bare, probes()), loud).equal


def test_a_merged_folder_is_a_model_whose_logits_transformers_finds_equal(plain: Path, tmp_path: Path) -> None:
    base = find_model("tiny-random-llama")
    check = write_merged(read(plain), base, tmp_path / "m", dtype=torch.float32, probes=probes(), card="# merged\n")
    assert check.equal
    merged = find_model(str(tmp_path / "m"), kind="generator")
    assert merged.fingerprint != base.fingerprint
    assert {path.name for path in merged.folder.iterdir()} >= {"merged_from.json", "README.md", "model.safetensors"}
    assert load_file(merged.folder / "model.safetensors").keys() == load_file(base.folder / "model.safetensors").keys()
    foreign: Any = AutoModelForCausalLM.from_pretrained(merged.folder, dtype=torch.float32)
    wrapped = attach_adapter(load_tiny()[0], read(plain)).eval()
    with adapter_active(wrapped, "plain"):
        assert compare_logits(read_logits(wrapped, probes()), read_logits(foreign.eval(), probes())).equal


def test_a_model_that_would_answer_differently_is_not_written(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "old.txt").write_text("kept", encoding="utf-8")
    honest = merging_module.read_logits

    def damaged(model: Any, ids: Sequence[Sequence[int]]) -> list[torch.Tensor]:
        logits = honest(model, ids)
        return logits if hasattr(model, "peft_config") else [row.roll(1, dims=-1) for row in logits]

    monkeypatch.setattr(merging_module, "read_logits", damaged)
    with pytest.raises(MergeError, match=r"would answer differently: largest difference .* nothing was written"):
        write_merged(
            read(plain), find_model("tiny-random-llama"), tmp_path / "m", dtype=torch.float32, probes=probes(), card=""
        )
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
    assert (tmp_path / "m" / "old.txt").read_text(encoding="utf-8") == "kept"


def test_an_adapter_that_acts_from_the_question_on_is_refused(plain: Path, tmp_path: Path) -> None:
    reader = replace(read(plain), acts_from="question")
    with pytest.raises(MergeError, match=r"acts from the question on.*training\.acts_from=prompt"):
        write_merged(
            reader, find_model("tiny-random-llama"), tmp_path / "m", dtype=torch.float32, probes=probes(), card=""
        )
    assert not (tmp_path / "m").exists()


def test_logits_are_compared_by_their_spread_and_their_best_token() -> None:
    logits = torch.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]])  # standard deviation sqrt(4 / 5)
    check = compare_logits([logits], [logits + torch.tensor([[0.0, 0.0, 0.0], [0.0, 1.5, 0.0]])])
    assert check.difference == pytest.approx(1.5 / (4 / 5) ** 0.5)
    assert (check.agreement, check.n_positions, check.equal) == (0.5, 2, False)
    assert compare_logits([logits], [logits]).equal
    with pytest.raises(MergeError, match="not finite"):
        compare_logits([logits], [logits / 0])


def test_a_quantised_base_is_told_apart(plain: Path) -> None:
    wrapped = attach_adapter(load_tiny()[0], read(plain))
    assert not is_quantised(wrapped)
    layer = wrapped.base_model.model.model.layers[0].mlp.up_proj.base_layer
    layer.weight = torch.nn.Parameter(layer.weight.detach().to(torch.int8), requires_grad=False)
    assert is_quantised(wrapped)
