"""txtai behind the `Engine` socket: `Embeddings(hybrid=True, content=True)`, as its documentation shows.

Seen (9.14.0): a local folder loads without a hub, mean pooling read from `1_Pooling`; up to 512 tokens are read where
the model was made for 256, and the rest of a text is cut silently; above 5,000 texts the default index is approximate
(IVF). Hybrid is 0.5 dense + 0.5 normalised BM25 over ten times as many candidates as asked for.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from retrieval_bench.engine import Task, read_texts

WEIGHTS = {"dense": 1.0, "lexical": 0.0, "hybrid": None}  # None: txtai's own default


class Txtai:
    """Dense and lexical alone are only ranked: txtai always runs both legs of a hybrid index, so their clock lies."""

    ranked = ("dense", "lexical", "hybrid")
    timed = ("hybrid",)

    def load(self, task: Task) -> None:
        """Import, load the model, embed once."""
        from txtai import Embeddings  # type: ignore[import-not-found, unused-ignore]

        self._settings = {} if task.setting == "default" else {"encodebatch": int(task.setting)}  # txtai's own is 32
        self._class = Embeddings
        self._models: dict[str, Any] = {}  # txtai's own cache: the model is not loaded twice in this process
        settings = {"path": task.model, "hybrid": True, "content": True, "gpu": False} | self._settings
        self._index = Embeddings(settings, self._models)
        self._index.transform("warm up")

    def ingest(self, folder: Path, store: Path) -> int:
        """Index and save."""
        self._index.index((id_, text, None) for id_, text in read_texts(folder))
        self._index.save(str(store / "txtai"))
        n_vectors = int(self._index.count())
        self._index.close()
        return n_vectors

    def open(self, store: Path) -> None:
        """Load what was saved, with the model that is there."""
        self._index = self._class(models=self._models)
        self._index.load(str(store / "txtai"))

    def prepare(self, questions: Sequence[str]) -> None:
        """Nothing: txtai embeds each question itself."""

    def search(self, method: str, question: str, k: int) -> list[str]:
        """Search one leg or both."""
        return [hit["id"] for hit in self._index.search(question, k, weights=WEIGHTS[method])]

    def versions(self) -> dict[str, str]:
        """Return versions and settings."""
        found = {name: importlib.metadata.version(name) for name in ("txtai", "torch", "transformers", "faiss-cpu")}
        return found | {key: str(value) for key, value in self._settings.items()}
