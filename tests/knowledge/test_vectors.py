"""Vectors of a segment: scores are exact whatever the index; filters hold; nothing of the build shows in a score."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.config import IndexConfig
from workbench.errors import ConfigError, StaleIndexError
from workbench.knowledge import raw_vectors
from workbench.knowledge.proposals import write_index
from workbench.knowledge.recall import Recall
from workbench.knowledge.vectors import IndexChoice, VectorSegment, write_vectors
from workbench.types import Bool, Float32, Int64

D = 32
APPROXIMATE = {
    "ivf-none": IndexConfig(kind="ivf", codes="none"),
    "ivf-sq8": IndexConfig(kind="ivf", codes="sq8"),
    "ivf-pq": IndexConfig(kind="ivf", codes="pq", target_recall=0.9),
    "ivf-rabitq": IndexConfig(kind="ivf", codes="rabitq", target_recall=0.9),
    "hnsw-sq8": IndexConfig(kind="hnsw", codes="sq8"),
}


def make_vectors(n: int, *, seed: int = 0, dimension: int = D) -> Float32:
    """Unit rows around 60 centres."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((60, dimension))
    rows = centres[random.integers(0, 60, n)] + 0.8 * random.standard_normal((n, dimension))
    unit: Float32 = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def in_blocks(vectors: Float32, size: int = 700) -> Callable[[], Iterator[Float32]]:
    return lambda: (vectors[start : start + size] for start in range(0, len(vectors), size))


def make_segment(folder: Path, vectors: Float32, config: IndexConfig) -> tuple[VectorSegment, IndexChoice]:
    folder.mkdir(exist_ok=True)
    choice = write_vectors(folder, in_blocks(vectors), len(vectors), vectors.shape[1], config)
    return VectorSegment(folder, choice), choice


def exact_scores(vectors: Float32, query: Float32) -> Float32:
    """The definition, row by row: products in float64, numpy's sum, rounded once."""
    wide = query.astype(np.float64)
    return np.array([np.float32(np.sum(row.astype(np.float64) * wide)) for row in vectors], np.float32)


def expected(vectors: Float32, query: Float32, k: int, allowed: Bool | None) -> tuple[Int64, Float32]:
    scores = exact_scores(vectors, query)
    rows = np.arange(len(vectors)) if allowed is None else np.flatnonzero(allowed)
    rows = rows[np.argsort(-scores[rows], kind="stable")]
    if len(rows) > k:
        rows = rows[scores[rows] >= scores[rows[k - 1]]]
    return rows, scores[rows]


@dataclass(frozen=True)
class Built:
    """An approximate segment and questions drawn from the same mixture, none of them a row."""

    segment: VectorSegment
    choice: IndexChoice
    vectors: Float32
    questions: Float32


@pytest.fixture(scope="module", params=list(APPROXIMATE))
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """4,000 rows; the bound below which rows are simply scored is lowered to 300."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("candidates", "proposals"):
            patch.setattr(f"workbench.knowledge.{module}.EXACT_ROWS", 300)
        drawn = make_vectors(4_060)
        vectors, questions = drawn[:4_000], drawn[4_000:]
        vectors[3_000:3_150] = vectors[17]  # one text in 151 chunks
        segment, choice = make_segment(tmp_path_factory.mktemp("s"), vectors, APPROXIMATE[request.param])
        assert f"{choice.kind}-{choice.codes}" == request.param, choice.reason
        yield Built(segment, choice, vectors, questions)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_flat_segment_is_the_definition(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    n, dimension = data.draw(st.integers(1, 90)), data.draw(st.sampled_from([1, 7, 384]))
    vectors = make_vectors(n, seed=data.draw(st.integers(0, 99)), dimension=dimension)
    repeated = data.draw(st.lists(st.integers(0, n - 1), max_size=20))
    vectors[repeated] = vectors[0]
    allowed = data.draw(st.one_of(st.none(), st.lists(st.booleans(), min_size=n, max_size=n).map(np.array)))
    query, k = vectors[data.draw(st.integers(0, n - 1))], data.draw(st.integers(1, n + 3))
    segment, choice = make_segment(tmp_path_factory.mktemp("s"), vectors, IndexConfig(kind="flat"))
    rows, scores = segment.search(query, k=k, allowed=allowed)
    wanted_rows, wanted_scores = expected(vectors, query, k, allowed)
    assert rows.tolist() == wanted_rows.tolist()
    assert scores.tobytes() == wanted_scores.tobytes()
    assert (choice.kind, choice.recall) == ("flat", None)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 199), min_size=1, unique=True), st.sampled_from([5, 128, 384]))
def test_a_score_does_not_depend_on_its_batch(rows: list[int], dimension: int) -> None:
    vectors = make_vectors(200, dimension=dimension)
    together = raw_vectors.score_exactly(vectors, np.arange(200), vectors[3])
    some = raw_vectors.score_exactly(vectors, np.array(rows), vectors[3])
    assert some.tobytes() == together[rows].tobytes()


def measure(built: Built, allowed: Bool) -> float:
    """Recall@10 over the questions, asserting on the way what must always hold."""
    recalls = []
    all_scores = built.questions.astype(np.float64) @ built.vectors.astype(np.float64).T  # (Q, n)
    n_best = min(10, int(allowed.sum()))
    for question, scores_of in zip(built.questions, all_scores, strict=True):
        rows, scores = built.segment.search(question, k=10, allowed=None if allowed.all() else allowed)
        assert allowed[rows].all()
        assert len(rows) >= n_best
        assert scores.tobytes() == exact_scores(built.vectors[rows], question).tobytes()
        assert list(zip(-scores, rows, strict=True)) == sorted(zip(-scores, rows, strict=True))
        best = np.sort(scores_of[allowed])[::-1][:n_best]
        recalls.append(np.mean(scores[:n_best] >= best[-1] - 1e-6) if n_best else 1.0)
    return float(np.mean(recalls))


@pytest.mark.parametrize("share", [1.0, 0.5, 0.2, 0.05, 0.001, 0.0])
def test_recall_holds_under_filters(built: Built, share: float) -> None:
    allowed = np.random.default_rng(1).random(len(built.vectors)) < share
    target = APPROXIMATE[f"{built.choice.kind}-{built.choice.codes}"].target_recall
    assert measure(built, allowed) >= (
        1.0 if share <= 0.05 else target - 0.03
    )  # 0.03: two standard errors of 60 questions


def test_all_rows_that_tie_are_found(built: Built) -> None:
    rows, scores = built.segment.search(built.vectors[17], k=10)
    assert rows.tolist() == [17, *range(3_000, 3_150)]
    assert len(set(scores.tolist())) == 1


def test_vectors_come_back_as_they_went_in(built: Built) -> None:
    vectors = built.segment.vectors()
    assert vectors.tobytes() == built.vectors.tobytes()
    assert not vectors.flags.writeable
    assert vectors.flags.aligned
    assert f"recall@10 {built.choice.recall:.3f}" in built.choice.reason


def test_the_same_vectors_give_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.knowledge.candidates.EXACT_ROWS", 300)
    vectors = make_vectors(3_000)
    choices = []
    for folder, size in (("a", 700), ("b", 41)):
        (tmp_path / folder).mkdir()
        blocks = in_blocks(vectors, size)
        choices.append(write_vectors(tmp_path / folder, blocks, len(vectors), vectors.shape[1], APPROXIMATE["ivf-sq8"]))
    assert choices[0] == choices[1]
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["candidates.faiss", "vectors.npy"]
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in names)


def test_auto_asks_size_then_memory_then_recall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = make_vectors(3_000)
    few, choice = make_segment(tmp_path / "few", vectors, IndexConfig())
    assert (choice.kind, few.n) == ("flat", 3_000)
    assert "that few" in choice.reason
    monkeypatch.setattr("workbench.knowledge.candidates.EXACT_ROWS", 300)
    monkeypatch.setattr("workbench.knowledge.candidates.FLAT_BYTES", 1_000)
    _, choice = make_segment(tmp_path / "auto", vectors, IndexConfig(target_recall=0.9))
    assert choice.kind in ("ivf", "hnsw")
    assert choice.recall is not None
    assert choice.recall >= 0.9
    _, choice = make_segment(tmp_path / "tight", vectors, IndexConfig(memory_gib=0.001))
    assert choice.kind == "flat"
    assert "the limit is 0.001" in choice.reason
    monkeypatch.setattr("workbench.knowledge.candidates.measure_recall", lambda *_: Recall(0.5, 0.0))
    exact, choice = make_segment(tmp_path / "unreached", vectors, IndexConfig())
    assert choice.kind == "flat"
    assert choice.reason.count("gave recall@10 0.500, wanted is 0.97") == 3
    assert exact.search(vectors[5], k=1)[0].tolist() == [5]


def test_hnsw_has_no_rabitq_codes_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.knowledge.candidates.EXACT_ROWS", 300)
    with pytest.raises(ConfigError, match="write codes: sq8"):
        make_segment(tmp_path, make_vectors(2_000), IndexConfig(kind="hnsw", codes="rabitq"))


def test_wrong_questions_are_refused(tmp_path: Path) -> None:
    vectors = make_vectors(5)
    segment, _ = make_segment(tmp_path, vectors, IndexConfig())
    with pytest.raises(StaleIndexError, match=r"\(33,\).*\(32,\)"):
        segment.search(np.ones(33, np.float32), k=1)
    with pytest.raises(ValueError, match="not finite"):
        segment.search(np.full(D, np.nan, np.float32), k=1)
    with pytest.raises(ValueError, match="k is 0"):
        segment.search(vectors[0], k=0)
    with pytest.raises(ValueError, match="mask"):
        segment.search(vectors[0], k=1, allowed=np.ones(4, np.bool_))


def test_wrong_vectors_are_refused(tmp_path: Path) -> None:
    vectors = make_vectors(5)
    with pytest.raises(ValueError, match="5 vectors came, 6 were announced"):
        write_vectors(tmp_path, in_blocks(vectors), 6, D, IndexConfig())
    with pytest.raises(ValueError, match="wanted are 31 columns"):
        write_vectors(tmp_path, in_blocks(vectors), 5, 31, IndexConfig())
    vectors[2, 1] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        write_vectors(tmp_path, in_blocks(vectors), 5, D, IndexConfig())


def test_a_full_disk_is_an_error_even_for_the_last_block() -> None:
    index = faiss.IndexFlatIP(D)
    index.add(make_vectors(5))
    with pytest.raises(OSError, match="No space left"):
        write_index(Path("/dev/full"), index)


def test_missing_and_foreign_files_are_named(built: Built, tmp_path: Path) -> None:
    choice, vectors = built.choice, built.vectors
    with pytest.raises(FileNotFoundError):
        VectorSegment(tmp_path, choice)
    write_vectors(tmp_path, in_blocks(vectors), len(vectors), vectors.shape[1], IndexConfig(kind="flat"))
    with pytest.raises(FileNotFoundError, match="candidates"):
        VectorSegment(tmp_path, choice)
    (tmp_path / "candidates.faiss").write_bytes(b"IxFI" + bytes(20))
    with pytest.raises(ValueError, match=r"candidates\.faiss"):
        VectorSegment(tmp_path, choice)


def test_an_empty_segment_finds_nothing(tmp_path: Path) -> None:
    segment, _ = make_segment(tmp_path, make_vectors(0), IndexConfig())
    assert segment.n == 0
    assert segment.search(np.ones(D, np.float32), k=3)[0].tolist() == []
