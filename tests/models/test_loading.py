"""Loading generators, and the choice of device and number format."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from workbench.config import ModelsConfig
from workbench.errors import ConfigError, MissingModelError, ModelIntegrityError
from workbench.models import choose_device_and_dtype, find_model, load_generator


def test_a_generator_comes_in_the_dtype_asked_for_and_silently(
    tiny_home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model, tokenizer = load_generator(find_model("tiny-random-llama"), device="cpu", dtype=torch.bfloat16)
    assert model.dtype == torch.bfloat16
    assert not model.training
    assert tokenizer.eos_token_id == 2
    assert capfd.readouterr() == ("", "")


def test_a_missing_weight_is_an_error_not_a_random_number(tiny_home: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(find_model("tiny-random-llama").folder, tmp_path / "holed")
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelIntegrityError, match=r"weights are missing: .*layers\.1\.mlp\.up_proj"):
        load_generator(find_model(str(folder)), device="cpu", dtype=torch.float32)


def test_a_folder_transformers_cannot_read_is_a_typed_error(tiny_home: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(find_model("tiny-random-llama").folder, tmp_path / "alien")
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config.replace('"model_type": "llama"', '"model_type": "alien"'))
    with pytest.raises(ModelIntegrityError, match="not loadable"):
        load_generator(find_model(str(folder)), device="cpu", dtype=torch.float32)


def test_an_embedder_is_no_generator(tiny_home: Path) -> None:
    with pytest.raises(MissingModelError, match="kind embedder"):
        load_generator(find_model("tiny-random-bert"), device="cpu", dtype=torch.float32)


def test_what_is_asked_for_is_what_one_gets() -> None:
    assert choose_device_and_dtype(ModelsConfig(device="cpu", dtype="float32")) == ("cpu", torch.float32)
    assert choose_device_and_dtype(ModelsConfig(device="cpu", dtype="bfloat16")) == ("cpu", torch.bfloat16)


@pytest.mark.parametrize(("native", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_takes_bfloat16_where_the_cpu_has_it(
    monkeypatch: pytest.MonkeyPatch, native: bool, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native)
    assert choose_device_and_dtype(ModelsConfig(device="cpu")) == ("cpu", dtype)


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"sees no GPU here; take: --set models\.device=auto"):
        choose_device_and_dtype(ModelsConfig(device="cuda"))
    assert choose_device_and_dtype(ModelsConfig())[0] == "cpu"


def test_listing_models_imports_no_torch() -> None:
    code = "import sys, workbench.models as m; m.list_models(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_four_bits_need_a_gpu(tiny_home: Path) -> None:
    with pytest.raises(ConfigError, match=r"'nf4', which needs a GPU, but the generator runs on 'cpu'"):
        load_generator(find_model("tiny-random-llama"), device="cpu", dtype=torch.float32, quantize="nf4")


@pytest.mark.gpu
def test_an_adapter_over_four_bits_learns(tiny_home: Path, tmp_path: Path) -> None:
    from tests.tiny import load_tiny, make_job
    from workbench.training import train_adapter

    pytest.importorskip("bitsandbytes")
    files = find_model("tiny-random-llama")
    model, _ = load_generator(files, device="cuda", dtype=torch.bfloat16, quantize="nf4")
    job = make_job(load_tiny()[1], epochs=20, learning_rate=2e-3, dropout=0.0)
    progress = train_adapter(job, model, tmp_path, pad_id=0)
    assert progress.held_out[-1]["loss"] < 0.95 * progress.held_out[0]["loss"]
