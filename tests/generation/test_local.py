"""The engine against plain references: Transformers' own generate, and a forward pass without caches or padding."""

import warnings
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer

from tests.tiny import load_tiny, make_generator, make_prompts, train_tiny
from workbench.errors import AdapterMismatchError, MergeError, ModelIntegrityError
from workbench.generation import LocalGenerator
from workbench.generation.decode import decode_greedily
from workbench.models.prefix import assemble_batch, compute_prefix
from workbench.types import StopReason

pytestmark = pytest.mark.usefixtures("tiny_home")
LOUD = {"learning_rate": 2.9e-3, "epochs": 8}  # enough to change what is generated


def test_greedy_decoding_equals_transformers_generate() -> None:
    generator, tokenizer = make_generator()
    model, _ = load_tiny()
    prompts = make_prompts(tokenizer)
    ours = generator.generate(prompts, adapter=None, max_new_tokens=12)
    for prompt, generation in zip(prompts, ours, strict=True):
        ids = torch.tensor([[*prompt.prefix_ids, *prompt.suffix_ids]])
        theirs = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=12,
            eos_token_id=tokenizer.end_of_turn_ids[-1],
            pad_token_id=0,
        )[0, ids.shape[1] :].tolist()
        ended = theirs[-1] == tokenizer.end_of_turn_ids[-1]
        assert generation.text == tokenizer.decode(theirs[:-1] if ended else theirs).strip()
        assert generation.new_tokens == len(theirs)
        with torch.inference_mode():
            logits = model(torch.cat([ids[0], torch.tensor(theirs)])[None]).logits[0, ids.shape[1] - 1 : -1].float()
        odds = torch.log_softmax(logits, dim=-1)  # (new tokens, V)
        assert generation.entropy == pytest.approx(float(-(odds.exp() * odds).sum(dim=-1).mean()), rel=1e-3)
        assert generation.stop_reason is (StopReason.END if ended else StopReason.LENGTH)
        assert generation.prompt_tokens == ids.shape[1]


def test_rows_that_end_early_leave_the_batch_and_change_no_other_row() -> None:
    model, tokenizer = load_tiny()
    prompts = make_prompts(tokenizer)
    generator = torch.Generator().manual_seed(3)
    for parameter in model.parameters():  # louder weights: the model must not say the same token for ever
        torch.nn.init.normal_(parameter, std=0.5, generator=generator)

    def decode(*end_ids: int) -> list[list[int]]:
        prefixes = [compute_prefix(model, prompt.prefix_ids) for prompt in prompts]
        batch = assemble_batch(prefixes, [p.suffix_ids for p in prompts], pad_id=0, device=model.device)
        return decode_greedily(model, batch, end_ids=end_ids, max_new_tokens=8)[0]

    whole = decode()
    assert [len(row) for row in whole] == [8, 8, 8]
    end = whole[0][2]
    expected = [row[: row.index(end) + 1] if end in row else row for row in whole]
    assert len({len(row) for row in expected}) > 1
    assert decode(end) == expected


def test_scores_equal_a_forward_pass_without_caches() -> None:
    generator, tokenizer = make_generator()
    model, _ = load_tiny()
    prompts, answers = make_prompts(tokenizer), ["teal", "a much longer answer", "no"]
    for prompt, answer, score in zip(prompts, answers, generator.score(prompts, answers, adapter=None), strict=True):
        ids, target = [*prompt.prefix_ids, *prompt.suffix_ids], tokenizer.encode(answer)
        with torch.no_grad():
            logits = model(torch.tensor([ids + target])).logits[0].log_softmax(-1)
        by_hand = [float(logits[len(ids) - 1 + place, token]) for place, token in enumerate(target)]
        assert score == pytest.approx(sum(by_hand) / len(by_hand), abs=1e-4)


def test_base_and_adapter_share_the_passages_that_the_base_read(tmp_path: Path) -> None:
    generator, tokenizer = make_generator()
    generator.load_adapter("reader", train_tiny(tmp_path, **LOUD))
    prompts = make_prompts(tokenizer)
    base = generator.generate(prompts, adapter=None, max_new_tokens=8)
    assert generator.prefixes.n_computed == 2  # two prompts have the same passages
    adapted = generator.generate(prompts, adapter="reader", max_new_tokens=8)
    assert generator.prefixes.n_computed == 2
    assert [g.text for g in adapted] != [g.text for g in base]
    assert generator.generate(prompts, adapter=None, max_new_tokens=8)[0].text == base[0].text


def test_an_adapter_that_acts_from_the_prompt_equals_plain_peft(tmp_path: Path) -> None:
    folder = train_tiny(tmp_path, **LOUD, acts_from="prompt")
    generator, tokenizer = make_generator()
    generator.load_adapter("plain", folder)
    prompt = make_prompts(tokenizer)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PEFT's own, see models/adapters.py
        model = PeftModel.from_pretrained(load_tiny()[0], str(folder))
    ids, target = [*prompt.prefix_ids, *prompt.suffix_ids], tokenizer.encode("teal")
    with torch.no_grad():
        logits = model(torch.tensor([ids + target])).logits[0].log_softmax(-1)
    by_hand = [float(logits[len(ids) - 1 + place, token]) for place, token in enumerate(target)]
    assert generator.score([prompt], ["teal"], adapter="plain")[0] == pytest.approx(
        sum(by_hand) / len(by_hand), abs=1e-4
    )


def test_an_adapter_of_another_base_is_refused_with_both_fingerprints(tmp_path: Path) -> None:
    folder = train_tiny(tmp_path)
    generator, _ = make_generator()
    generator._base_fingerprint = "other"
    with pytest.raises(AdapterMismatchError, match=r"base model base, but the one loaded is other"):
        generator.load_adapter("reader", folder)


def test_an_adapter_config_that_imports_code_is_refused(tmp_path: Path) -> None:
    folder = train_tiny(tmp_path)
    config = folder / "adapter_config.json"
    config.write_text(config.read_text().replace('"auto_mapping": null', '"auto_mapping": {"parent_library": "os"}'))
    generator, _ = make_generator()
    with pytest.raises(ModelIntegrityError, match="auto_mapping"):
        generator.load_adapter("reader", folder)


def test_an_unknown_adapter_is_named() -> None:
    generator, tokenizer = make_generator()
    with pytest.raises(AdapterMismatchError, match="'ghost'"):
        generator.generate(make_prompts(tokenizer), adapter="ghost", max_new_tokens=1)


def test_an_empty_batch_gives_an_empty_list() -> None:
    generator, _ = make_generator()
    assert generator.generate([], adapter=None, max_new_tokens=4) == []
    assert generator.score([], [], adapter=None) == []


def test_an_answer_of_one_line_ends_before_its_line_break() -> None:
    model, tokenizer = load_tiny()
    newline = tokenizer.encode("\n")[-1]
    assert newline in tokenizer.newline_ids
    generator = LocalGenerator(model, tokenizer, base_fingerprint="b", prefix_cache_bytes=0, stop_at_newline=True)
    prompt = make_prompts(tokenizer)[0]
    ended = generator._finish(prompt, [*tokenizer.encode("teal "), newline], 0.0, 1.0)
    assert (ended.text, ended.stop_reason) == ("teal", StopReason.NEWLINE)
    end = tokenizer.end_of_turn_ids[-1]
    whole = generator._finish(prompt, [*tokenizer.encode("teal"), end], 0.0, 1.0)
    assert (whole.text, whole.stop_reason) == ("teal", StopReason.END)


def merged_names(generator: LocalGenerator) -> list[str]:
    """The adapters that are inside the weights now."""
    layers = [module for module in generator._model.modules() if isinstance(module, LoraLayer)]
    assert layers
    return sorted({name for layer in layers for name in layer.merged_adapters})


def test_a_merged_adapter_answers_from_inside_the_weights_and_leaves_them_as_they_were(tmp_path: Path) -> None:
    folder = train_tiny(tmp_path, **LOUD, acts_from="prompt")
    generator, tokenizer = make_generator()
    prompts = make_prompts(tokenizer)
    base = generator.score(prompts, ["teal"] * len(prompts), adapter=None)
    generator.load_adapter("plain", folder)
    generator.load_adapter("merged", folder, merge=True)
    apart = generator.score(prompts, ["teal"] * len(prompts), adapter="plain")
    together = generator.score(prompts, ["teal"] * len(prompts), adapter="merged")
    assert together == pytest.approx(apart, abs=1e-3)
    assert together != base
    assert merged_names(generator) == ["merged"]  # the sums alone may round to the same
    assert generator.generate(prompts, adapter="merged", max_new_tokens=4)
    assert generator.score(prompts, ["teal"] * len(prompts), adapter=None) == base
    assert generator.score(prompts, ["teal"] * len(prompts), adapter="plain") == apart
    assert merged_names(generator) == []
    generator.score(prompts, ["teal"] * len(prompts), adapter="merged")
    bare = generator.release()
    assert not any("lora" in name for name, _ in bare.named_parameters())
    assert generator.score(prompts, ["teal"] * len(prompts), adapter=None) == base


def test_an_adapter_that_acts_from_the_question_is_not_merged(tmp_path: Path) -> None:
    generator, _ = make_generator()
    with pytest.raises(MergeError, match="not mergeable: acts from the question on"):
        generator.load_adapter("reader", train_tiny(tmp_path), merge=True)


def test_an_adapter_of_a_name_that_is_loaded_replaces_it_and_what_it_read(tmp_path: Path) -> None:
    first = train_tiny(tmp_path / "first", **LOUD, acts_from="prompt")
    second = train_tiny(tmp_path / "second", **LOUD | {"epochs": 12}, acts_from="prompt")
    scores = []
    for folder in (first, second):
        generator, tokenizer = make_generator()
        generator.load_adapter("reader", folder)
        scores.append(generator.score(make_prompts(tokenizer), ["teal"] * 3, adapter="reader"))
    assert scores[0] != pytest.approx(scores[1], abs=1e-3)
    generator, tokenizer = make_generator()
    for folder, expected, merge in ((first, scores[0], True), (second, scores[1], False), (first, scores[0], False)):
        generator.load_adapter("reader", folder, merge=merge)
        found = generator.score(make_prompts(tokenizer), ["teal"] * 3, adapter="reader")
        assert found == pytest.approx(expected, abs=1e-3 if merge else 1e-6)
    generator.score(make_prompts(tokenizer), ["teal"] * 3, adapter=None)
