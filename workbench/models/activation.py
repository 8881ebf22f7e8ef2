"""An adapter that acts from the question on, in the form other tools know: PEFT's activated LoRA (aLoRA).

PEFT looks for the last place of `alora_invocation_tokens` in a prompt and lets the adapter act from there on; before
it, keys and values are the base model's. Our own switch does the same at the end of the prefix, so such an adapter
needs only these tokens in its `adapter_config.json`. Ours is told where the prefix ends and never reads them.

Source: Greenewald et al., Activated LoRA, https://arxiv.org/abs/2504.12397; PEFT 0.21.2, tuners/lora/variants.py
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench.contracts import ChatTokenizer
from workbench.runs import write_json
from workbench.types import TrainingExample

CONFIG = "adapter_config.json"
KEY = "alora_invocation_tokens"
# First words of questions, unlike enough that what their tokens share is the mark alone.
OPENINGS = ("What", "who", "1914", '"Quoted', "(in", "Über", "él", "日本", "-", "[1]")


def read_invocation(tokenizer: ChatTokenizer, mark: str) -> tuple[int, ...]:
    """Return the tokens with which every question's part of a prompt opens, whatever the question.

    The space that ends `mark` goes into the question's first token with most tokenizers, so it is found by trying.
    Empty for a tokenizer in which the mark's tokens depend on what follows: then there is nothing to look for.
    """
    encoded = [tokenizer.encode(mark + opening) for opening in OPENINGS]
    shared = 0
    while all(len(ids) > shared and ids[shared] == encoded[0][shared] for ids in encoded):
        shared += 1
    return tuple(encoded[0][:shared])


def finds_the_question(invocation: Sequence[int], rows: Sequence[TrainingExample]) -> bool:
    """Whether PEFT's search ends where the adapter was trained to begin, in each of `rows`.

    It takes the last place of the tokens, so a question or an answer that repeats them is read otherwise there; rows
    without a prefix (plain text, whole prompts) have no question to begin at.
    """
    if not invocation or not rows:
        return False
    return all(row.n_prefix and _last_place(row.token_ids, invocation) == row.n_prefix for row in rows)


def write_invocation(folder: Path, invocation: Sequence[int]) -> None:
    """Add the tokens to `folder`/adapter_config.json, which PEFT wrote; other tools then load an activated LoRA."""
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    write_json(folder / CONFIG, config | {KEY: list(invocation)})


def recorded_invocation(folder: Path) -> tuple[int, ...] | None:
    """Return the tokens that `folder`/adapter_config.json names; None: other tools load a plain LoRA."""
    config: dict[str, Any] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    return tuple(config[KEY]) if config.get(KEY) else None


def _last_place(ids: Sequence[int], wanted: Sequence[int]) -> int | None:
    width = len(wanted)
    places = (at for at in range(len(ids) - width, -1, -1) if tuple(ids[at : at + width]) == tuple(wanted))
    return next(places, None)
