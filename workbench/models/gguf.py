"""GGUF to a safetensors folder, once: the weights dequantised to bfloat16, the tokenizer rebuilt as it was trained.

Not a loader: the gate walks the file's header before the library maps it. Only Llama models with a SmolLM tokenizer
are known; any other is refused, not guessed.
Why not `from_pretrained(gguf_file=...)`: what it returns differs between transformers versions (packed or dequantised
weights), and its tokenizer forgets that SmolLM cuts digits off first, so "\\n\\n1" gives other tokens than in training.
Sources: convert_hf_to_gguf.py of llama.cpp (tensor names, permuted q and k);
tokenizer.json of HuggingFaceTB/SmolLM2-135M-Instruct.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import ModelIntegrityError
from workbench.intake import check_gguf
from workbench.models.byte_bpe import build_byte_bpe, write_chat_tokenizer
from workbench.types import Float32

if TYPE_CHECKING:
    import torch

OUTER_NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
}
LAYER_NAMES = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}
CONTROL_TOKEN = 3  # tokenizer.ggml.token_type


def convert_gguf(path: Path, folder: Path) -> None:
    """Write config, weights, tokenizer and generation defaults of the GGUF file at `path` into `folder`.

    Deterministic: the same file gives the same bytes in `model.safetensors`.

    Raises:
        ModelIntegrityError: the file lies about its sizes, or the architecture or the tokenizer is not one this
            converter knows.
    """
    check_gguf(path)
    import gguf

    reader = gguf.GGUFReader(path)
    fields = {name: field.contents() for name, field in reader.fields.items() if field.types}
    for key, known in (("general.architecture", "llama"), ("tokenizer.ggml.pre", "smollm")):
        if fields.get(key) != known:
            raise ModelIntegrityError(f"{path.name}: {key} is {fields.get(key)!r}, only {known!r} can be converted")
    config = _llama_config(fields, tied="output.weight" not in {tensor.name for tensor in reader.tensors})
    _write_weights(reader.tensors, config, folder)
    _write_json(folder / "config.json", config)
    token_ids = {name: config[name] for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    _write_json(folder / "generation_config.json", token_ids)
    _write_tokenizer(fields, folder)


def _llama_config(fields: dict[str, Any], *, tied: bool) -> dict[str, Any]:
    heads, width = fields["llama.attention.head_count"], fields["llama.embedding_length"]
    theta = fields["llama.rope.freq_base"]
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "bfloat16",
        "vocab_size": len(fields["tokenizer.ggml.tokens"]),
        "hidden_size": width,
        "head_dim": width // heads,
        "intermediate_size": fields["llama.feed_forward_length"],
        "num_hidden_layers": fields["llama.block_count"],
        "num_attention_heads": heads,
        "num_key_value_heads": fields["llama.attention.head_count_kv"],
        "max_position_embeddings": fields["llama.context_length"],
        # GGUF keeps float32; the shortest decimal of that float32 is the value the model was trained with.
        "rms_norm_eps": float(str(np.float32(fields["llama.attention.layer_norm_rms_epsilon"]))),
        "rope_parameters": {"rope_type": "default", "rope_theta": theta},
        "hidden_act": "silu",
        "tie_word_embeddings": tied,
        "bos_token_id": fields["tokenizer.ggml.bos_token_id"],
        "eos_token_id": fields["tokenizer.ggml.eos_token_id"],
        "pad_token_id": fields["tokenizer.ggml.padding_token_id"],
    }


def _write_weights(tensors: list[Any], config: dict[str, Any], folder: Path) -> None:
    import torch
    from gguf.quants import dequantize
    from safetensors.torch import save_file

    weights: dict[str, torch.Tensor] = {}
    for tensor in tensors:
        values = np.array(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)
        name = _parameter_name(tensor.name)
        if "q_proj" in name:
            values = unpermute_rotary(values, config["num_attention_heads"])
        elif "k_proj" in name:
            values = unpermute_rotary(values, config["num_key_value_heads"])
        weights[name] = torch.from_numpy(values).to(torch.bfloat16)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def _parameter_name(name: str) -> str:
    """Return what Transformers calls a tensor: `blk.3.attn_q.weight` → `model.layers.3.self_attn.q_proj.weight`."""
    try:
        match name.split("."):
            case ["blk", layer, part, "weight"]:
                return f"model.layers.{int(layer)}.{LAYER_NAMES[part]}.weight"
            case [part, "weight"]:
                return f"{OUTER_NAMES[part]}.weight"
    except KeyError:
        pass
    raise ModelIntegrityError(f"tensor {name!r} has no counterpart in LlamaForCausalLM")


def unpermute_rotary(weight: Float32, n_heads: int) -> Float32:
    """Undo llama.cpp's row order of a query or key projection.

    Args:
        weight: shape (H, W). llama.cpp pairs rotary rows (0, 1), (2, 3), …; Transformers (0, h/2), (1, h/2 + 1), …
        n_heads: heads among the H rows; h = H / n_heads rows each.
    Returns:
        The same rows in Transformers' order, shape (H, W).
    """
    rows, width = weight.shape
    pairs = weight.reshape(n_heads, rows // n_heads // 2, 2, width)  # (heads, pair, member, W)
    return np.ascontiguousarray(pairs.swapaxes(1, 2).reshape(rows, width))


def _write_tokenizer(fields: dict[str, Any], folder: Path) -> None:
    tokens, types = fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.token_type"]
    special = {
        role: tokens[fields[f"tokenizer.ggml.{key}_token_id"]]
        for role, key in (("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding"))
    }
    tokenizer = build_byte_bpe(
        vocabulary={token: number for number, token in enumerate(tokens)},
        merges=[tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"]],
        control_tokens=[token for token, kind in zip(tokens, types, strict=True) if kind == CONTROL_TOKEN],
    )
    write_chat_tokenizer(
        tokenizer,
        folder,
        special=special,
        chat_template=fields["tokenizer.chat_template"],
        max_tokens=fields["llama.context_length"],
    )


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
