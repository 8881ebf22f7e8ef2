"""Merging and activated LoRA on the small real model in bfloat16: tied embeddings, merged question marks, real logits.

The adapters are random, of a size that changes most answers: what is tested is where they act, not what they learned.
"""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel

from workbench.config import GatesConfig, PromptConfig, RecipeConfig
from workbench.gates.forgetting import load_probes
from workbench.gates.runner import probe_ids
from workbench.generation import LocalGenerator
from workbench.models import HfChatTokenizer, InstalledModel, find_model, load_generator
from workbench.models.activation import read_invocation, write_invocation
from workbench.models.adapters import adapter_active, create_adapter, read_adapter, save_passport
from workbench.models.merging import compare_logits, read_logits, write_merged
from workbench.prompting import QUESTION_MARK, PromptBuilder
from workbench.types import Adapter, Chunk, Hit, Prompt

pytestmark = pytest.mark.models


def load(base: InstalledModel) -> tuple[Any, HfChatTokenizer]:
    model, tokenizer = load_generator(base, device="cpu", dtype=torch.bfloat16)
    return model, HfChatTokenizer(tokenizer, name=base.name)


def save_random(folder: Path, base: InstalledModel, *, acts_from: str, std: float) -> None:
    """Save an adapter whose B is random, so that it is not zero."""
    model, tokenizer = load(base)
    recipe = RecipeConfig(r=8, alpha=16)
    wrapped = create_adapter(model, "x", recipe, seed=0)
    for name, parameter in wrapped.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=std)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
        wrapped.save_pretrained(str(folder), save_embedding_layers=False)
    for path in (folder / "x").iterdir():
        path.replace(folder / path.name)
    passport = Adapter("x", folder, base.fingerprint, tokenizer.template_hash, 8, 16, acts_from, "none")
    save_passport(passport, folder)


def test_peft_begins_at_the_question_as_we_do(tmp_path: Path) -> None:
    base = find_model("smollm2-135m-instruct")
    save_random(tmp_path, base, acts_from="question", std=0.1)
    model, tokenizer = load(base)
    invocation = read_invocation(tokenizer, QUESTION_MARK)
    assert [tokenizer.decode([token]) for token in invocation] == ["Question", ":"]
    write_invocation(tmp_path, invocation)
    hit = Hit(Chunk("c", "d", 0, 9, "The Arvo gauge is painted teal.\n\nQuestion: none.", ("Arvo",)), 1.0)
    prompt = PromptBuilder(tokenizer, PromptConfig()).build("What colour is the Arvo?", (hit,))
    answer = tokenizer.encode("The gauge is teal")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
        theirs = PeftModel.from_pretrained(model, str(tmp_path)).eval()
    ids = [*prompt.prefix_ids, *prompt.suffix_ids, *answer]
    found = score_by_hand(theirs, ids, len(answer))
    with theirs.disable_adapter():
        without = score_by_hand(theirs, ids, len(answer))
    assert found == pytest.approx(our_score(base, tmp_path, prompt), abs=0.05)
    assert abs(found - without) > 0.5


def score_by_hand(model: Any, ids: list[int], n: int) -> float:
    """Nats a token of the last `n`, in one pass over all."""
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids])).logits[0, -n - 1 : -1].float()
    return float(torch.log_softmax(logits, -1).gather(-1, torch.tensor(ids[-n:])[:, None]).mean())


def our_score(base: InstalledModel, folder: Path, prompt: Prompt) -> float:
    model, tokenizer = load(base)
    generator = LocalGenerator(model, tokenizer, base_fingerprint=base.fingerprint, prefix_cache_bytes=1e9)
    generator.load_adapter("x", folder)
    return generator.score([prompt], ["The gauge is teal"], adapter="x")[0]


def test_a_merged_model_with_tied_embeddings_answers_as_the_two_apart(tmp_path: Path) -> None:
    base = find_model("smollm2-135m-instruct")
    save_random(tmp_path / "a", base, acts_from="prompt", std=0.01)
    model, tokenizer = load(base)
    probes = probe_ids(tokenizer, load_probes(GatesConfig()))[:4]
    adapter = read_adapter(
        tmp_path / "a", name="x", base_fingerprint=base.fingerprint, template_hash=tokenizer.template_hash
    )
    check = write_merged(adapter, base, tmp_path / "m", dtype=torch.bfloat16, probes=probes, card="")
    assert check.equal, check
    merged, its_tokenizer = load(find_model(str(tmp_path / "m")))
    assert its_tokenizer.template_hash == tokenizer.template_hash
    with adapter_active(model, None):
        assert not compare_logits(read_logits(model, probes), read_logits(merged, probes)).equal
