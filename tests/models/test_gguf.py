"""The GGUF converter against Transformers: a random Llama is written as llama.cpp writes it and must come back."""

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from workbench.errors import ModelIntegrityError
from workbench.models import find_model, load_generator
from workbench.models.byte_bpe import build_byte_bpe
from workbench.models.gguf import LAYER_NAMES, convert_gguf, unpermute_rotary
from workbench.types import Float32


def permute_rotary(weight: Float32, n_heads: int) -> Float32:
    """`LlamaModel.permute` of llama.cpp's convert_hf_to_gguf.py, word for word."""
    rows, width = weight.shape
    return weight.reshape(n_heads, 2, rows // n_heads // 2, width).swapaxes(1, 2).reshape(weight.shape)


def write_gguf(path: Path, model: Any, tokenizer: Any, *, pre: str = "smollm") -> None:
    config = model.config
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    tokens = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    writer.add_token_list([*tokens[:-1], "Ġt"])
    writer.add_token_types([3 if token.startswith("<|") else 1 for token in tokens])
    writer.add_token_merges(["Ġ t"])
    for role in ("bos", "eos", "pad", "unk"):
        getattr(writer, f"add_{role}_token_id")(getattr(tokenizer, f"{role}_token_id"))
    writer.add_chat_template(tokenizer.chat_template)
    weights = {name: tensor.float().numpy() for name, tensor in model.state_dict().items()}
    writer.add_tensor("token_embd.weight", weights["model.embed_tokens.weight"])
    writer.add_tensor("output_norm.weight", weights["model.norm.weight"])
    for layer in range(config.num_hidden_layers):
        for short, long in LAYER_NAMES.items():
            values = weights[f"model.layers.{layer}.{long}.weight"]
            if short in ("attn_q", "attn_k"):
                heads = config.num_attention_heads if short == "attn_q" else config.num_key_value_heads
                values = np.ascontiguousarray(permute_rotary(values, heads))
            writer.add_tensor(f"blk.{layer}.{short}.weight", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture
def tiny(tiny_home: Path) -> tuple[Any, Any]:
    return load_generator(find_model("tiny-random-llama"), device="cpu", dtype=torch.bfloat16)


def test_a_converted_model_computes_what_the_original_did(tiny: tuple[Any, Any], tmp_path: Path) -> None:
    model, tokenizer = tiny
    write_gguf(tmp_path / "tiny.gguf", model, tokenizer)
    folder = tmp_path / "out"
    folder.mkdir()
    convert_gguf(tmp_path / "tiny.gguf", folder)
    again = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype=torch.bfloat16)
    again.train(False)
    ids = torch.tensor([tokenizer("A piano has 88 keys.")["input_ids"]])
    with torch.no_grad():
        assert torch.equal(model(ids).logits, again(ids).logits)
    assert again.config.rms_norm_eps == model.config.rms_norm_eps
    assert again.generation_config.eos_token_id == 2
    read = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    assert read.convert_ids_to_tokens(read("a to")["input_ids"]) == ["a", "Ġt", "o"]
    assert read.chat_template == tokenizer.chat_template


def test_unpermuting_undoes_llama_cpp() -> None:
    weight = np.random.default_rng(0).standard_normal((24, 5)).astype(np.float32)
    assert np.array_equal(unpermute_rotary(permute_rotary(weight, 3), 3), weight)


def test_another_tokenizer_is_refused_not_guessed(tiny: tuple[Any, Any], tmp_path: Path) -> None:
    write_gguf(tmp_path / "tiny.gguf", *tiny, pre="llama-bpe")
    with pytest.raises(ModelIntegrityError, match=r"tokenizer\.ggml\.pre is 'llama-bpe', only 'smollm'"):
        convert_gguf(tmp_path / "tiny.gguf", tmp_path)


def test_digits_are_cut_off_before_spaces_are_grouped() -> None:
    tokens = ["a", "Ġ", "1", "2", "Ċ", "ĠĠ", "ĊĊ", "12", "Ġ1"]
    tokenizer = build_byte_bpe(
        vocabulary={token: number for number, token in enumerate(tokens)},
        merges=[("Ġ", "Ġ"), ("Ċ", "Ċ"), ("1", "2"), ("Ġ", "1")],
        control_tokens=[],
    )
    assert tokenizer.encode("a  12").tokens == ["a", "ĠĠ", "1", "2"]
    assert tokenizer.encode("\n\n1").tokens == ["ĊĊ", "1"]
    assert tokenizer.decode(tokenizer.encode("a  12").ids) == "a  12"
