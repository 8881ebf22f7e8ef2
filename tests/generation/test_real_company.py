"""The real small model: what the engine answers to many at once is what the generator answers to each alone."""

import pytest
import torch

from tests.generation.company import ask
from workbench.config import PromptConfig
from workbench.generation import ContinuousEngine, LocalGenerator
from workbench.models import HfChatTokenizer, find_model, load_generator
from workbench.prompting import PromptBuilder
from workbench.types import Chunk, Hit

pytestmark = pytest.mark.models
PASSAGE = "The Arvo gauge is painted teal. Größe 4 µm. It costs 120 crowns in the shop, which opens at nine."


def test_many_at_once_are_answered_as_each_alone() -> None:
    model, plain = load_generator(find_model("smollm2-135m-instruct"), device="cpu", dtype=torch.float32)
    tokenizer = HfChatTokenizer(plain, name="smollm2")
    generator = LocalGenerator(model, tokenizer, base_fingerprint="base", prefix_cache_bytes=1e9)
    builder = PromptBuilder(tokenizer, PromptConfig())
    hit = Hit(Chunk("c", "d", 0, len(PASSAGE), PASSAGE, ("Arvo",)), 1.0)
    prompts = [
        builder.build("What colour is the Arvo?", (hit,)),
        builder.build("Write a short poem about it.", (hit,)),
        builder.build("Who are you?"),
        builder.build("Count from one to five in German.", ()),
    ]
    expected = [generator.generate([prompt], adapter=None, max_new_tokens=16)[0] for prompt in prompts]
    engine = ContinuousEngine(generator, slots=4, queue=4, context_tokens=2048, chunk_tokens=32)
    for listener, wanted in zip([ask(engine, prompt, max_new_tokens=16) for prompt in prompts], expected, strict=True):
        found = listener.wait()
        assert (found.text, found.new_tokens, found.stop_reason) == (wanted.text, wanted.new_tokens, wanted.stop_reason)
    engine.close(drain_seconds=0)
