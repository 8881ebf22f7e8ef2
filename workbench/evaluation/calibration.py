"""From scores to decisions: a probability behind a score, and the threshold below which a question is refused.

Pure statistics; where the scores come from is the caller's affair. A threshold is about a question: its score is that
of the best hit, and "answerable" says that the documents hold an answer, not that the hit is the right one.
Sources: Platt 1999 (probabilities; with his smoothed targets a separable sample keeps a finite slope);
Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953 (intervals).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.config import ArmConfig
from workbench.errors import ConfigError
from workbench.evaluation.statistics import Interval, mean_interval
from workbench.types import Bool, CaseRecord, Frozen, Question, Split, StopReason

Float64 = NDArray[np.float64]
MIN_OF_EACH_KIND = 10  # fewer: even 0 errors would only say "below 28 %"
N_FOLDS, N_DRAWS = 10, 10  # of the cross-validation
TOLERANCE = 1e-12  # shares that differ by less are rounding


class ErrorRates(Frozen):
    """How often a threshold decides wrongly, with 95 % intervals (`mean_interval`). None: no question of that kind."""

    false_answers: Interval | None  # share of the unanswerable questions that were not refused
    false_refusals: Interval | None  # share of the answerable questions that were refused


class ThresholdFit(Frozen):
    """A threshold and what it costs: a question is answered if its best hit scores `threshold` or more."""

    threshold: float
    cost_ratio: float  # one false answer costs as much as this many false refusals, kind for kind
    auroc: float  # probability that an answerable question scores above an unanswerable one; 0.5: chance
    fitted: ErrorRates  # on the questions it was fitted on: too kind
    cross_validated: ErrorRates  # each question decided by a threshold fitted on the other nine tenths


def fit_log_odds(scores: Sequence[float], relevant: Sequence[bool]) -> tuple[float, float]:
    """Fit log(P / (1 - P)) = slope * score + intercept by maximum likelihood on Platt's targets, slope >= 0.

    Args:
        scores: shape (N,), finite.
        relevant: shape (N,).

    Returns:
        Slope and intercept; slope 0 where higher scores are not more often relevant.

    Raises:
        ValueError: the lengths differ, or there are not both kinds.
    """
    from scipy.optimize import minimize

    x, y = np.asarray(scores, dtype=np.float64), np.asarray(relevant, dtype=bool)
    n_relevant = int(y.sum())
    if len(x) != len(y) or not 0 < n_relevant < len(y):
        raise ValueError(f"{len(x)} scores, {len(y)} judgments, {n_relevant} of them relevant: both kinds are needed")
    targets = np.where(y, (n_relevant + 1) / (n_relevant + 2), 1 / (len(y) - n_relevant + 2))
    centre, width = float(x.mean()), float(x.std()) or 1.0
    unit = (x - centre) / width

    def loss(parameters: Float64) -> tuple[float, Float64]:
        odds = parameters[0] * unit + parameters[1]
        errors = 0.5 * (1 + np.tanh(odds / 2)) - targets  # (N,) the logistic function, without overflow
        value = float(np.mean(np.logaddexp(0.0, odds) - targets * odds))
        return value, np.array([np.mean(errors * unit), np.mean(errors)])

    start = np.array([0.0, math.log(n_relevant / (len(y) - n_relevant))])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None), (None, None)]).x
    slope = float(found[0]) / width
    return slope, float(found[1]) - slope * centre


def fit_threshold(
    answerable: Sequence[float | None], unanswerable: Sequence[float | None], *, cost_ratio: float = 1.0
) -> ThresholdFit:
    """Find the threshold with the least balanced error on these questions' best scores (None: nothing was found).

    Balanced error = (cost_ratio * share of false answers + share of false refusals) / (cost_ratio + 1), so it does not
    matter how many questions of each kind there are. A threshold lies midway between two neighbouring scores; of
    equally good ones it is the one with the widest gap around it, then the lowest.

    Raises:
        ConfigError: fewer than 10 questions of a kind, or no threshold does better than one answer to all.
        ValueError: a score is not finite, or the cost ratio not above 0.
    """
    if not 0 < cost_ratio < math.inf:
        raise ValueError(f"cost_ratio is {cost_ratio}, must be above 0")
    if min(len(answerable), len(unanswerable)) < MIN_OF_EACH_KIND:
        raise ConfigError(
            f"a threshold needs {MIN_OF_EACH_KIND} answerable and {MIN_OF_EACH_KIND} unanswerable dev questions, there "
            f"are {len(answerable)} and {len(unanswerable)}; add questions with and without answers to the dev split, "
            f"or set retrieval.threshold to a number or null"
        )
    scores, kinds = _as_arrays(answerable, unanswerable)
    threshold = _best_threshold(scores, kinds, cost_ratio)
    if threshold is None:
        raise ConfigError(
            f"the best score of a question does not tell {len(answerable)} answerable from {len(unanswerable)} "
            f"unanswerable dev questions (AUROC {_auroc(scores, kinds):.2f}); set retrieval.rerank, or "
            f"retrieval.threshold: null"
        )
    return ThresholdFit(
        threshold=threshold,
        cost_ratio=cost_ratio,
        auroc=_auroc(scores, kinds),
        fitted=_rates(scores >= threshold, kinds),
        cross_validated=_rates(_cross_validate(scores, kinds, cost_ratio), kinds),
    )


def rate_errors(answered: Sequence[bool], answerable: Sequence[bool]) -> ErrorRates:
    """Say how often a threshold erred on questions it was not fitted on: which it let through, which had an answer."""
    return _rates(np.asarray(answered, dtype=bool), np.asarray(answerable, dtype=bool))


def summarise_refusals(
    records: Sequence[CaseRecord],
    questions: Sequence[Question],
    arms: Mapping[str, ArmConfig],
    threshold: ThresholdFit | float | str,
) -> dict[str, Any]:
    """Return what a threshold did: on dev where it was fitted, and on the test questions of the first arm it serves."""
    fit = threshold if isinstance(threshold, ThresholdFit) else None
    arm = next((name for name, one in arms.items() if one.strategy == "rag"), None)
    by_id = {question.id: question for question in questions}
    rates = {}
    for split in (Split.SEEN, Split.NEW):
        asked = [one for one in records if (one.arm, one.split, one.error) == (arm, split, None)]
        answered = [one.stop_reason is not StopReason.REFUSED for one in asked]
        rates[split.value] = rate_errors(answered, [by_id[one.question_id].answerable for one in asked])
    return {
        "threshold": fit.threshold if fit else threshold,
        "dev": fit.model_dump(mode="json") if fit else None,
        "test": {name: errors.model_dump(mode="json") for name, errors in rates.items()},
    }


def _as_arrays(answerable: Sequence[float | None], unanswerable: Sequence[float | None]) -> tuple[Float64, Bool]:
    """Return scores and kinds, both (N,); nothing found is below every threshold."""
    given = [*answerable, *unanswerable]
    n_odd = sum(score is not None and not math.isfinite(score) for score in given)
    if n_odd:
        raise ValueError(f"{n_odd} of {len(given)} scores are not finite")
    scores = np.array([-math.inf if score is None else score for score in given], dtype=np.float64)
    return scores, np.arange(len(given)) < len(answerable)


def _best_threshold(scores: Float64, kinds: Bool, cost_ratio: float) -> float | None:
    """Return the threshold of least balanced error; None where one answer to all errs no more."""
    cuts = np.unique(scores[np.isfinite(scores)])  # (C,) rising; candidate i answers from cuts[i] on
    if not len(cuts):
        return None
    refused = np.searchsorted(np.sort(scores[kinds]), cuts) / kinds.sum()  # (C,) share of the answerable below
    silenced = np.searchsorted(np.sort(scores[~kinds]), cuts) / (~kinds).sum()  # (C,) share of the unanswerable below
    errors = cost_ratio * (1 - silenced) + refused  # (C,)
    least = float(errors.min())
    if least >= min(cost_ratio, 1.0) - TOLERANCE:
        return None
    gaps = np.diff(cuts, prepend=cuts[0])  # (C,) below the first is nothing to stand between
    good = np.flatnonzero(errors <= least + TOLERANCE)
    best = int(good[np.argmax(gaps[good])])  # the first, so the lowest, of equals
    low, high = float(cuts[max(best - 1, 0)]), float(cuts[best])
    middle = low / 2 + high / 2
    return middle if middle > low else high  # two floats with none between


def _cross_validate(scores: Float64, kinds: Bool, cost_ratio: float) -> Float64:
    """Return for each question (N,) in what share of the draws the nine folds without it would answer it.

    Folds are drawn at random from one seed, each with both kinds, and drawn several times, since one draw is a matter
    of luck. Leaving out one question at a time, or cutting folds evenly through the sorted scores, is too kind
    (simulated: by 1 and 2 points at 100 questions of each kind).
    """
    draw = np.random.default_rng(0)
    sides = [np.flatnonzero(kinds == kind) for kind in (True, False)]
    sides = [places[np.argsort(scores[places], kind="stable")] for places in sides]  # whatever the order given
    answered = np.zeros(len(scores))
    folds = np.empty(len(scores), dtype=np.int64)
    for _ in range(N_DRAWS):
        for places in sides:
            folds[draw.permutation(places)] = np.arange(len(places)) % N_FOLDS
        for fold in range(N_FOLDS):
            inside = folds == fold
            threshold = _best_threshold(scores[~inside], kinds[~inside], cost_ratio)
            # Without a threshold every question is answered.
            answered[inside] += 1.0 if threshold is None else scores[inside] >= threshold
    return answered / N_DRAWS


def _rates(answered: Float64 | Bool, kinds: Bool) -> ErrorRates:
    def rate(wrong: Float64) -> Interval | None:
        return mean_interval(np.sort(wrong).tolist()) if len(wrong) else None  # the last digit of a sum sees the order

    shares = answered.astype(np.float64)
    return ErrorRates(false_answers=rate(shares[~kinds]), false_refusals=rate(1 - shares[kinds]))


def _auroc(scores: Float64, kinds: Bool) -> float:
    """Mann-Whitney: the share of (answerable, unanswerable) pairs in the right order, equal scores half."""
    from scipy.stats import rankdata

    n_answerable, n_unanswerable = int(kinds.sum()), int((~kinds).sum())
    ranks = float(rankdata(scores)[kinds].sum())
    return (ranks - n_answerable * (n_answerable + 1) / 2) / (n_answerable * n_unanswerable)
