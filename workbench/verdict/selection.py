"""The winner's curse, measured: what the arm that scores highest on some questions scores on others.

The highest of many means is, on average, higher than what it estimates: chance helped it to the top. Here the arm is
picked on four fifths of the questions and scored on the rest, many times over; the mean is what picking by score buys.
Source: Cawley and Talbot 2010, https://www.jmlr.org/papers/v11/cawley10a.html (over-fitting in model selection).
"""

from __future__ import annotations

from statistics import fmean

import numpy as np

from workbench.decision import Selection
from workbench.verdict.pairs import split_shares
from workbench.verdict.study import Study

FOLDS, DRAWS = 5, 40
FEWEST = 2 * FOLDS  # questions
TIED = 1e-12  # means differ by less: rounding


def measure_selection(study: Study) -> Selection | None:
    """Return what picking among the ranked arms brings; None: one arm, or too few questions that all of them answered.

    Splits weigh as `decision.seen_share` says. Arms with equal scores share a draw; `arm` is the first of them.
    """
    metric, arms = study.evaluation.ranked_by, tuple(study.ranked)
    found = [study.scores(name, metric) for name in arms]
    shared = [id_ for id_ in (found[0] if found else {}) if all(id_ in one for one in found)]
    if len(arms) < 2 or len(shared) < FEWEST:
        return None
    scores = np.array([[fmean(one[id_]) for id_ in shared] for one in found])  # (A, Q)
    weights = _weights(study, shared)  # (Q,), sums to 1
    draws = np.random.default_rng(study.seed)
    held_out, picked = np.zeros(len(shared)), np.zeros(len(arms))
    for _ in range(DRAWS):
        fold_of = draws.permutation(np.arange(len(shared)) % FOLDS)
        for fold in range(FOLDS):
            rest = np.where(fold_of == fold, 0.0, weights)
            means = scores @ rest
            best = means >= means.max() - TIED
            held_out[fold_of == fold] += scores[best][:, fold_of == fold].mean(axis=0)
            picked += best / best.sum()
    means = scores @ weights  # (A,)
    top = int(np.argmax(means))
    shares = picked / picked.sum()
    return Selection(
        arm=arms[top],
        score=float(means[top]),
        elsewhere=float(held_out / DRAWS @ weights),
        picked={arms[place]: float(shares[place]) for place in np.argsort(-shares, kind="stable") if shares[place]},
        n_arms=len(arms),
        n=len(shared),
    )


def _weights(study: Study, question_ids: list[str]) -> np.ndarray:
    strata, shares = split_shares(study, question_ids, "all")
    if strata is None or shares is None:
        return np.full(len(question_ids), 1 / len(question_ids))
    return np.array([shares[split] / strata.count(split) for split in strata])


def caution(selection: Selection) -> str:
    """Say what the score of the best of many is worth."""
    return (
        f"The highest score is the highest of {selection.n_arms} on the questions it was picked by: Holm's correction "
        f"covers the comparisons, not the winner's own score. Picked on four fifths of the questions, the best scores "
        f"{100 * selection.elsewhere:.1f} on the rest, against {100 * selection.score:.1f} here; confirm it on fresh "
        f"questions."
    )
