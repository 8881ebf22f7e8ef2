"""Our exact scores against the reference libraries' over the same chunks, words and model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from retrieval_bench.compare import run_task
from retrieval_bench.engine import Task
from retrieval_bench.quality import Grades, score_rankings

LIMIT = 0.3  # points of nDCG@10


def compare_with_reference(
    task: Task, grades: Grades, *, ours: Path, peers: Path, model: Path, cores: Sequence[int]
) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
    """Return for "lexical" and "dense" both nDCG@10, their distance and that of the scores; and our versions.

    Args:
        task: of our engine, with `export` set and `model` as we name it.
        ours, peers: the interpreters.
        model: the same model's folder.
    """
    versions = run_task(ours, task, cores)["versions"]
    export: dict[str, Any] = json.loads(Path(task.export).read_text(encoding="utf-8"))
    theirs = run_task(peers, Task(**(task_fields(task) | {"model": str(model)})), cores, "retrieval_bench.reference")
    document_of = {chunk["id"]: chunk["document_id"] for chunk in export["chunks"]}
    methods = ("lexical", "dense")
    return {m: compare_hits(export["hits"][m], theirs[m], document_of, grades) for m in methods}, versions


def compare_hits(
    ours: Mapping[str, Any], theirs: Mapping[str, Any], document_of: Mapping[str, str], grades: Grades
) -> dict[str, float]:
    """Compare two rankings of chunks, each (id, score) by question."""
    values = []
    for found in (ours, theirs):
        ranked = {id_: list(dict.fromkeys(document_of[chunk] for chunk, _ in hits)) for id_, hits in found.items()}
        scores = score_rankings(ranked, grades)["ndcg@10"]
        values.append(sum(scores) / len(scores))
    apart = [
        abs(score - other)
        for id_, hits in ours.items()
        if (known := dict(map(tuple, theirs[id_]))) is not None
        for chunk, score in hits
        if (other := known.get(chunk)) is not None
    ]
    same = [[chunk for chunk, _ in ours[id_][:10]] == [chunk for chunk, _ in theirs[id_][:10]] for id_ in ours]
    return {
        "ours": values[0],
        "reference": values[1],
        "points_apart": 100 * abs(values[0] - values[1]),
        "largest_score_difference": max(apart, default=0.0),
        "same_first_ten": sum(same) / len(same),
    }


def task_fields(task: Task) -> dict[str, Any]:
    """Return the fields of a task by name."""
    return {name: getattr(task, name) for name in Task.__dataclass_fields__}


def format_reference(found: Mapping[str, Mapping[str, float]]) -> str:
    """Return one line a method."""
    return "\n".join(
        f"{method:8} nDCG@10 ours {row['ours']:.4f}, reference {row['reference']:.4f}: {row['points_apart']:.2f} "
        f"points apart (limit {LIMIT}); largest score difference {row['largest_score_difference']:.2g}; same first "
        f"ten for {row['same_first_ten']:.1%} of questions"
        for method, row in found.items()
    )
