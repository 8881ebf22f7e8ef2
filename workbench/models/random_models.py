"""Two tiny models with random weights, made in a moment: a Llama that chats in bytes and a BERT that embeds.

They know nothing; they make the whole flow run in seconds with the very classes the real models use.
"""

from __future__ import annotations

import itertools
import json
import string
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from workbench.models.byte_bpe import build_byte_bpe, write_chat_tokenizer
from workbench.models.catalogue import RandomSource
from workbench.models.loading import hide_progress_bars

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedModel

CONTROL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA_CONTEXT_TOKENS = 4096
BERT_MAX_TOKENS = 128


def build_random_model(source: RandomSource, folder: Path) -> None:
    """Write the model `source` describes into `folder`. The same seed and libraries give the same weights."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(source.seed)
        match source.architecture:
            case "llama":
                _build_llama(folder)
            case "bert":
                _build_bert(folder)
            case _:
                assert_never(source.architecture)


def _build_llama(folder: Path) -> None:
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import LlamaConfig, LlamaForCausalLM

    alphabet = [*CONTROL_TOKENS, *sorted(ByteLevel.alphabet())]
    tokenizer = build_byte_bpe(
        vocabulary={token: number for number, token in enumerate(alphabet)}, merges=[], control_tokens=CONTROL_TOKENS
    )
    special = {"bos": "<|im_start|>", "eos": "<|im_end|>", "pad": "<|endoftext|>", "unk": "<|endoftext|>"}
    write_chat_tokenizer(
        tokenizer, folder, special=special, chat_template=CHAT_TEMPLATE, max_tokens=LLAMA_CONTEXT_TOKENS
    )
    config = LlamaConfig(
        vocab_size=len(alphabet),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=LLAMA_CONTEXT_TOKENS,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    _save(LlamaForCausalLM(config), folder)


def _build_bert(folder: Path) -> None:
    from transformers import BertConfig, BertModel

    tokenizer = _letter_pair_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=BERT_MAX_TOKENS,
    )
    _save(BertModel(config), folder)
    settings: dict[str, object] = {
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": BERT_MAX_TOKENS,
            "pad_token": "[PAD]",
            "unk_token": "[UNK]",
            "cls_token": "[CLS]",
            "sep_token": "[SEP]",
        },
        "sentence_bert_config.json": {"max_seq_length": BERT_MAX_TOKENS, "do_lower_case": False},
        "modules.json": [
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
            {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
        ],
        "1_Pooling/config.json": {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True},
    }
    (folder / "1_Pooling").mkdir()
    for name, value in settings.items():
        (folder / name).write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def _letter_pair_tokenizer() -> Tokenizer:
    """Word pieces of one or two characters: texts that share words share tokens, with no corpus to learn from."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    letters = string.ascii_lowercase
    pairs = ["".join(pair) for pair in itertools.product(letters, repeat=2)]
    starts = [*pairs, *letters, *string.digits, *string.punctuation]
    pieces = [*special, *starts, *(f"##{piece}" for piece in [*pairs, *letters, *string.digits])]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=200))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])]
    )
    return tokenizer


def _save(model: PreTrainedModel, folder: Path) -> None:
    hide_progress_bars()
    model.save_pretrained(folder)
