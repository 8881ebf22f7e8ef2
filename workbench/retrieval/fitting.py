"""Weights and calibrations of a fusion, fitted on dev questions whose relevant spans are known.

A grid, not a gradient: nDCG@10 is a step function, and a grid gives the same weights on every machine. Even weights
stay unless others are better by more than a standard error: the best of a grid is mostly the luckiest (Cranfield, 200
random dev splits of 20 to 112 questions: the best weights lose up to 0.8 points nDCG@10 on the rest against this rule).
Source of the rule: Breiman, Friedman, Olshen and Stone, Classification and Regression Trees, 1984, section 3.4.3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np

from workbench.config import FusionConfig
from workbench.contracts import ChunkStore
from workbench.errors import ConfigError
from workbench.evaluation import retrieval_scores
from workbench.evaluation.calibration import Float64, fit_log_odds
from workbench.retrieval.fusion import Calibration, Fuse, by_rank, fuse_convex, fuse_log_odds
from workbench.retrieval.scored import Part, Scored
from workbench.types import EVERYTHING, Chunk, Frozen, HitRecord, Question, Scope, Span

MIN_QUESTIONS = 20  # with fewer the best weights are those of the luckiest question
CUT_OFF = 10  # nDCG@10
TOLERANCE = 1e-9  # nDCG values that differ by less are a tie


class FusionFit(Frozen):
    """What was fitted for a fusion, and how good each way to fuse is on the dev questions it was fitted on."""

    parts: tuple[str, ...]  # kinds, in the order of the config
    pool: int
    n_questions: int
    calibrations: tuple[Calibration, ...]  # one a part
    weights: dict[str, tuple[float, ...]]  # by "convex" and "log_odds": one a part, sum 1
    part_ndcg: tuple[float, ...]  # nDCG@10 of each part alone
    ndcg: dict[str, float]  # nDCG@10 by "rank", "convex" and "log_odds"; the last two are too kind


@dataclass(frozen=True, slots=True)
class _Case:
    """One dev question: what each part found, and the chunks behind it."""

    question: Question
    pools: list[Scored]
    chunks: dict[str, Chunk]


def fit_fusion(
    config: FusionConfig,
    parts: Sequence[Part],
    collection: ChunkStore,
    questions: Sequence[Question],
    *,
    scope: Scope = EVERYTHING,
) -> FusionFit:
    """Fit weights for `convex` and `log_odds`: the most even within one standard error of the best nDCG@10.

    Args:
        config: the fusion; its own weights are not looked at.
        parts: its parts, built, in the config's order.
        collection: what they search.
        questions: dev questions; those without relevant spans are left out.
        scope: what the parts may see.

    Raises:
        ConfigError: fewer than 20 questions with relevant spans, or no part finds anything relevant.
    """
    judged = [question for question in questions if question.relevant]
    if len(judged) < MIN_QUESTIONS:
        raise ConfigError(
            f"fitting retrieval.method.weights needs {MIN_QUESTIONS} dev questions with relevant spans at least, there "
            f"are {len(judged)}; add some, set the weights (by: convex), or set retrieval.method.by: rank"
        )
    cases = [_ask(question, parts, collection, config.pool, scope) for question in judged]
    calibrations = tuple(_calibrate(cases, place) for place in range(len(parts)))
    part_ndcg = tuple(float(_ndcg(cases, _only(place), config.pool).mean()) for place in range(len(parts)))
    if not any(part_ndcg):
        raise ConfigError(
            f"for {len(judged)} dev questions no part finds a relevant chunk among its best {CUT_OFF}, so nothing can "
            f"be fitted; check that the questions' spans name documents of this collection"
        )
    grid = weight_grid(len(parts))
    ways: dict[str, Callable[..., Scored]] = {
        "convex": fuse_convex,
        "log_odds": partial(fuse_log_odds, calibrations=calibrations),
    }
    ndcg = {"rank": float(_ndcg(cases, by_rank(config.damping), config.pool).mean())}
    weights = {}
    for name, fuse in ways.items():
        scores = np.stack([_ndcg(cases, partial(fuse, weights=one), config.pool) for one in grid])  # (G, N)
        chosen = _choose(scores)
        weights[name], ndcg[name] = grid[chosen], float(scores[chosen].mean())
    return FusionFit(
        parts=tuple(part.kind for part in config.parts),
        pool=config.pool,
        n_questions=len(judged),
        calibrations=calibrations,
        weights=weights,
        part_ndcg=part_ndcg,
        ndcg=ndcg,
    )


def weight_grid(n_parts: int) -> list[tuple[float, ...]]:
    """Return all weights that sum to 1 in steps of 1/20 (1/10 for more than two parts), the most even first."""
    steps = 20 if n_parts == 2 else 10
    points = [point for point in product(range(steps + 1), repeat=n_parts) if sum(point) == steps]
    points.sort(key=lambda point: (sum(share * share for share in point), point))
    return [tuple(share / steps for share in point) for point in points]


def _ask(question: Question, parts: Sequence[Part], collection: ChunkStore, pool: int, scope: Scope) -> _Case:
    pools = [part.rank(question.text, k=pool, scope=scope) for part in parts]
    ids = sorted({id_ for found in pools for id_, _ in found})
    return _Case(question, pools, dict(zip(ids, collection.chunks(ids), strict=True)))


def _calibrate(cases: Sequence[_Case], place: int) -> Calibration:
    """Fit one part's scores over the pools of all questions; a chunk is relevant if it overlaps a relevant span."""
    scores, relevant = [], []
    for case in cases:
        for id_, score in case.pools[place]:
            scores.append(score)
            relevant.append(any(_overlap(case.chunks[id_], span) for span in case.question.relevant))
    n_relevant = sum(relevant)
    if 0 < n_relevant < len(relevant):
        slope, intercept = fit_log_odds(scores, relevant)
        return Calibration(slope=slope, intercept=intercept)
    # All alike, so a score says nothing; the odds are smoothed as Platt's targets are.
    return Calibration(slope=0, intercept=math.log((n_relevant + 1) / (len(relevant) - n_relevant + 1)))


def _choose(scores: Float64) -> int:
    """Return the first row of `scores` (G, N), N questions, that the best row beats by a standard error at most."""
    gaps = scores[scores.mean(axis=1).argmax()] - scores  # (G, N)
    errors = gaps.std(axis=1, ddof=1) / math.sqrt(scores.shape[1])  # (G,) of the mean gap
    return int(np.flatnonzero(gaps.mean(axis=1) <= errors + TOLERANCE)[0])


def _ndcg(cases: Sequence[_Case], fuse: Fuse, depth: int) -> Float64:
    """Return nDCG@10 of each case, shape (N,)."""
    rankings = {}
    for case in cases:
        best = [case.chunks[id_] for id_, _ in fuse(case.pools, k=CUT_OFF, depth=depth)]
        rankings[case.question.id] = [
            HitRecord(document_id=one.document_id, start=one.start, end=one.end, score=0.0, in_prompt=False)
            for one in best
        ]
    scores = retrieval_scores(rankings, {case.question.id: case.question.relevant for case in cases})
    return np.array([scores[case.question.id]["ndcg@10"] for case in cases])


def _only(place: int) -> Fuse:
    return lambda pools, *, k, depth: pools[place][:k]


def _overlap(chunk: Chunk, span: Span) -> bool:
    return chunk.document_id == span.document_id and chunk.start < span.end and span.start < chunk.end
