"""The small real models, as the catalogue installs them."""

from typing import Any, Literal

import numpy as np
import pytest
import torch

from workbench.models import CrossEncoderReranker, HfChatTokenizer, SentenceEmbedder, find_model, load_generator
from workbench.models.weights import find_missing_weights
from workbench.types import Message

pytestmark = pytest.mark.models
NOUNS = ["violin", "printer", "harbour", "emperor", "glacier", "bridge", "archive", "orchard"]


def test_smollm2_ends_its_turn_and_knows_a_capital() -> None:
    installed = find_model("smollm2-135m-instruct", kind="generator")
    model, tokenizer = load_generator(installed, device="cpu", dtype=torch.float32)
    chat = HfChatTokenizer(tokenizer, name=installed.name)
    assert chat.end_of_turn_ids == (2,)
    text = chat.render([Message("system", "Be brief."), Message("user", "What is the capital of France?")])
    ids = chat.encode(text)
    assert tokenizer.decode(ids) == text
    generate: Any = model.generate
    new = generate(torch.tensor([ids]), max_new_tokens=16, do_sample=False)[0, len(ids) :].tolist()
    assert "Paris" in chat.decode(new)
    assert new[-1] == 2


def test_smollm2_reads_as_it_was_trained() -> None:
    tokenizer = load_generator(find_model("smollm2-135m-instruct"), device="cpu", dtype=torch.bfloat16)[1]
    chat = HfChatTokenizer(tokenizer, name="smollm2")
    assert [tokenizer.convert_tokens_to_ids(f"<|im_{part}|>") for part in ("start", "end")] == [1, 2]
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (1, 2, 2)
    assert [tokenizer.decode([number]) for number in chat.encode("1240")] == ["1", "2", "4", "0"]
    # Not ["\n", "\n", "1", "."], which a tokenizer converted without its digit rule gives.
    assert [tokenizer.decode([number]) for number in chat.encode("\n\n1.")] == ["\n\n", "1", "."]
    for text in ("I'm 3rd: $4,500.00 — naïve 日本", "  x\t\n y  "):
        assert chat.decode(chat.encode(text)) == text
    assert "You are a helpful AI assistant named SmolLM" in chat.render([Message("user", "Hello")])


def test_minilm_finds_the_sensible_neighbour() -> None:
    embedder = SentenceEmbedder(find_model("all-minilm-l6-v2", kind="embedder"))
    rows = embedder.embed_documents(
        ["A violin has four strings.", "Refunds take five days.", "Paris lies on the Seine."]
    )
    questions = embedder.embed_questions(
        ["When do I get my money back?", "Which river flows through the French capital?"]
    )
    assert (questions @ rows.T).argmax(axis=1).tolist() == [1, 2]
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    assert (embedder.identity.dimension, embedder.max_tokens, embedder.n_special_tokens) == (384, 256, 2)


@pytest.mark.parametrize("name", ["all-minilm-l6-v2", "bge-small-en-v1.5"])
def test_openvino_finds_what_torch_finds(name: str) -> None:
    pytest.importorskip("openvino")
    installed = find_model(name, kind="embedder")
    texts = [f"Fact {number}: the {noun} is {number * 7} years old." for number, noun in enumerate(NOUNS * 3)]
    ours, reference = (SentenceEmbedder(installed, backend=backend) for backend in ("openvino", "torch"))
    rows, wanted = ours.embed_documents(texts), reference.embed_documents(texts)
    assert (rows * wanted).sum(axis=1).min() > 0.999
    alone = np.concatenate([ours.embed_documents([text]) for text in texts])
    assert np.allclose(rows, alone, atol=1e-6)


def test_bge_asks_with_its_prompt_and_finds_the_sensible_neighbour() -> None:
    embedder = SentenceEmbedder(find_model("bge-small-en-v1.5", kind="embedder"))
    rows = embedder.embed_documents(["A violin has four strings.", "Refunds take five days."])
    questions = embedder.embed_questions(["When do I get my money back?", "How many strings are on a fiddle?"])
    assert (questions @ rows.T).argmax(axis=1).tolist() == [1, 0]
    assert embedder.identity.question_prompt == "Represent this sentence for searching relevant passages: "
    assert (embedder.identity.dimension, embedder.max_tokens, embedder.identity.pooling) == (384, 512, "cls")


def test_converted_weights_leave_none_missing() -> None:
    bge, marco = find_model("bge-small-en-v1.5"), find_model("ms-marco-minilm-l12-v2")
    embedder: Any = SentenceEmbedder(bge, backend="torch")._model[0]
    reranker: Any = CrossEncoderReranker(marco, backend="torch")._model[0]
    assert find_missing_weights(embedder.auto_model, bge.folder) == []
    assert find_missing_weights(reranker.auto_model, marco.folder) == []


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_the_reranker_knows_the_right_passage(backend: Literal["torch", "openvino"]) -> None:
    if backend == "openvino":
        pytest.importorskip("openvino")
    reranker = CrossEncoderReranker(find_model("ms-marco-minilm-l12-v2", kind="reranker"), backend=backend)
    scores = reranker.score(
        "How many people live in Berlin?",
        [
            "New York City is famous for the Metropolitan Museum of Art.",
            "Berlin had a population of 3,520,031 registered inhabitants in an area of 891.82 square kilometers.",
            "Berlin is well known for its museums.",
        ],
    )
    assert scores.argsort().tolist() == [0, 2, 1]
    assert scores[1] == pytest.approx(9.09, abs=0.2 if reranker.backend == "openvino-bfloat16" else 0.05)
    assert scores[2] < 0
    assert (reranker.max_tokens, reranker.n_cut) == (512, 0)
