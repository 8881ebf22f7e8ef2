"""What every test shares: no connection leaves this machine, two random models, and one tiny experiment."""

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

# Tests run on two processes (scripts/check), and tiny models gain nothing from threads that wait for each other.
# Read when torch is first imported, here and in every program that a test starts.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from workbench.models import fetch_model

PRODUCTS = ("Arvo", "Belka", "Corin", "Dunel", "Ester", "Fjord")
COLOURS = ("amber", "teal", "crimson", "ivory", "cobalt", "olive")
PRICES = ("120 crowns", "340 crowns", "75 crowns", "910 crowns", "415 crowns", "66 crowns")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail any connection that leaves this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a test connects to {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session")
def built_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(home))
        for name in ("tiny-random-llama", "tiny-random-bert"):
            fetch_model(name)
    return home


@pytest.fixture
def tiny_home(built_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A WORKBENCH_HOME with both random models. Shared: tests only read it."""
    monkeypatch.setenv("WORKBENCH_HOME", str(built_home))
    return built_home


@pytest.fixture
def experiment(tmp_path: Path, tiny_home: Path) -> Path:
    """The config of a tiny experiment on six documents; it runs in seconds with the random models."""
    return write_experiment(tmp_path)


def write_experiment(folder: Path) -> Path:
    """Write the tiny experiment's corpus, questions and config into `folder`; return the config's path."""
    corpus = folder / "corpus"
    corpus.mkdir()
    questions: list[dict[str, Any]] = []
    for place, (product, colour, price) in enumerate(zip(PRODUCTS, COLOURS, PRICES, strict=True)):
        text = f"# {product} gauge\n\nThe {product} gauge is painted {colour}.\n\nIt costs {price} in the shop.\n"
        (corpus / f"{product.lower()}.md").write_text(text, encoding="utf-8")
        for kind, wording, answer in (
            ("direct", f"What colour is the {product} gauge?", colour),
            ("direct", f"What does the {product} gauge cost?", price),
            ("rephrased", f"In which paint does one buy a {product}?", colour),
            ("unanswerable", f"Who designed the {product} gauge's box?", None),
        ):
            split = "new" if place > 3 else {"rephrased": "seen", "unanswerable": "train"}.get(kind, "train")
            if place == 3 and kind == "direct":
                split = "dev"
            start = text.index(answer) if answer else 0
            spans = (
                [{"document_id": f"{product.lower()}.md", "start": start, "end": start + len(answer)}] if answer else []
            )
            questions.append(
                {
                    "id": f"q{len(questions):02}",
                    "text": wording,
                    "answers": [answer] if answer else [],
                    "relevant": spans,
                    "split": split,
                    "kind": kind,
                    "group": f"{product.lower()}.md",
                }
            )
    (folder / "questions.jsonl").write_text("".join(json.dumps(q) + "\n" for q in questions), encoding="utf-8")
    config = folder / "experiment.yaml"
    config.write_text(
        f"""name: small
corpus: {{path: {corpus}}}
questions: {{path: {folder / "questions.jsonl"}}}
models: {{generator: tiny-random-llama, embedder: tiny-random-bert, device: cpu, dtype: float32}}
chunking: {{max_tokens: 64, overlap_tokens: 8}}
retrieval: {{depth: 5}}
generation: {{max_new_tokens: 6, batch_size: 4}}
training: {{r: 4, alpha: 8, epochs: 2, batch_size: 4, micro_batch_size: 4, evaluations: 2}}
evaluation: {{resamples: 100}}
gates: {{enabled: false}}
""",
        encoding="utf-8",
    )
    return config
