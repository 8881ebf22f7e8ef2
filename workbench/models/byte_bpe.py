"""Build a byte-level BPE chat tokenizer and write it as Transformers reads it. Used where no tokenizer.json exists yet.

Not a trainer: vocabulary and merges come from the caller.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def build_byte_bpe(
    *, vocabulary: Mapping[str, int], merges: Sequence[tuple[str, str]], control_tokens: Sequence[str]
) -> Tokenizer:
    """Return a tokenizer that cuts every digit off, then merges bytes: SmolLM's pre-tokenisation.

    Nothing is added around a text; `control_tokens` (all in `vocabulary`) are recognised wherever they stand.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    tokenizer = Tokenizer(models.BPE(vocab=dict(vocabulary), merges=list(merges)))
    # Digits first: "\n\n1" must be "\n\n" + "1". Bytes first would give "\n" + "\n" + "1", unseen in training.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in control_tokens])
    return tokenizer


def write_chat_tokenizer(
    tokenizer: Tokenizer, folder: Path, *, special: Mapping[str, str], chat_template: str, max_tokens: int
) -> None:
    """Write tokenizer.json, tokenizer_config.json and chat_template.jinja into `folder`.

    Args:
        special: the token of each role: "bos", "eos", "pad", "unk".
        max_tokens: the model's context.
    """
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {f"{role}_token": token for role, token in special.items()} | {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_tokens,
        "clean_up_tokenization_spaces": False,
        "add_bos_token": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    (folder / "chat_template.jinja").write_text(chat_template, encoding="utf-8")
