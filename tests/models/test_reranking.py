"""The cross-encoder reranker on a tiny BERT with a head made by hand."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import CrossEncoder
from tokenizers import Tokenizer, processors
from transformers import BertForSequenceClassification

from workbench.contracts import Reranker
from workbench.errors import ConfigError, MissingModelError, ModelIntegrityError, PromptBudgetError
from workbench.models import CrossEncoderReranker, add_folder, find_model, openvino_encoder

QUESTION = "which printer shows the error"
TEXTS = (
    "The printer shows error E42 when the paper tray is empty.",
    "bananas are yellow fruit",
    "",
    "Dr. Mira Holt leads the optics team. " * 2,
    "bananas are yellow fruit",
)


def build_cross_encoder(bert: Path, folder: Path, *, n_labels: int = 1) -> Path:
    """Put a pooler that passes its input on, and a head of evenly spaced weights, on the random BERT's encoder."""
    shutil.copytree(
        bert, folder, ignore=shutil.ignore_patterns("modules.json", "1_Pooling", "sentence_*", "workbench*")
    )
    weights = {f"bert.{name}": tensor for name, tensor in load_file(bert / "model.safetensors").items()}
    weights["bert.pooler.dense.weight"], weights["bert.pooler.dense.bias"] = torch.eye(32), torch.zeros(32)
    weights["classifier.weight"] = torch.linspace(-1, 1, 32 * n_labels).reshape(n_labels, 32).contiguous()
    weights["classifier.bias"] = torch.full((n_labels,), 0.5)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    labels = {"id2label": {str(place): f"L{place}" for place in range(n_labels)}}
    config = json.loads((bert / "config.json").read_text()) | labels
    config["label2id"] = {name: int(place) for place, name in labels["id2label"].items()}
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["BertForSequenceClassification"]}))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    special = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=special
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture
def folder(tiny_home: Path, tmp_path: Path) -> Path:
    return build_cross_encoder(find_model("tiny-random-bert").folder, tmp_path / "cross")


@pytest.fixture
def reranker(folder: Path) -> CrossEncoderReranker:
    return CrossEncoderReranker(find_model(str(folder), kind="reranker"), backend="torch", batch_tokens=128)


def test_scores_are_the_logits_of_sentence_transformers_in_order(reranker: CrossEncoderReranker, folder: Path) -> None:
    socket: Reranker = reranker
    scores = socket.score(QUESTION, TEXTS)
    reference = CrossEncoder(str(folder), device="cpu", local_files_only=True, activation_fn=torch.nn.Identity())
    assert scores.dtype == np.float32
    assert np.allclose(scores, reference.predict([(QUESTION, text) for text in TEXTS]), atol=1e-5)
    assert scores[1] == scores[4]
    assert len(set(scores.tolist())) == 4
    assert (reranker.n_scored, reranker.n_cut) == (5, 0)


def test_no_texts_have_no_scores(reranker: CrossEncoderReranker) -> None:
    assert reranker.score(QUESTION, []).shape == (0,)


def test_a_score_does_not_depend_on_the_other_texts(reranker: CrossEncoderReranker) -> None:
    texts = [f"{'word ' * (number % 13)}number {number}" for number in range(30)]
    together = reranker.score(QUESTION, texts)
    alone = np.concatenate([reranker.score(QUESTION, [text]) for text in texts])
    assert np.allclose(together, alone, atol=1e-5)
    assert np.allclose(reranker.score(QUESTION, texts[::-1]), together[::-1], atol=1e-5)
    assert np.array_equal(reranker.score(QUESTION, texts), together)


def test_a_long_passage_is_cut_at_its_end_and_counted(reranker: CrossEncoderReranker) -> None:
    # Every "a" is one token, and the special tokens are three.
    question = "a " * 20
    fits = "b " * (reranker.max_tokens - 20 - 3)
    exact, longer, other = reranker.score(question, [fits, fits + "c " * 200, "c " + fits])
    assert longer == pytest.approx(exact, abs=1e-5)
    assert other != pytest.approx(exact, abs=1e-5)
    assert (reranker.n_scored, reranker.n_cut) == (3, 2)


def test_a_question_is_never_cut(reranker: CrossEncoderReranker) -> None:
    longest = reranker.max_tokens - 3 - 1
    assert reranker.score("a " * longest, ["b b"]).shape == (1,)
    assert reranker.n_cut == 1
    with pytest.raises(PromptBudgetError, match=r"the question has 128 tokens, cross reads 128"):
        reranker.score("a " * (longest + 1), ["b b"])


def test_threads_share_a_reranker_and_its_count(reranker: CrossEncoderReranker) -> None:
    texts = [*TEXTS, "long " * 200]
    scores = reranker.score(QUESTION, texts)
    with ThreadPoolExecutor(4) as pool:
        for again in pool.map(lambda _: reranker.score(QUESTION, texts), range(16)):
            assert np.allclose(again, scores, atol=1e-5)
    assert (reranker.n_scored, reranker.n_cut) == (17 * 6, 17)


@pytest.mark.parametrize("prefix", ["classifier.", "bert.pooler.", "bert.encoder.layer.1.output.dense.weight"])
def test_a_weight_that_would_be_drawn_at_random_is_refused(folder: Path, prefix: str) -> None:
    weights = load_file(folder / "model.safetensors")
    left = {name: tensor for name, tensor in weights.items() if not name.startswith(prefix)}
    assert len(left) < len(weights)
    save_file(left, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelIntegrityError, match=rf"weights are missing: \['{prefix}.*drawn at random"):
        CrossEncoderReranker(find_model(str(folder)))


def test_more_than_one_label_is_refused(tiny_home: Path, tmp_path: Path) -> None:
    folder = build_cross_encoder(find_model("tiny-random-bert").folder, tmp_path / "three", n_labels=3)
    with pytest.raises(ModelIntegrityError, match="gives 3 scores a pair"):
        CrossEncoderReranker(find_model(str(folder)))


def test_a_folder_saved_by_sentence_transformers_is_a_reranker_and_can_be_added(
    folder: Path, reranker: CrossEncoderReranker, empty_home: Path, tmp_path: Path
) -> None:
    saved = tmp_path / "saved"
    CrossEncoder(str(folder), device="cpu", local_files_only=True).save_pretrained(str(saved), create_model_card=False)
    assert json.loads((saved / "config_sentence_transformers.json").read_text())["model_type"] == "CrossEncoder"
    added = add_folder(saved)
    assert added.kind == "reranker"
    again = CrossEncoderReranker(find_model("saved", kind="reranker"), backend="torch")
    assert np.allclose(again.score(QUESTION, TEXTS), reranker.score(QUESTION, TEXTS), atol=1e-5)


def test_a_default_prompt_stands_before_the_question(
    folder: Path, reranker: CrossEncoderReranker, tmp_path: Path
) -> None:
    model = CrossEncoder(
        str(folder), device="cpu", local_files_only=True, prompts={"ask": "ask: "}, default_prompt_name="ask"
    )
    model.save_pretrained(str(tmp_path / "saved"), create_model_card=False)
    prompted = CrossEncoderReranker(find_model(str(tmp_path / "saved")), backend="torch")
    assert np.allclose(prompted.score(QUESTION, TEXTS), reranker.score("ask: " + QUESTION, TEXTS), atol=1e-5)


def test_on_openvino_the_scores_are_near_those_of_torch_and_do_not_depend_on_the_other_texts(
    folder: Path, reranker: CrossEncoderReranker, empty_home: Path
) -> None:
    pytest.importorskip("openvino")
    ours = CrossEncoderReranker(find_model(str(folder)))  # auto
    assert (reranker.backend, ours.backend.split("-")[0]) == ("torch-float32", "openvino")
    texts = [*TEXTS, "long " * 200]
    scores, wanted = ours.score(QUESTION, texts), reranker.score(QUESTION, texts)
    assert np.allclose(scores, wanted, atol=1e-5 if ours.backend == "openvino-float32" else 5e-2)
    assert scores.argsort().tolist() == wanted.argsort().tolist()
    assert np.allclose(scores, [ours.score(QUESTION, [text])[0] for text in texts], atol=1e-5)
    assert (ours.n_scored, ours.n_cut) == (2 * len(texts), 2)
    model: Any = ours._model[0].auto_model
    assert not any(name.startswith("bert.encoder") for name, _ in model.named_parameters())


def test_a_head_that_reads_more_than_the_last_hidden_states_is_refused_on_openvino(
    folder: Path, empty_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")
    forward = BertForSequenceClassification.forward

    def read_more(self: Any, **features: Any) -> Any:
        found = forward(self, **features)
        found.logits = found.logits + self.bert(**features, output_hidden_states=True).hidden_states[0].mean()
        return found

    monkeypatch.setattr(BertForSequenceClassification, "forward", read_more)
    with pytest.raises(ModelIntegrityError, match=r"reads more than .* --set models\.reranker_backend=torch"):
        CrossEncoderReranker(find_model(str(folder)), backend="openvino")


def test_openvino_asked_for_and_not_installed_names_the_rerankers_knob(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_encoder, "has_openvino", lambda: False)
    assert CrossEncoderReranker(find_model(str(folder))).backend == "torch-float32"
    with pytest.raises(ConfigError, match=r"models\.reranker_backend is 'openvino'.*models\.reranker_backend=torch"):
        CrossEncoderReranker(find_model(str(folder)), backend="openvino")


def test_an_embedder_is_no_reranker(tiny_home: Path) -> None:
    with pytest.raises(MissingModelError, match="kind embedder"):
        CrossEncoderReranker(find_model("tiny-random-bert"))


def test_another_kind_of_sentence_transformer_is_refused_by_name(tiny_home: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(find_model("tiny-random-bert").folder, tmp_path / "sparse")
    (folder / "config_sentence_transformers.json").write_text('{"model_type": "SparseEncoder"}')
    with pytest.raises(ModelIntegrityError, match="model_type is 'SparseEncoder'"):
        find_model(str(folder))
