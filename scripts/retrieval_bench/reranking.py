"""The parts of scripts/bench_reranking.py: hybrid rankings, a cross-encoder's scores over them, and what they gain."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retrieval_bench.quality import Grades, score_rankings
from retrieval_bench.table import format_table
from workbench.config import FusionConfig, LibraryConfig
from workbench.corpus import chunk_documents
from workbench.evaluation import mean_interval, paired_difference
from workbench.evaluation.beir import BeirFolder
from workbench.knowledge import Collection
from workbench.library import Library
from workbench.models import CrossEncoderReranker
from workbench.retrieval import build_retriever
from workbench.types import Float32, Ranking

DEPTH = 100  # chunks of the hybrid: what the plain ranking is judged by
MEASURES = ("ndcg@10", "recall@10")


@dataclass(frozen=True, slots=True)
class Asked:
    """One question and its hybrid ranking."""

    text: str
    hits: Ranking


@dataclass(frozen=True, slots=True)
class Scored:
    """A model's scores of every pool, by question, each (N,) in the hybrid's order; and what they took."""

    backend: str
    scores: dict[str, Float32]
    seconds: dict[str, float]  # by the clock
    cpu_seconds: dict[str, float]
    n_cut: int  # passages that lost their end


def rank_hybrid(read: BeirFolder, work: Path, *, embedder: str) -> tuple[dict[str, Asked], dict[str, str]]:
    """Index the documents with default knobs below `work` and rank every judged question; also say what ranked them."""
    config = LibraryConfig.model_validate({"models": {"embedder": embedder, "device": "cpu"}})
    library = Library(work / "library", config)
    model = library.embedder
    with Collection.create(library.folder, model.identity, index=config.index) as collection:
        collection.update(
            read.documents, lambda renewed: chunk_documents(renewed, model, config.chunking), model.embed_documents
        )
        retriever = build_retriever(FusionConfig(), collection, model)
        asked = {one.id: Asked(one.text, retriever.search(one.text, k=DEPTH)) for one in read.questions}
    return asked, {"embedder": f"{model.identity.name} ({model.identity.backend})"}


def score_pools(reranker: CrossEncoderReranker, hybrid: Mapping[str, Asked], *, depth: int) -> Scored:
    """Score the first `depth` hits of every question, one question at a time, as a search does."""
    scores, seconds, cpu_seconds = {}, {}, {}
    cut_before = reranker.n_cut
    reranker.score("warm up", ["a passage"])
    for place, (id_, asked) in enumerate(hybrid.items(), 1):
        clock, cpu = time.perf_counter(), time.process_time()
        scores[id_] = reranker.score(asked.text, [hit.chunk.indexed_text for hit in asked.hits[:depth]])
        seconds[id_], cpu_seconds[id_] = time.perf_counter() - clock, time.process_time() - cpu
        if place % 25 == 0:
            print(f"{reranker.backend}: {place}/{len(hybrid)} questions", flush=True)
    return Scored(reranker.backend, scores, seconds, cpu_seconds, reranker.n_cut - cut_before)


def compare_pools(hybrid: Mapping[str, Asked], scored: Scored, grades: Grades, pools: Sequence[int]) -> dict[str, Any]:
    """Return each measure of the plain hybrid and of every pool reranked, with paired gains over the hybrid."""
    plain = score_rankings({id_: list_documents(asked.hits) for id_, asked in hybrid.items()}, grades)
    rows: dict[str, Any] = {"hybrid": {name: mean_interval(plain[name])._asdict() for name in MEASURES}}
    for pool in pools:
        reranked = score_rankings(rerank(hybrid, scored.scores, pool), grades)
        rows[f"pool {pool}"] = {
            name: mean_interval(reranked[name])._asdict()
            | {"gain": paired_difference(reranked[name], plain[name])._asdict()}
            for name in MEASURES
        }
    costs = {"seconds": mean(scored.seconds), "cpu_seconds": mean(scored.cpu_seconds), "n_cut": scored.n_cut}
    return {"backend": scored.backend, "n_questions": len(grades), "pools": rows, "a_question": costs}


def compare_backends(hybrid: Mapping[str, Asked], scored: Scored, reference: Scored, grades: Grades) -> dict[str, Any]:
    """Return how far the scores lie apart, and nDCG@10 and costs of both on the questions of `hybrid`."""
    few = {id_: grades[id_] for id_ in hybrid}
    depth = max(len(one) for one in reference.scores.values())
    ndcg = [
        float(np.mean(score_rankings(rerank(hybrid, one.scores, depth), few)["ndcg@10"])) for one in (scored, reference)
    ]
    apart = [np.abs(scored.scores[id_] - reference.scores[id_]).max(initial=0) for id_ in hybrid]
    times = {
        name: [mean({id_: values[id_] for id_ in hybrid}) for values in pair]
        for name, pair in (
            ("seconds", (scored.seconds, reference.seconds)),
            ("cpu_seconds", (scored.cpu_seconds, reference.cpu_seconds)),
        )
    }
    names = {"backends": [scored.backend, reference.backend], "n_questions": len(few), "pool": depth}
    return names | {"largest_score_difference": float(max(apart)), "ndcg@10": ndcg} | times


def rerank(hybrid: Mapping[str, Asked], scores: Mapping[str, Float32], pool: int) -> dict[str, list[str]]:
    """Return the documents of each question's first `pool` hits, best score first, equal ones by chunk id."""
    ranked = {}
    for id_, asked in hybrid.items():
        pairs = zip(asked.hits[:pool], scores[id_][:pool], strict=True)
        best = sorted(pairs, key=lambda one: (-one[1], one[0].chunk.id))
        ranked[id_] = list_documents([hit for hit, _ in best])
    return ranked


def list_documents(hits: Sequence[Any]) -> list[str]:
    """Return the documents of `hits`, each at its best hit."""
    return list(dict.fromkeys(hit.chunk.document_id for hit in hits))


def mean(values: Mapping[str, float]) -> float:
    """Return the mean over questions."""
    return sum(values.values()) / len(values)


def format_findings(found: Mapping[str, Any]) -> str:
    """Return the table as Markdown, the costs, and the comparison with torch where there is one."""
    rows = []
    for name, row in found["pools"].items():
        cells = [f"{row[measure]['mean']:.4f}" for measure in MEASURES]
        gains = [format_gain(row[measure]["gain"]) if "gain" in row[measure] else "-" for measure in MEASURES]
        rows.append((name, cells[0], gains[0], cells[1], gains[1]))
    cost = found["a_question"]
    lines = [
        format_table(("", "nDCG@10", "gain, points [95 %], p", "recall@10", "gain, points [95 %], p"), rows),
        f"\n{found['backend']}, {found['n_questions']} questions: {cost['seconds']:.2f} s, {cost['cpu_seconds']:.2f} "
        f"CPU seconds a question at the deepest pool; {cost['n_cut']} passages lost their end",
    ]
    if check := found.get("against_torch"):
        ndcg, cpu, clock = (
            " and ".join(f"{value:.{digits}f}" for value in check[name])
            for name, digits in (("ndcg@10", 4), ("cpu_seconds", 2), ("seconds", 2))
        )
        lines.append(
            f"{' against '.join(check['backends'])} on {check['n_questions']} questions: scores at most "
            f"{check['largest_score_difference']:.2g} apart, nDCG@10 {ndcg}; a question takes {cpu} CPU seconds, "
            f"{clock} by the clock"
        )
    return "\n".join(lines)


def format_gain(gain: Mapping[str, float]) -> str:
    """Return a paired difference in points with its interval and p."""
    low, high = 100 * gain["low"], 100 * gain["high"]
    return f"{100 * gain['difference']:+.1f} [{low:+.1f}, {high:+.1f}], {gain['p']:.4f}"
