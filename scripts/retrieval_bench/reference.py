"""BM25 by bm25s and nearest neighbours by sentence-transformers + FAISS over our own chunks and words.

Runs in the peers' environment: python -m retrieval_bench.reference TASK.json RESULT.json, where the task's `export` is
what `ours.py` wrote. Imports no workbench.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from retrieval_bench.engine import Task

Found = dict[str, list[tuple[str, float]]]  # question id → (chunk id, score), best first, equal scores by id


def rank_words(chunks: list[dict[str, Any]], questions: dict[str, Any], depth: int) -> Found:
    """Rank by bm25s: Lucene's variant, k1 1.2, b 0.75; chunks without a word of the question are not found."""
    import bm25s  # type: ignore[import-untyped, import-not-found, unused-ignore]

    index = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    index.index([chunk["words"] for chunk in chunks], show_progress=False)
    ids = [chunk["id"] for chunk in chunks]
    found: Found = {}
    for question_id, question in questions.items():
        known = [word for word in question["words"] if word in index.vocab_dict]
        scores = index.get_scores(known).tolist() if known else []
        found[question_id] = best([(id_, score) for id_, score in zip(ids, scores, strict=False) if score > 0], depth)
    return found


def rank_vectors(chunks: list[dict[str, Any]], questions: dict[str, Any], model: str, depth: int) -> Found:
    """Rank by the inner product of sentence-transformers' float32 vectors in a flat FAISS index."""
    import faiss
    from sentence_transformers import SentenceTransformer

    encoder = SentenceTransformer(model, device="cpu")
    vectors = encoder.encode([chunk["text"] for chunk in chunks], normalize_embeddings=True, show_progress_bar=False)
    asked = encoder.encode(
        [question["text"] for question in questions.values()], normalize_embeddings=True, show_progress_bar=False
    )
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    scores, rows = index.search(asked, min(depth, len(chunks)))  # both (Q, depth)
    return {
        question_id: best([(chunks[row]["id"], float(score)) for row, score in zip(*pair, strict=True)], depth)
        for question_id, pair in zip(questions, zip(rows, scores, strict=True), strict=True)
    }


def best(scored: list[tuple[str, float]], depth: int) -> list[tuple[str, float]]:
    """Return the `depth` best, equal scores in order of chunk id."""
    return sorted(scored, key=lambda one: (-one[1], one[0]))[:depth]


def main() -> None:
    """Read the task and our export, write the reference's rankings."""
    task_path, result_path = map(Path, sys.argv[1:])
    task = Task(**json.loads(task_path.read_text(encoding="utf-8")))
    export = json.loads(Path(task.export).read_text(encoding="utf-8"))
    chunks, questions = export["chunks"], export["questions"]
    found = {
        "lexical": rank_words(chunks, questions, task.depth),
        "dense": rank_vectors(chunks, questions, task.model, task.depth),
    }
    result_path.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
