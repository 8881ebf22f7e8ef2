"""The sentence embedder on the random BERT, with torch and with OpenVINO."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer

from workbench.contracts import Embedder
from workbench.errors import MissingModelError, ModelIntegrityError
from workbench.models import SentenceEmbedder, find_model

PASSAGES = (
    "The printer shows error E42 when the paper tray is empty.",
    "Our refund policy allows returns within 30 days.",
    "Dr. Mira Holt leads the optics team.",
    "bananas are yellow fruit",
)
QUESTIONS = (
    "printer error E42",
    "How long do returns take under the refund policy?",
    "who leads the optics team?",
    "yellow bananas",
)


@pytest.fixture(scope="module", params=["torch", "openvino"])
def loaded(built_home: Path, request: pytest.FixtureRequest) -> SentenceEmbedder:
    pytest.importorskip("openvino" if request.param == "openvino" else "torch")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(built_home))
        return SentenceEmbedder(find_model("tiny-random-bert"), backend=request.param, batch_tokens=64)


@pytest.fixture
def embedder(loaded: SentenceEmbedder, tiny_home: Path) -> SentenceEmbedder:
    """Shared: tests only ask it."""
    return loaded


def test_rows_are_unit_and_in_order_and_shared_words_are_near(embedder: SentenceEmbedder) -> None:
    socket: Embedder = embedder
    rows, questions = socket.embed_documents(PASSAGES), socket.embed_questions(QUESTIONS)
    assert rows.shape == (4, 32)
    assert rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    assert (questions @ rows.T).argmax(axis=1).tolist() == [0, 1, 2, 3]
    alone = np.concatenate([embedder.embed_documents([text]) for text in PASSAGES])
    assert np.allclose(rows, alone, atol=1e-6)


def test_nothing_to_embed_is_an_empty_block(embedder: SentenceEmbedder) -> None:
    assert embedder.embed_documents([]).shape == (0, 32)
    assert embedder.token_offsets([]) == []


def test_the_identity_says_what_vectors_depend_on(embedder: SentenceEmbedder) -> None:
    identity = embedder.identity
    assert identity.fingerprint == find_model("tiny-random-bert").fingerprint
    assert (identity.dimension, identity.max_tokens, identity.pooling, identity.normalised) == (32, 128, "mean", True)
    assert identity.backend in ("torch-float32", "openvino-float32", "openvino-bfloat16")


def test_a_vector_does_not_depend_on_what_is_embedded_with_it(embedder: SentenceEmbedder) -> None:
    texts = [f"{'word ' * (number % 17)}number {number}" for number in range(40)]
    rows = embedder.embed_documents(texts)
    for places in ([7], [39, 7, 0], list(range(40))[::-1]):
        assert np.allclose(embedder.embed_documents([texts[place] for place in places]), rows[places], atol=1e-6)
    assert np.array_equal(embedder.embed_documents(texts), rows)


def test_threads_share_an_embedder(embedder: SentenceEmbedder) -> None:
    rows = embedder.embed_documents(PASSAGES)
    with ThreadPoolExecutor(4) as pool:
        for again in pool.map(lambda _: embedder.embed_documents(PASSAGES), range(16)):
            assert np.array_equal(again, rows)


def test_the_numbers_are_those_of_sentence_transformers(tiny_home: Path) -> None:
    installed = find_model("tiny-random-bert")
    reference = SentenceTransformer(str(installed.folder), device="cpu", local_files_only=True)
    wanted = reference.encode(list(PASSAGES), normalize_embeddings=True)
    assert np.allclose(SentenceEmbedder(installed, backend="torch").embed_documents(PASSAGES), wanted, atol=1e-6)


def test_a_prompt_that_is_not_pooled_is_left_out(tiny_home: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(find_model("tiny-random-bert").folder, tmp_path / "instructed")
    (folder / "config_sentence_transformers.json").write_text('{"prompts": {"passage": "read: "}}')
    pooling = folder / "1_Pooling/config.json"
    pooling.write_text(json.dumps(json.loads(pooling.read_text()) | {"include_prompt": False}))
    reference = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    wanted = reference.encode(list(PASSAGES), prompt="read: ", normalize_embeddings=True)
    pooled = reference.encode([f"read: {text}" for text in PASSAGES], normalize_embeddings=True)
    found = SentenceEmbedder(find_model(str(folder)), backend="torch").embed_documents(PASSAGES)
    assert np.allclose(found, wanted, atol=1e-6)
    assert not np.allclose(found, pooled, atol=1e-3)


def test_offsets_cover_the_words_and_are_never_cut(embedder: SentenceEmbedder) -> None:
    text = "Héllo, " * 300
    (offsets,) = embedder.token_offsets([text])
    assert [text[start:end] for start, end in offsets[:4]] == ["Hé", "ll", "o", ","]
    assert offsets[-1] == (len(text) - 2, len(text) - 1)


def test_the_longest_text_fits_and_one_token_more_is_an_error(embedder: SentenceEmbedder) -> None:
    fits = "a " * (embedder.max_tokens - embedder.n_special_tokens)
    assert embedder.embed_documents([fits]).shape == (1, 32)
    with pytest.raises(ValueError, match="text 1 has 129 tokens, tiny-random-bert reads 128"):
        embedder.embed_documents(["short", fits + "a"])


def test_a_long_question_is_cut_at_its_end(embedder: SentenceEmbedder) -> None:
    fits = "a " * (embedder.max_tokens - embedder.n_special_tokens)
    assert np.allclose(embedder.embed_questions([fits]), embedder.embed_questions([fits + "b " * 50]), atol=1e-6)


def test_prompts_of_the_model_are_used_and_take_their_room(tiny_home: Path, tmp_path: Path) -> None:
    plain = find_model("tiny-random-bert")
    folder = shutil.copytree(plain.folder, tmp_path / "prompted")
    (folder / "config_sentence_transformers.json").write_text('{"prompts": {"query": "ask: ", "passage": "read: "}}')
    prompted, bare = (SentenceEmbedder(model, backend="torch") for model in (find_model(str(folder)), plain))
    assert (prompted.identity.question_prompt, prompted.identity.document_prompt) == ("ask: ", "read: ")
    assert prompted.max_tokens == bare.max_tokens - 3  # "re", "##ad", ":"
    assert np.allclose(prompted.embed_documents(["tea"]), bare.embed_documents(["read: tea"]), atol=1e-6)
    assert np.allclose(prompted.embed_questions(["tea"]), bare.embed_documents(["ask: tea"]), atol=1e-6)


@pytest.mark.parametrize(("prefix", "refused"), [("encoder.layer.1.output.dense.weight", True), ("pooler.", False)])
def test_a_missing_weight_is_an_error_unless_nothing_uses_it(
    tiny_home: Path, tmp_path: Path, prefix: str, refused: bool
) -> None:
    plain = find_model("tiny-random-bert")
    folder = shutil.copytree(plain.folder, tmp_path / "holed")
    weights = load_file(folder / "model.safetensors")
    left = {name: tensor for name, tensor in weights.items() if not name.startswith(prefix)}
    assert len(left) < len(weights)
    save_file(left, folder / "model.safetensors", metadata={"format": "pt"})
    if refused:
        with pytest.raises(ModelIntegrityError, match=r"weights are missing: .*layer\.1\.output\.dense"):
            SentenceEmbedder(find_model(str(folder)))
    else:
        holed, whole = (SentenceEmbedder(model, backend="torch") for model in (find_model(str(folder)), plain))
        assert np.array_equal(holed.embed_documents(PASSAGES), whole.embed_documents(PASSAGES))


def test_a_generator_is_no_embedder(tiny_home: Path) -> None:
    with pytest.raises(MissingModelError, match="kind generator"):
        SentenceEmbedder(find_model("tiny-random-llama"))
