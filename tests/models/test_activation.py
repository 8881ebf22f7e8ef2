"""An adapter that acts from the question on is, to PEFT, an activated LoRA: the same logits, the same answers."""

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file

from tests.tiny import load_tiny, make_examples, make_generator, make_prompts, train_tiny
from workbench.errors import AdapterMismatchError
from workbench.intake.adapter_settings import WEIGHTS
from workbench.models.activation import finds_the_question, read_invocation, recorded_invocation, write_invocation
from workbench.models.adapters import adapter_active, attach_adapter, read_adapter
from workbench.models.prefix import assemble_batch, compute_prefix
from workbench.prompting import QUESTION_MARK
from workbench.types import Prompt, TrainingExample

pytestmark = pytest.mark.usefixtures("tiny_home")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, built_home: Path) -> Path:
    """An adapter that acts from the question on, its invocation written down."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(built_home))
        folder = train_tiny(tmp_path_factory.mktemp("a"), epochs=4, learning_rate=2e-3, dropout=0.0)
        write_invocation(folder, read_invocation(load_tiny()[1], QUESTION_MARK))
    return folder


def load_in_peft(folder: Path) -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
        return PeftModel.from_pretrained(load_tiny()[0], str(folder)).eval()


def our_logits(folder: Path, prompts: list[Prompt]) -> torch.Tensor:
    """Base for the prefix, adapter for the rest; shape (B, V), at the last token."""
    model, tokenizer = load_tiny()
    adapter = read_adapter(folder, name="reader", base_fingerprint="base", template_hash=tokenizer.template_hash)
    model = attach_adapter(model, adapter).eval()
    with adapter_active(model, None):
        prefixes = [compute_prefix(model, prompt.prefix_ids) for prompt in prompts]
    batch = assemble_batch(prefixes, [prompt.suffix_ids for prompt in prompts], pad_id=0, device=model.device)
    with adapter_active(model, "reader"), torch.no_grad():
        logits: torch.Tensor = model(
            input_ids=batch.input_ids,
            position_ids=batch.position_ids,
            attention_mask=batch.attention_mask,
            past_key_values=batch.cache,
            use_cache=True,
        ).logits
    return logits[:, -1]


def whole(prompt: Prompt) -> torch.Tensor:
    return torch.tensor([[*prompt.prefix_ids, *prompt.suffix_ids]])


def test_peft_gives_our_logits_in_one_pass_over_the_whole_prompt(trained: Path) -> None:
    prompts = make_prompts(load_tiny()[1])
    ours, theirs, base = our_logits(trained, prompts), load_in_peft(trained), load_tiny()[0]
    for row, prompt in enumerate(prompts):
        with torch.no_grad():
            found, without = theirs(input_ids=whole(prompt)).logits[0, -1], base(input_ids=whole(prompt)).logits[0, -1]
        assert torch.allclose(found, ours[row], atol=1e-5)
        assert not torch.allclose(without, ours[row], atol=1e-2)  # the adapter does something


def test_peft_generates_our_answers(trained: Path) -> None:
    generator, tokenizer = make_generator()
    generator.load_adapter("reader", trained)
    theirs = load_in_peft(trained)
    for prompt in make_prompts(tokenizer):
        (ours,) = generator.generate([prompt], adapter="reader", max_new_tokens=8)
        ids = whole(prompt)
        out = theirs.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=False, pad_token_id=0
        )
        assert tokenizer.decode(out[0, ids.shape[1] :].tolist()).strip() == ours.text


def test_without_the_tokens_peft_lets_the_adapter_act_on_the_passages_too(trained: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    for path in trained.iterdir():
        (plain / path.name).write_bytes(path.read_bytes())
    write_invocation(plain, ())
    assert recorded_invocation(plain) is None
    prompt = make_prompts(load_tiny()[1])[0]
    with torch.no_grad():
        logits = load_in_peft(plain)(input_ids=whole(prompt)).logits[0, -1]
    assert not torch.allclose(logits, our_logits(trained, [prompt])[0], atol=1e-3)


def test_our_own_loading_does_not_heed_the_tokens(trained: Path, tmp_path: Path) -> None:
    prompts = make_prompts(load_tiny()[1])
    before = our_logits(trained, prompts)
    config = json.loads((trained / "adapter_config.json").read_text(encoding="utf-8"))
    assert tuple(config["alora_invocation_tokens"]) == recorded_invocation(trained)
    write_invocation(trained, [1, 2, 3])  # found nowhere
    try:
        assert torch.equal(our_logits(trained, prompts), before)
    finally:
        write_invocation(trained, config["alora_invocation_tokens"])


class Merging:
    """A tokenizer that reads characters, but ": W" as one token: the mark's tokens depend on what follows."""

    def encode(self, text: str) -> list[int]:
        return [ord(character) for character in text.replace(": W", "\u2020")]


def test_the_invocation_is_what_all_questions_share() -> None:
    tokenizer = load_tiny()[1]
    assert read_invocation(tokenizer, QUESTION_MARK) == tuple(tokenizer.encode("Question: "))  # bytes: the space too
    assert read_invocation(Merging(), "Question: ") == tuple(map(ord, "Question"))  # type: ignore[arg-type]
    assert read_invocation(Merging(), ": ") == ()  # type: ignore[arg-type]


def test_rows_in_which_peft_would_begin_elsewhere_are_noticed() -> None:
    tokenizer = load_tiny()[1]
    invocation, rows = read_invocation(tokenizer, QUESTION_MARK), make_examples(tokenizer)
    assert finds_the_question(invocation, rows)
    again = (*rows[0].token_ids, *invocation)
    repeated = TrainingExample("q", again, (*rows[0].loss_mask, *(True,) * len(invocation)), rows[0].n_prefix)
    assert not finds_the_question(invocation, (*rows, repeated))
    assert not finds_the_question(invocation, (*rows, replace(rows[0], n_prefix=0)))
    assert not finds_the_question((), rows)


@pytest.mark.parametrize("beside", [False, True], ids=["first", "beside another"])
def test_a_weight_that_is_missing_is_an_error_whether_it_is_the_first_adapter_or_not(
    trained: Path, tmp_path: Path, beside: bool
) -> None:
    for path in trained.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    tensors = load_file(tmp_path / WEIGHTS)
    gone = sorted(tensors)[0]
    save_file({name: tensor for name, tensor in tensors.items() if name != gone}, tmp_path / WEIGHTS)
    model, tokenizer = load_tiny()
    whole_one = read_adapter(trained, name="other", base_fingerprint="base", template_hash=tokenizer.template_hash)
    model = attach_adapter(model, whole_one) if beside else model
    with pytest.raises(AdapterMismatchError, match="weights are missing, the first is"):
        attach_adapter(model, replace(whole_one, name="reader", folder=tmp_path))
