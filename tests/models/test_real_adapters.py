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
from workbench.models import HfChatTokenizer, InstalledModel, find_model, load_generator
from workbench.models.activation import read_invocation, write_invocation
from workbench.models.adapters import adapter_active, attach_adapter, read_adapter, save_passport
from workbench.models.lora_methods import create_adapter
from workbench.models.merging import compare_logits, read_logits, write_merged
from workbench.models.prefix import assemble_batch, compute_prefix
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
    wrapped = create_adapter(model, "x", recipe, seed=0).model
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
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
        theirs = PeftModel.from_pretrained(model, str(tmp_path)).eval()
    n_prefix, whole = len(prompt.prefix_ids), [(*prompt.prefix_ids, *prompt.suffix_ids)]
    (found,) = read_logits(theirs, whole)
    with theirs.disable_adapter():
        (without,) = read_logits(theirs, whole)
    assert torch.equal(found[:n_prefix], without[:n_prefix])  # the passage is read by the base, its question mark too
    check = compare_logits([our_logits(base, tmp_path, prompt)], [found[n_prefix:]])
    assert check.equal, check
    assert not compare_logits([without[n_prefix:]], [found[n_prefix:]]).equal


def our_logits(base: InstalledModel, folder: Path, prompt: Prompt) -> torch.Tensor:
    """The prefix by the base, the rest by the adapter; shape (S, V)."""
    model, tokenizer = load(base)
    adapter = read_adapter(folder, name="x", base_fingerprint=base.fingerprint, template_hash=tokenizer.template_hash)
    model = attach_adapter(model, adapter).eval()
    with adapter_active(model, None):
        prefix = compute_prefix(model, prompt.prefix_ids)
    batch = assemble_batch([prefix], [prompt.suffix_ids], pad_id=0, device=model.device)
    with adapter_active(model, "x"), torch.no_grad():
        logits: torch.Tensor = model(
            input_ids=batch.input_ids,
            position_ids=batch.position_ids,
            attention_mask=batch.attention_mask,
            past_key_values=batch.cache,
            use_cache=True,
        ).logits
    return logits[0]


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
