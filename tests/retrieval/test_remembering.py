"""The last question only: asked twice in a row it is searched and embedded once, and nothing older is served."""

from collections.abc import Sequence

import numpy as np

from workbench.filters import parse_filter
from workbench.retrieval import LastEmbedded, LastFound
from workbench.types import EVERYTHING, Float32, Found, Ranking, Scope


class CountingFinder:
    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    def find(self, question: str, *, k: int, scope: Scope = EVERYTHING) -> Found:
        self.asked.append((question, k))
        return Found((), float(len(self.asked)), True)

    def search(self, question: str, *, k: int, scope: Scope = EVERYTHING) -> Ranking:
        return self.find(question, k=k, scope=scope).ranking


def test_only_the_same_search_as_the_last_is_not_made_again() -> None:
    inner = CountingFinder()
    finder = LastFound(inner)
    assert finder.find("a", k=3) == finder.find("a", k=3)
    assert finder.search("a", k=3) == () and len(inner.asked) == 1
    finder.find("a", k=4)
    finder.find("a", k=4, scope=Scope(parse_filter({"language": "en"}), EVERYTHING.principals))
    finder.find("b", k=3)
    finder.find("a", k=3)
    assert inner.asked == [("a", 3), ("a", 4), ("a", 4), ("b", 3), ("a", 3)]


class CountingEmbedder:
    max_tokens, n_special_tokens = 16, 2
    identity = None

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def token_offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        return [[] for _ in texts]

    def embed_documents(self, texts: Sequence[str]) -> Float32:
        return np.ones((len(texts), 2), dtype=np.float32)

    def embed_questions(self, texts: Sequence[str]) -> Float32:
        self.asked.append(tuple(texts))
        return np.full((len(texts), 2), len(self.asked), dtype=np.float32)


def test_one_question_is_embedded_once_and_several_pass_through() -> None:
    inner = CountingEmbedder()
    embedder = LastEmbedded(inner)  # type: ignore[arg-type]  # it needs no identity here
    assert np.array_equal(embedder.embed_questions(["a"]), embedder.embed_questions(["a"]))
    embedder.embed_questions(["a", "b"])
    embedder.embed_questions(["b"])
    embedder.embed_questions(["a"])
    assert inner.asked == [("a",), ("a", "b"), ("b",), ("a",)]
    assert embedder.embed_questions([]).shape == (0, 2) and embedder.embed_documents(["x"]).shape == (1, 2)
