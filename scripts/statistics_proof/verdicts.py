"""How often a verdict is wrong: winners where there are none, equivalence where the difference is the margin itself."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from statistics_proof.answers import draw_scores, true_mean
from workbench.decision import Outcome
from workbench.evaluation import compare_columns
from workbench.verdict.pairs import correct_holm, judge

ARMS, QUESTIONS, FLIPS = 5, 150, 400
MOST = 0.05  # share of studies with a wrong verdict
NOISE = 1.7  # standard errors above it that the number of studies allows


def print_verdicts(n_studies: int, seed: int) -> list[str]:
    """Print the error rates and return the names of those that are too high."""
    bound = MOST + NOISE * np.sqrt(MOST * (1 - MOST) / n_studies)
    rates = {
        "false winners, five equal arms (Holm)": _false_winners(n_studies, seed),
        "equivalence where the difference is the margin": _false_equivalence(n_studies, seed),
    }
    for name, rate in rates.items():
        print(f"{name}: {rate:.1%}")
    power, promised = _power(n_studies, seed)
    print(f"a difference as large as the minimum detectable effect is found in {power:.1%}, promised {promised:.0%}")
    broken = [name for name, rate in rates.items() if rate > bound]
    return [*broken, *(["power at the minimum detectable effect"] if abs(power - promised) > 0.05 else [])]


def _false_winners(n_studies: int, seed: int) -> float:
    """Share of studies of equal arms in which any pair is called better or worse."""
    draws, wrong = np.random.default_rng([seed, 1]), 0
    for study in range(n_studies):
        arms = draw_scores(draws, [0.4] * ARMS, n=QUESTIONS, kind="f1")
        found = [compare_columns(a, b, flips=FLIPS * 5, seed=study % 7) for a, b in combinations(arms, 2)]
        corrected = correct_holm([one.p for one in found])
        outcomes = {judge(one, p=p, margin=None, confidence=0.95) for one, p in zip(found, corrected, strict=True)}
        wrong += bool(outcomes & {Outcome.BETTER, Outcome.WORSE})
    return wrong / n_studies


def _false_equivalence(n_studies: int, seed: int) -> float:
    """Share of pairs called equivalent whose true difference is exactly the margin."""
    draws, wrong = np.random.default_rng([seed, 2]), 0
    skills = (0.6, 0.5)
    margin = true_mean(skills[0], "f1") - true_mean(skills[1], "f1")
    for _ in range(n_studies):
        a, b = draw_scores(draws, skills, n=400, kind="f1")
        found = compare_columns(a, b, flips=1)
        wrong += judge(found, p=1.0, margin=margin, confidence=0.95) is Outcome.EQUIVALENT
    return wrong / n_studies


def _power(n_studies: int, seed: int) -> tuple[float, float]:
    """Share of studies that find a difference of the size that they say they detect, and the share promised."""
    draws = np.random.default_rng([seed, 3])
    effects = []
    for _ in range(200):
        a, b = draw_scores(draws, (-2.0, -2.0), n=QUESTIONS, kind="logprob")
        effects.append(compare_columns(a, b, flips=1, limits=None).mde or 0.0)
    effect, found = float(np.mean(effects)), 0
    for _ in range(n_studies):
        a, b = draw_scores(draws, (-2.0 + effect, -2.0), n=QUESTIONS, kind="logprob")
        low = compare_columns(a, b, flips=1, limits=None).low
        found += low is not None and low > 0
    return found / n_studies, 0.8
