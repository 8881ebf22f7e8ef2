"""An arm per question: what is known before answering → which arm to ask. Learnt from, and measured on, the run itself.

Nested cross-validation: every question's choice comes from a router that saw neither the question nor its document.
Inside each fold the training questions decide how strongly to regularise, and whether to route at all: a router that
does not clearly gain on them gives way to the arm that was best on them. So does the fold's choice of the best arm, and
the comparison with the best fixed arm is fair to it. Features: Jeong et al. 2024, https://arxiv.org/abs/2403.14403;
AdaRAGUE, https://arxiv.org/abs/2501.12835.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from workbench.decision import Estimate, RouterReport
from workbench.evaluation import compare_columns, mean_interval
from workbench.evaluation.metrics import score_limits
from workbench.evaluation.paired import as_column
from workbench.types import CaseRecord
from workbench.verdict.pairs import judge
from workbench.verdict.router_features import Features, read_features
from workbench.verdict.study import Study

ROUTED = "routed"
FEWEST = 40  # questions
FOLDS, INNER_FOLDS = 5, 4
STRENGTHS = (1.0, 10.0, 100.0)  # of the ridge
CLEARLY = 1.0  # standard errors by which routing must gain on the training questions
Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Routing:
    """The routed arm: its records, one a question, and what it brought."""

    records: tuple[CaseRecord, ...]
    report: RouterReport


def route(study: Study) -> Routing | None:
    """Route every question that all ranked arms answered.

    None: there are fewer than 40 of them, fewer than two arms, or no arm that retrieves.
    """
    features = read_features(study)
    arms = tuple(name for name, arm in study.ranked.items() if arm.settings.strategy != "routed")
    # What the corpus cannot answer is asked as well, and saying so is what counts there.
    scores = {name: study.scores(name, "abstention") | study.scores(name, study.evaluation.ranked_by) for name in arms}
    ids = [id_ for id_ in features.rows if all(id_ in one for one in scores.values())]
    n_scored = len(study.scores(arms[0], study.evaluation.ranked_by).keys() & set(ids)) if arms else 0
    if n_scored < FEWEST or len(arms) < 2:
        return None
    table = np.array([[fmean(scores[name][id_]) for name in arms] for id_ in ids])  # (Q, A)
    seconds = _mean_seconds(study, arms)
    values = table - study.evaluation.margin * seconds / seconds.max()  # cheaper arms win within the margin
    groups = [study.questions[id_].group or id_ for id_ in ids]
    inputs = np.array([features.rows[id_] for id_ in ids], dtype=np.float64)
    choices, fixed = _choose(inputs, values, groups, study.seed)
    return _conclude(study, ids, arms, choices, fixed, table=table, features=features)


def _choose(inputs: Floats, values: Floats, groups: Sequence[str], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return each question's arm by the router, and by the best fixed arm of its fold, both (Q,)."""
    choices, fixed = np.zeros(len(inputs), dtype=int), np.zeros(len(inputs), dtype=int)
    for train, test in _folds(groups, FOLDS, seed):
        best = int(values[train].mean(axis=0).argmax())
        fixed[test] = best
        strength = _worth_routing(inputs[train], values[train], [groups[place] for place in train], best, seed)
        choices[test] = best if strength is None else _predict(inputs[train], values[train], inputs[test], strength)
    return choices, fixed


def _worth_routing(inputs: Floats, values: Floats, groups: Sequence[str], best: int, seed: int) -> float | None:
    """Return the ridge's strength that gains most over arm `best` on held-out questions; None: none gains clearly."""
    found: list[tuple[float, float]] = []
    for strength in STRENGTHS:
        gains = np.zeros(len(inputs))
        for train, test in _folds(groups, INNER_FOLDS, seed + 1):
            chosen = _predict(inputs[train], values[train], inputs[test], strength)
            gains[test] = values[test, chosen] - values[test, best]
        error = gains.std(ddof=1) / np.sqrt(len(gains))
        if gains.mean() > CLEARLY * error and error > 0:
            found.append((float(gains.mean()), strength))
    return max(found)[1] if found else None


def _predict(inputs: Floats, values: Floats, asked: Floats, strength: float) -> np.ndarray:
    """Fit one ridge an arm and return the arm of the highest predicted value for each row of `asked`."""
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), Ridge(alpha=strength)).fit(inputs, values)
    chosen: np.ndarray = model.predict(asked).argmax(axis=1)
    return chosen


def _folds(groups: Sequence[str], n: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return (training places, test places) of each fold; the questions of one group stay together."""
    from sklearn.model_selection import GroupKFold

    n = min(n, len(set(groups)))
    return list(GroupKFold(n, shuffle=True, random_state=seed).split(np.zeros(len(groups)), groups=groups))


def _conclude(
    study: Study,
    ids: Sequence[str],
    arms: tuple[str, ...],
    choices: np.ndarray,
    fixed: np.ndarray,
    *,
    table: Floats,
    features: Features,
) -> Routing:
    metric, scored = study.evaluation.ranked_by, study.scores(arms[0], study.evaluation.ranked_by)
    rows = np.array([place for place, id_ in enumerate(ids) if id_ in scored])  # those that can be answered
    routed, by_fold, ceiling = table[rows, choices[rows]], table[rows, fixed[rows]], table[rows].max(axis=1)
    best = int(table[rows].mean(axis=0).argmax())
    found = compare_columns(
        as_column(routed), as_column(by_fold), flips=study.evaluation.resamples, seed=study.seed, limits=(0.0, 1.0)
    )
    interval = mean_interval(routed.tolist(), limits=score_limits(metric))
    records = tuple(_copy(study, id_, arms[choice], features) for id_, choice in zip(ids, choices, strict=True))
    spent = [record.costs.seconds for record in records if record.costs is not None]
    report = RouterReport(
        arms=arms,
        best_fixed=arms[best],
        metric=metric,
        score=Estimate(value=interval.mean, low=interval.low, high=interval.high),
        best_fixed_score=float(by_fold.mean()),
        oracle_score=float(ceiling.mean()),
        gap_closed=_gap_closed(routed, by_fold, ceiling, study.seed),
        outcome=judge(found, p=found.p, margin=study.evaluation.margin, confidence=study.evaluation.confidence),
        non_inferior=found.low is not None and found.low > -study.evaluation.margin,
        shares={name: float((choices == place).mean()) for place, name in enumerate(arms)},
        seconds_mean=fmean(spent) if spent else 0.0,
        best_fixed_seconds_mean=float(_mean_seconds(study, arms)[best]),
        features=features.names,
        n=len(rows),
    )
    return Routing(records, report)


def _gap_closed(routed: Floats, fixed: Floats, oracle: Floats, seed: int) -> Estimate | None:
    """Return (routed - fixed) / (oracle - fixed) with its bootstrap interval; None: there is no gap."""
    if not (oracle - fixed).mean():
        return None
    weights = np.random.default_rng(seed).multinomial(len(routed), np.full(len(routed), 1 / len(routed)), size=2000)
    gaps = weights @ (oracle - fixed)
    shares = (weights @ (routed - fixed))[gaps > 0] / gaps[gaps > 0]
    low, high = np.quantile(shares, [0.025, 0.975])
    value = float((routed - fixed).mean() / (oracle - fixed).mean())
    return Estimate(value=value, low=float(low), high=float(high))


def _mean_seconds(study: Study, arms: Sequence[str]) -> Floats:
    """Return each arm's mean seconds, (A,)."""
    return np.array(
        [fmean(one.costs.seconds for one in study.arms[name].records if one.costs is not None) for name in arms]
    )


def _copy(study: Study, question_id: str, arm: str, features: Features) -> CaseRecord:
    """Return the chosen arm's record as the routed arm's, with what the features cost beyond it."""
    record = next(one for one in study.arms[arm].records if one.question_id == question_id)
    if record.costs is None:
        return record.model_copy(update={"arm": ROUTED, "training_seed": None})
    extra = 0.0 if record.hits else features.retrieval_seconds
    extra += 0.0 if arm == features.draft or features.draft is None else features.draft_seconds
    costs = record.costs.model_copy(update={"seconds": record.costs.seconds + extra})
    return record.model_copy(update={"arm": ROUTED, "costs": costs, "training_seed": None})
