"""How good rankings of documents are, and whether one is better than another on the same questions.

nDCG@10 and recall by ir_measures, over the graded judgments; intervals by paired bootstrap over questions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.evaluation import mean_interval, paired_difference

Rankings = Mapping[str, Sequence[str]]  # question id → document ids, best first
Grades = Mapping[str, Mapping[str, int]]
MEASURES = ("ndcg@10", "recall@100")  # those of the summary


def score_rankings(rankings: Rankings, grades: Grades) -> dict[str, list[float]]:
    """Return each measure's values, one a question in order of `grades`; a question without a ranking scores 0."""
    from ir_measures import Qrel, R, ScoredDoc, iter_calc, nDCG

    measures = {nDCG @ 10: "ndcg@10", R @ 10: "recall@10", R @ 100: "recall@100"}
    judged = [Qrel(question, document, grade) for question, row in grades.items() for document, grade in row.items()]
    found = [
        ScoredDoc(question, document, float(-rank))
        for question in grades
        for rank, document in enumerate(rankings.get(question, ()))
    ]
    values = {name: dict.fromkeys(grades, 0.0) for name in measures.values()}
    for value in iter_calc(list(measures), judged, found):
        values[measures[value.measure]][value.query_id] = float(value.value)
    return {name: list(row.values()) for name, row in values.items()}


def summarise_quality(rankings: Mapping[str, Rankings], grades: Grades) -> dict[str, dict[str, Any]]:
    """Return mean and 95 % interval of each measure for each method; below 100 documents no recall@100."""
    summary: dict[str, dict[str, Any]] = {}
    for method, ranked in rankings.items():
        scores = score_rankings(ranked, grades)
        kept = [name for name in MEASURES if name != "recall@100" or method != "reranked"]
        summary[method] = {name: mean_interval(scores[name])._asdict() for name in kept}
    return summary


def compare_methods(rankings: Mapping[str, Rankings], grades: Grades) -> dict[str, dict[str, Any]]:
    """Return the gain in nDCG@10 of the hybrid and of its documents over the better leg, and of the rest over it."""
    scores = {method: score_rankings(ranked, grades)["ndcg@10"] for method, ranked in rankings.items()}
    legs = [method for method in ("dense", "lexical") if method in scores]
    better = max(legs, key=lambda method: sum(scores[method]))
    pairs = [("hybrid", better), ("documents", better), ("documents", "hybrid"), ("reranked", "hybrid")]
    return {
        f"{method} - {than}": paired_difference(scores[method], scores[than])._asdict()
        for method, than in pairs
        if method in scores
    }
