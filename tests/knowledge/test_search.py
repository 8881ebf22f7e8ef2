"""Both indexes against a reference that fits on a screen: numpy for vectors, fifteen lines of BM25 for words."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.knowledge.ties import Scored, take_best
from workbench.knowledge.vectors import VectorIndex, write_vectors
from workbench.knowledge.words import WordIndex, build_analyzer, write_words
from workbench.types import Chunk

TEXTS = [
    "The price of the brass lamp is ninety euro",
    "Brass lamps, brass lenses and brass tubes: all brass",
    "A lens is priced by its diameter",
    "Error E-104 means the lamp is not connected",
    "Running the lamp for more than ten hours voids the warranty of the lamp",
    "Opening hours are from nine to five",
    "Prices of lenses and lamps change on the first day of each year, prices of tubes do not",
]


def reference_bm25(texts: list[str], question: str, k1: float = 1.2, b: float = 0.75) -> list[float]:
    """Robertson's BM25 with Lucene's idf, on the same words as the index."""
    analyzer = build_analyzer()
    counts = [Counter(analyzer.analyze(text)) for text in texts]
    mean = sum(count.total() for count in counts) / len(counts)
    scores = [0.0] * len(texts)
    for word in analyzer.analyze(question):
        n_with = sum(word in count for count in counts)
        idf = math.log(1 + (len(texts) - n_with + 0.5) / (n_with + 0.5))
        for row, count in enumerate(counts):
            norm = k1 * (1 - b + b * count.total() / mean)
            scores[row] += idf * count[word] * (1 + k1) / (count[word] + norm)
    return scores


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> WordIndex:
    folder = tmp_path_factory.mktemp("words") / "index"
    chunks = [Chunk(f"c{row}", "d", 0, len(text), text) for row, text in enumerate(TEXTS)]
    return WordIndex(folder, write_words(folder, chunks), len(chunks))


@pytest.mark.parametrize(
    "question",
    ["brass lamp", "What is the price of a lens?", "E-104", "lamp lamp brass", "opening hours of the warranty"],
)
def test_bm25_has_lucenes_scores(words: WordIndex, question: str) -> None:
    found = words.search(question, k=len(TEXTS))
    reference = {f"c{row}": score for row, score in enumerate(reference_bm25(TEXTS, question)) if score > 0}
    assert [id_ for id_, _ in found] == sorted(reference, key=lambda id_: (-reference[id_], id_))
    # These lengths are below 40 words, where Lucene's one-byte lengths are exact.
    assert dict(found) == pytest.approx(reference, rel=1e-5)


def test_words_are_lower_cased_stemmed_and_freed_of_stop_words() -> None:
    assert build_analyzer().analyze("The Prices of E-104 were running; café, 漢字") == [
        *["price", "e", "104", "were", "run", "café", "漢字"]
    ]


@pytest.mark.parametrize(
    "question",
    ["", "   ", 'AND OR ("', "the of and", "🔭", "text:lamp^9 +x -y [a TO b]~", "nowhere", "\0", "x" * 10_000],
)
def test_no_question_is_a_syntax_error(words: WordIndex, question: str) -> None:
    assert {id_ for id_, _ in words.search(question, k=3)} <= {f"c{row}" for row in range(len(TEXTS))}


def test_flat_search_is_brute_force(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((300, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[100:150] = vectors[7]  # a run of equal scores, longer than any k below
    ids = [f"c{row:03d}" for row in range(len(vectors))]
    index = VectorIndex(tmp_path / "v", write_vectors(tmp_path / "v", vectors), ids)
    for question in [*vectors[:5], vectors[7], -vectors[7]]:
        scores = vectors @ question  # (300,)
        for k in (1, 10, 300, 500):
            found = index.search(question, k=k)
            assert len(found) == min(k, 300)
            assert [score for _, score in found] == pytest.approx(sorted(scores, reverse=True)[:k], abs=1e-6)
            assert all(score == pytest.approx(scores[int(id_[1:])], abs=1e-6) for id_, score in found)
    run = [f"c{row:03d}" for row in (7, *range(100, 150))]
    assert [id_ for id_, _ in index.search(vectors[7], k=10)] == run[:10]
    assert [id_ for id_, _ in index.search(vectors[7], k=51)] == run


@given(scores=st.lists(st.integers(0, 3), max_size=60), k=st.integers(1, 70), seed=st.integers(0, 9))
def test_the_best_are_those_of_a_full_sort(scores: list[int], k: int, seed: int) -> None:
    ids = [f"c{row:02d}" for row in range(len(scores))]
    # The index under test breaks ties by a shuffled order, as a heap would.
    order = np.random.default_rng(seed).permutation(len(scores))
    shuffled = sorted(((ids[row], float(scores[row])) for row in order), key=lambda one: -one[1])

    def fetch(limit: int) -> Scored:
        return shuffled[:limit]

    assert take_best(fetch, k, len(scores)) == sorted(shuffled, key=lambda one: (-one[1], one[0]))[:k]
