"""How well passages were found, by document spans, so that a judgment outlives re-chunking.

A hit is relevant if it overlaps a relevant span. Each span is one relevant unit; only the first hit that overlaps it
is credited, and spans met by the same hit count as one unit, so that nDCG stays in [0, 1].
Formulas: ir_measures (https://ir-measur.es), Success@k, RR, nDCG@10 (Järvelin and Kekäläinen, TOIS 2002,
https://doi.org/10.1145/582415.582418).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from workbench.types import HitRecord, Span

CUT_OFFS = (1, 3, 5, 10)


def retrieval_scores(
    rankings: Mapping[str, Sequence[HitRecord]], relevant: Mapping[str, Sequence[Span]], *, depth: int = 10
) -> dict[str, dict[str, float]]:
    """Score each question's ranking: "hit@1" ... "hit@10", "mrr", "ndcg@10", all in [0, 1].

    Args:
        rankings: hits by question id, best first; a question without one scores 0.
        relevant: spans by question id; only these questions are scored, and each needs at least one span.
        depth: how many hits were asked for. Measures that look deeper are left out, not guessed.
    """
    from ir_measures import RR, Qrel, ScoredDoc, Success, iter_calc, nDCG

    measures = {Success @ k: f"hit@{k}" for k in CUT_OFFS if k <= depth} | {RR: "mrr"}
    if depth >= 10:
        measures[nDCG @ 10] = "ndcg@10"
    judged, found = [], []
    for question_id, spans in relevant.items():
        if not spans:
            raise ValueError(f"question {question_id!r} has no relevant span, so its ranking cannot be scored")
        credited, missed = _credit(rankings.get(question_id, ())[:depth], spans)
        judged += [Qrel(question_id, unit, 1) for unit in (*filter(None, credited), *missed)]
        found += [
            ScoredDoc(question_id, unit or f"hit {rank}", float(-rank)) for rank, unit in enumerate(credited, start=1)
        ]
    scores: dict[str, dict[str, float]] = {question_id: {} for question_id in relevant}
    if judged:
        for value in iter_calc(list(measures), judged, found):
            scores[value.query_id][measures[value.measure]] = float(value.value)
    order = list(measures.values())
    return {question_id: {name: row[name] for name in order} for question_id, row in scores.items()}


def _credit(hits: Sequence[HitRecord], spans: Sequence[Span]) -> tuple[list[str | None], list[str]]:
    """Return for each hit the unit it is the first to find (None: nothing new), and the units nobody found."""
    open_spans = dict(enumerate(spans))
    credited: list[str | None] = []
    for hit in hits:
        met = [number for number, span in open_spans.items() if _overlap(hit, span)]
        credited.append(f"span {met[0]}" if met else None)
        for number in met:
            del open_spans[number]
    return credited, [f"span {number}" for number in open_spans]


def _overlap(hit: HitRecord, span: Span) -> bool:
    return hit.document_id == span.document_id and hit.start < span.end and span.start < hit.end
