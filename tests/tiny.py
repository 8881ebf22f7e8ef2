"""A random two-layer Llama with its byte tokenizer, prompts for it, and adapters that do something."""

from pathlib import Path
from typing import Any

import torch

from workbench.config import PromptConfig, RecipeConfig
from workbench.generation import LocalGenerator
from workbench.models import HfChatTokenizer, find_model, load_generator
from workbench.prompting import PromptBuilder
from workbench.training import TrainingJob, train_adapter
from workbench.types import Chunk, Hit, Prompt, TrainingExample

RECIPE = RecipeConfig(r=4, alpha=8, epochs=2, batch_size=4, micro_batch_size=4, evaluations=2, dropout=0.1)


def load_tiny() -> tuple[Any, HfChatTokenizer]:
    """The random model in float32, and its tokenizer. Needs the fixture `tiny_home`."""
    model, tokenizer = load_generator(find_model("tiny-random-llama"), device="cpu", dtype=torch.float32)
    return model, HfChatTokenizer(tokenizer, name="tiny")


def make_prompts(tokenizer: HfChatTokenizer) -> list[Prompt]:
    """Three prompts of different lengths: two share their passages, one has none."""
    builder = PromptBuilder(tokenizer, PromptConfig(system="Be brief.", max_tokens=2000))
    hit = Hit(Chunk("c", "d", 0, 30, "The Arvo gauge is painted teal", ("Arvo",)), 1.0)
    return [
        builder.build("What colour is the Arvo?", (hit,)),
        builder.build("What is the colour of that Arvo gauge over there?", (hit,)),
        builder.build("Who?"),
    ]


def make_examples(tokenizer: HfChatTokenizer, *, acts_from: str = "question") -> tuple[TrainingExample, ...]:
    """Eight rows over the three prompts."""
    rows = []
    for number in range(8):
        prompt = make_prompts(tokenizer)[number % 3]
        ids = (*prompt.prefix_ids, *prompt.suffix_ids)
        answer = (*tokenizer.encode(f"teal {number}"), *tokenizer.end_of_turn_ids)
        rows.append(
            TrainingExample(
                question_id=f"q{number}",
                token_ids=(*ids, *answer),
                loss_mask=(False,) * len(ids) + (True,) * len(answer),
                n_prefix=len(prompt.prefix_ids) if acts_from == "question" else 0,
            )
        )
    return tuple(rows)


def make_job(tokenizer: HfChatTokenizer, **changes: Any) -> TrainingJob:
    """A training of a few steps; `changes` replace fields of the recipe."""
    recipe = RecipeConfig.model_validate(RECIPE.model_dump() | changes)
    rows = make_examples(tokenizer, acts_from=recipe.acts_from)
    return TrainingJob(
        name="reader",
        rows=rows,
        held_out=rows[:3],
        recipe=recipe,
        seed=7,
        base_fingerprint="base",
        template_hash=tokenizer.template_hash,
    )


def train_tiny(folder: Path, **changes: Any) -> Path:
    """Train an adapter on the tiny model and return the adapter's folder."""
    model, tokenizer = load_tiny()
    train_adapter(make_job(tokenizer, **changes), model, folder, pad_id=tokenizer.end_of_turn_ids[-1])
    return folder / "adapter"


def make_generator(*, prefix_cache_bytes: float = 1e9) -> tuple[LocalGenerator, HfChatTokenizer]:
    """An engine over the random model."""
    model, tokenizer = load_tiny()
    return LocalGenerator(model, tokenizer, base_fingerprint="base", prefix_cache_bytes=prefix_cache_bytes), tokenizer
