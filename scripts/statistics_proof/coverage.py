"""How often the 95 % intervals of means and differences hold the truth, by kind of score, questions and seeds."""

from __future__ import annotations

import numpy as np

from statistics_proof.answers import draw_scores, true_mean
from workbench.evaluation import compare_columns, mean_interval
from workbench.evaluation.metrics import GOLD_LOGPROB, score_limits

LIMITS = {"em": score_limits("exact_match"), "f1": score_limits("f1"), "logprob": score_limits(GOLD_LOGPROB)}
ROWS = (  # kind, questions, skills of the two arms, training seeds, their spread
    ("em", 80, (0.5, 0.4), 1, 0.0),
    ("em", 150, (0.6, 0.1), 1, 0.0),
    ("em", 400, (0.9, 0.9), 1, 0.0),
    ("em", 80, (0.05, 0.03), 1, 0.0),
    ("f1", 80, (0.5, 0.4), 1, 0.0),
    ("f1", 150, (0.6, 0.1), 1, 0.0),
    ("f1", 400, (0.8, 0.78), 1, 0.0),
    ("logprob", 80, (-2.0, -3.0), 1, 0.0),
    ("logprob", 150, (-2.0, -2.2), 3, 0.0),
    ("logprob", 150, (-2.0, -2.2), 3, 0.3),
    ("logprob", 150, (-2.0, -2.2), 5, 0.3),
)
POOLED = (0.94, 0.96)  # where the intervals' coverage over all rows must lie
LEAST = 0.925  # of a single row: 1,000 studies have a standard error of 0.7 points


def print_coverage(n_studies: int, seed: int) -> list[str]:
    """Print a row each, and return the names of the bounds that are broken."""
    print(f"{'scores':8} {'n':>4} {'seeds':>5} {'spread':>6} {'skills':>14}   difference    mean of a")
    shares: list[tuple[float, float]] = []
    broken = []
    for kind, n, skills, n_seeds, spread in ROWS:
        draws = np.random.default_rng([seed, n, n_seeds, len(kind)])
        held = np.zeros(2)
        for _ in range(n_studies):
            a, b = draw_scores(draws, skills, n=n, kind=kind, n_seeds=n_seeds, seed_spread=spread)
            found = compare_columns(a, b, flips=1, limits=LIMITS[kind])
            truth = true_mean(skills[0], kind) - true_mean(skills[1], kind)
            held[0] += found.low is not None and found.high is not None and found.low <= truth <= found.high
            held[1] += n_seeds > 1 or _holds_mean(a[:, 0].tolist(), true_mean(skills[0], kind), kind)
        difference, mean = held / n_studies
        shares.append((difference, mean))
        told = "–" if n_seeds > 1 else f"{mean:.1%}"
        print(f"{kind:8} {n:4} {n_seeds:5} {spread:6} {skills!s:>14}   {difference:10.1%}   {told:>10}", flush=True)
        if difference < LEAST:
            broken.append(f"coverage of a difference of {kind} at n = {n}")
    pooled = float(np.mean([share[0] for share in shares]))
    means = float(np.mean([share[1] for share, row in zip(shares, ROWS, strict=True) if row[3] == 1]))
    print(f"differences pooled over the rows: {pooled:.2%}, means: {means:.2%}")
    if not POOLED[0] <= pooled <= POOLED[1]:
        broken.append("pooled coverage of differences")
    return broken


def _holds_mean(values: list[float], truth: float, kind: str) -> bool:
    found = mean_interval(values, limits=LIMITS[kind])
    return found.low is not None and found.high is not None and found.low <= truth <= found.high
