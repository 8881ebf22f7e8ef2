"""The retrieval benchmark without its models: same texts for all, figures worked by hand, peers refused clearly."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SCRIPTS = Path(__file__).parent.parent / "scripts"
sys.path.insert(0, str(SCRIPTS))

from bench_retrieval import main  # noqa: E402
from retrieval_bench.child import rank_documents  # noqa: E402
from retrieval_bench.compare import compute_ratios, summarise  # noqa: E402
from retrieval_bench.engine import read_texts  # noqa: E402
from retrieval_bench.quality import compare_methods, score_rankings  # noqa: E402
from retrieval_bench.reranking import (  # noqa: E402
    Asked,
    Scored,
    compare_backends,
    compare_pools,
    format_findings,
)
from retrieval_bench.slice import cut_folder  # noqa: E402
from retrieval_bench.table import format_comparison  # noqa: E402

from workbench.config import ChunkingConfig  # noqa: E402
from workbench.corpus import chunk_documents  # noqa: E402
from workbench.evaluation.beir import read_beir  # noqa: E402
from workbench.types import Chunk, Hit  # noqa: E402

CORPUS = [
    {"_id": "a", "title": "Tides", "text": "High water at noon."},
    {"_id": "b", "title": "Wind .", "text": "Wind . It turns at dusk."},
    {"_id": "c", "title": "Only a title", "text": ""},
    {"_id": "d", "text": " "},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "set"
    (folder / "qrels").mkdir(parents=True)
    queries = [{"_id": "q1", "text": "when is high water?"}, {"_id": "q2", "text": "titles"}]
    for name, rows in (("corpus", CORPUS), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\ta\t1\nq2\tc\t1\n", encoding="utf-8")
    return folder


class Letters:
    max_tokens = 64
    n_special_tokens = 2

    def token_offsets(self, texts: Any) -> list[list[tuple[int, int]]]:
        return [[(n, n + 1) for n in range(len(text))] for text in texts]


def test_peers_get_the_very_texts_we_index(folder: Path) -> None:
    chunks = chunk_documents(read_beir(folder).documents, Letters(), ChunkingConfig())
    assert [(chunk.document_id, chunk.indexed_text) for chunk in chunks] == list(read_texts(folder))


def test_a_slice_is_a_whole_folder_of_its_own(folder: Path, tmp_path: Path) -> None:
    cut = read_beir(cut_folder(folder, tmp_path / "cut", n_documents=2, split="test"))
    assert [document.id for document in cut.documents] == ["a", "b"]
    assert [question.id for question in cut.questions] == ["q1"]


def test_quality_by_hand() -> None:
    grades = {"q1": {"a": 1, "b": 1}, "q2": {"c": 1}}
    scores = score_rankings({"q1": ["x", "a"]}, grades)  # q2 found nothing
    ideal = 1 + 1 / 1.584962500721156  # 1/log2(2) + 1/log2(3)
    assert scores["ndcg@10"] == pytest.approx([(1 / 1.584962500721156) / ideal, 0.0])
    assert scores["recall@100"] == [0.5, 0.0]


def test_gains_are_over_the_better_leg() -> None:
    grades = {f"q{n}": {"a": 1} for n in range(20)}
    good, bad = (dict.fromkeys(grades, ranking) for ranking in (["a"], ["x"]))
    gains = compare_methods({"dense": bad, "lexical": good, "hybrid": good, "reranked": bad}, grades)
    assert gains["hybrid - lexical"]["difference"] == 0
    assert gains["reranked - hybrid"]["difference"] == pytest.approx(-1)
    assert gains["reranked - hybrid"]["p"] < 0.01


def test_a_documents_best_hit_counts_and_the_search_goes_deeper_for_it() -> None:
    class Repeating:
        asked: list[int] = []  # noqa: RUF012

        def search(self, method: str, question: str, k: int) -> list[str]:
            self.asked.append(k)
            return ["a", "a", "b", "a", "c"][:k]

    engine: Any = Repeating()
    assert rank_documents(engine, "dense", "q", 3) == ["a", "b", "c"]
    assert engine.asked == [3, 6]


def test_ratios_take_the_peers_better_setting() -> None:
    def run(ingest: float, milliseconds: float) -> dict[str, Any]:
        sizes = dict.fromkeys(("load_seconds", "open_seconds", "loaded_bytes", "peak_bytes", "disk_bytes"), 1)
        rankings = {method: {"q1": ["a"]} for method in ("dense", "lexical", "hybrid")}
        costs = {"ingest_seconds": ingest, "milliseconds": {"hybrid": [milliseconds]}, "n_vectors": 4}
        return sizes | costs | {"rankings": rankings, "versions": {}, "load_before": 0.0}

    results = {
        "ours/default": [run(2, 5), run(1, 5), run(9, 5)],  # median 2
        "peer/default": [run(8, 4)],
        "peer/64": [run(6, 10)],
    }
    summary = summarise(results, {"q1": {"a": 1}})
    ratios = compute_ratios(summary, "ours/default")
    assert ratios["peer"]["ingest_seconds"] == 3
    assert ratios["peer"]["hybrid p50"] == 0.8
    assert ratios["peer"]["hybrid ndcg@10, ours minus theirs"] == 0
    assert "| ingest_seconds" in format_comparison(summary, ratios)


def test_without_the_peers_environment_the_next_step_is_told(
    folder: Path, tmp_path: Path, tiny_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["bench_retrieval", str(folder), "--model", "tiny-random-bert", "--cores", "1"]
    monkeypatch.setattr(sys, "argv", [*arguments, "--out", str(tmp_path / "out")])
    assert main() == 1
    told = capsys.readouterr().err
    assert "the peers' interpreter is None" in told
    assert "peers.txt" in told


def test_a_reranked_pool_is_judged_by_hand() -> None:
    def hit(document: str) -> Hit:
        return Hit(Chunk(f"{document}:0-1", document, 0, 1, "x"), 0.0)

    hybrid = {f"q{n}": Asked("?", (hit("x"), hit("a"), hit("b"))) for n in range(20)}
    grades = {id_: {"b": 1} for id_ in hybrid}
    scores = {id_: np.array([0.0, 1.0, 2.0], dtype=np.float32) for id_ in hybrid}
    costs = dict.fromkeys(hybrid, 2.0)
    found = compare_pools(hybrid, Scored("fake", scores, costs, costs, 0), grades, [2, 3])
    assert found["pools"]["hybrid"]["ndcg@10"]["mean"] == pytest.approx(0.5)  # 1/log2(4)
    assert found["pools"]["pool 2"]["ndcg@10"]["gain"]["difference"] == pytest.approx(-0.5)  # b is not in the pool
    assert found["pools"]["pool 3"]["ndcg@10"]["gain"]["difference"] == pytest.approx(0.5)
    other = Scored("other", {id_: one + 0.25 for id_, one in scores.items()}, costs, costs, 0)
    against = compare_backends(hybrid, Scored("fake", scores, costs, costs, 0), other, grades)
    assert against["largest_score_difference"] == 0.25
    assert against["ndcg@10"] == [1.0, 1.0]
    assert "pool 3" in format_findings(found | {"against_torch": against})
