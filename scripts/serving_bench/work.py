"""The questions of the benchmark: passages of the sample corpus before each, so that a prompt has about 300 tokens."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model

from workbench.config import PromptConfig
from workbench.generation import LocalGenerator
from workbench.models import HfChatTokenizer, find_model, load_generator
from workbench.models.adapters import peft_quieted, save_passport
from workbench.prompting import PromptBuilder
from workbench.types import Adapter, Chunk, Hit, Prompt

DATA = Path("data")
PASSAGE_CHARACTERS, PASSAGES = 300, 3
RANK = 16


def make_prompts(tokenizer: HfChatTokenizer, *, n: int, n_shared: int, seed: int = 0) -> list[Prompt]:
    """Return `n` prompts; every second one has one of `n_shared` sets of passages, the others have their own.

    0 shared sets: no two prompts have the same passages.
    """
    dice = random.Random(seed)
    pieces = _read_pieces()
    lines = (DATA / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line)["text"] for line in lines]
    builder = PromptBuilder(tokenizer, PromptConfig())
    shared = [dice.sample(pieces, PASSAGES) for _ in range(n_shared)]
    prompts = []
    for number in range(n):
        common = shared and number % 2
        hits = shared[number // 2 % n_shared] if common else dice.sample(pieces, PASSAGES)
        prompts.append(builder.build(dice.choice(questions), tuple(hits)))
    return prompts


def _read_pieces() -> list[Hit]:
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted((DATA / "corpus").rglob("*.md")))
    starts = range(0, len(text) - PASSAGE_CHARACTERS, PASSAGE_CHARACTERS // 2)
    return [
        Hit(Chunk(f"{start}", "corpus", start, start + PASSAGE_CHARACTERS, text[start : start + PASSAGE_CHARACTERS]), 1)
        for start in starts
    ]


def load(model_name: str, dtype: torch.dtype, *, adapters: int, folder: Path) -> LocalGenerator:
    """Load a generator with random adapters of rank 16 on all linear layers; no token ends an answer."""
    installed = find_model(model_name, kind="generator")
    model: Any
    model, plain = load_generator(installed, device="cpu", dtype=dtype)
    tokenizer = HfChatTokenizer(plain, name=model_name)
    names = [f"adapter_{number}" for number in range(adapters)]
    for seed, name in enumerate(names):
        model = _save_adapter(model, tokenizer, folder / name, name=name, base=installed.fingerprint, seed=seed)
    generator = LocalGenerator(model, tokenizer, base_fingerprint=installed.fingerprint, prefix_cache_bytes=2 * 2**30)
    for name in names:
        generator.load_adapter(name, folder / name)
    generator.end_ids = set()
    return generator


def _save_adapter(model: Any, tokenizer: HfChatTokenizer, folder: Path, *, name: str, base: str, seed: int) -> Any:
    """Save an adapter with small random weights; return the bare model."""
    torch.manual_seed(seed)
    config = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", task_type="CAUSAL_LM")
    with peft_quieted():
        adapted = get_peft_model(model, config)
    for key, parameter in adapted.named_parameters():
        if "lora_B" in key:
            torch.nn.init.normal_(parameter, std=0.01)
    adapted.save_pretrained(str(folder))
    passport = Adapter(name, folder, base, tokenizer.template_hash, RANK, 2 * RANK, "question", "random")
    save_passport(passport, folder)
    return adapted.unload()
