"""The chat tokenizer: what it renders, what it encodes, where a turn ends."""

from pathlib import Path
from typing import Any

import pytest
import torch

from workbench.errors import ModelIntegrityError
from workbench.models import HfChatTokenizer, find_model, load_generator
from workbench.types import Message

CONVERSATION = (Message("system", "Be brief."), Message("user", "Is 1 > 2?"))


@pytest.fixture
def tokenizer(tiny_home: Path) -> Any:
    return load_generator(find_model("tiny-random-llama"), device="cpu", dtype=torch.float32)[1]


def test_a_conversation_is_rendered_up_to_the_models_turn(tokenizer: Any) -> None:
    chat = HfChatTokenizer(tokenizer, name="tiny")
    text = chat.render(CONVERSATION)
    assert text == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nIs 1 > 2?<|im_end|>\n<|im_start|>assistant\n"
    )
    ids = chat.encode(text)
    assert ids.count(1) == 3
    assert ids.count(2) == 2
    assert ids[0] == 1
    assert chat.decode(ids) == "system\nBe brief.\nuser\nIs 1 > 2?\nassistant\n"


def test_encoding_adds_nothing_and_parts_add_up_at_control_tokens(tokenizer: Any) -> None:
    chat = HfChatTokenizer(tokenizer, name="tiny")
    assert chat.encode("") == []
    assert chat.encode("<|im_end|>") == [2]
    assert chat.encode("ab<|im_end|>") == [*chat.encode("ab"), 2]


@pytest.mark.parametrize(
    ("after", "expected"),
    [("<|im_end|>\n", "<|im_end|>"), ("\n<|im_end|>", "\n<|im_end|>"), ("<|im_end|>" * 2, "<|im_end|>")],
)
def test_the_turn_ends_where_the_template_says(tokenizer: Any, after: str, expected: str) -> None:
    tokenizer.chat_template = "{% for m in messages %}" + f"{{{{ m['content'] }}}}{after}" + "{% endfor %}"
    chat = HfChatTokenizer(tokenizer, name="tiny")
    assert chat.end_of_turn_ids == tuple(chat.encode(expected))


def test_a_template_without_an_end_of_turn_is_refused(tokenizer: Any) -> None:
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}\n{% endfor %}"
    with pytest.raises(ModelIntegrityError, match="no control token after the model's turn"):
        _ = HfChatTokenizer(tokenizer, name="tiny").end_of_turn_ids


def test_a_model_without_template_is_refused(tokenizer: Any) -> None:
    tokenizer.chat_template = None
    with pytest.raises(ModelIntegrityError, match="instruction-tuned"):
        HfChatTokenizer(tokenizer, name="tiny")


def test_a_template_that_refuses_a_role_is_a_typed_error(tokenizer: Any) -> None:
    tokenizer.chat_template = "{{ raise_exception('no system role') }}"
    with pytest.raises(ModelIntegrityError, match="refuses the roles system, user: no system role"):
        HfChatTokenizer(tokenizer, name="tiny").render(CONVERSATION)


def test_a_template_cannot_reach_python_and_does_not_know_the_day(tokenizer: Any) -> None:
    tokenizer.chat_template = "{% if strftime_now is defined %}{{ strftime_now( '%d %B %Y' ) }}{% endif %}"
    assert HfChatTokenizer(tokenizer, name="tiny").render(CONVERSATION) == "26 July 2024"
    tokenizer.chat_template = "{{ messages.__class__.__mro__ }}"
    with pytest.raises(ModelIntegrityError, match="refuses"):
        HfChatTokenizer(tokenizer, name="tiny").render(CONVERSATION)


def test_the_hash_follows_template_and_special_tokens(tokenizer: Any) -> None:
    hashes = [HfChatTokenizer(tokenizer, name="tiny").template_hash]
    tokenizer.pad_token = "<|im_end|>"
    hashes.append(HfChatTokenizer(tokenizer, name="tiny").template_hash)
    tokenizer.chat_template += " "
    hashes.append(HfChatTokenizer(tokenizer, name="tiny").template_hash)
    assert len(set(hashes)) == 3
