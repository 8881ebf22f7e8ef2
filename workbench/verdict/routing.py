"""An arm per question: what is known before answering → which arm to ask. Learnt from, and measured on, the run itself.

Nested cross-validation: every question's choice comes from a router that saw neither the question nor its document, and
the comparison with the best fixed arm is fair to it: that one, too, is chosen on each fold's training questions. The
router to be asked afterwards is fitted in the same way on all of them. Features: `router_features`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import fmean

import numpy as np

from workbench.decision import Estimate, RouterReport
from workbench.evaluation import compare_columns, mean_interval
from workbench.evaluation.metrics import score_limits
from workbench.evaluation.paired import as_column
from workbench.types import CaseRecord
from workbench.verdict.pairs import judge
from workbench.verdict.router_features import Features, Floats, Vectors, read_features
from workbench.verdict.router_learning import Choices, Lesson, Sight, choose, learn
from workbench.verdict.saved_router import SavedRouter, make_router
from workbench.verdict.study import Study

ROUTED = "routed"
FEWEST = 40  # questions


@dataclass(frozen=True, slots=True)
class Routing:
    """The routed arm: its records, one a question, what it brought, and the router for questions to come."""

    records: tuple[CaseRecord, ...]
    report: RouterReport
    router: SavedRouter


def route(study: Study, *, vectors: Vectors | None = None, fitted_on: str = "") -> Routing | None:
    """Route every question that all ranked arms answered.

    None: there are fewer than 40 of them, fewer than two arms, or no arm that retrieves.

    Args:
        vectors: the questions' embeddings; None: routers do not look at them.
        fitted_on: fingerprint of the answers and of what ranks them, kept in the router.
    """
    from threadpoolctl import threadpool_limits

    whole = read_features(study, vectors)
    arms = tuple(name for name, arm in study.ranked.items() if arm.settings.strategy != "routed")
    # What the corpus cannot answer is asked as well, and saying so is what counts there.
    scores = {name: study.scores(name, "abstention") | study.scores(name, study.evaluation.ranked_by) for name in arms}
    if whole is None or len(arms) < 2:
        return None
    features = whole.of(id_ for id_ in whole.ids if all(id_ in one for one in scores.values()))
    if len(study.scores(arms[0], study.evaluation.ranked_by).keys() & set(features.ids)) < FEWEST:
        return None
    table = np.array([[fmean(scores[name][id_]) for name in arms] for id_ in features.ids])  # (Q, A)
    lesson = _lesson(study, arms, features, table)
    # Fits of milliseconds: BLAS threads that wait for each other on busy cores made them a hundred times as long.
    with threadpool_limits(limits=1):
        learned, choices = learn(lesson, study.seed), choose(lesson, study.seed)
    router = make_router(
        learned,
        arms=arms,
        best=arms[lesson.best],
        features=features,
        metric=study.evaluation.ranked_by,
        fitted_on=fitted_on,
    )
    return _conclude(study, arms, choices, table=table, features=features, router=router)


def _lesson(study: Study, arms: Sequence[str], features: Features, table: Floats) -> Lesson:
    """Return what is learnt from. An arm's seconds weigh up to the margin: cheaper arms win within it.

    The embedding's do not: it takes milliseconds, and a clock read anew would let two evaluations choose differently.
    """
    seconds = _mean_seconds(study, arms)
    weight = study.evaluation.margin / seconds.max()
    looks = product(
        (False, True) if features.draft else (False,), (False, True) if features.seen.vectors.size else (False,)
    )
    sights = [Sight(*look) for look in looks]
    prices = {
        sight: weight * np.array([_looking_seconds(study, arm, sight, features) for arm in arms]) for sight in sights
    }
    groups = [study.questions[id_].group or id_ for id_ in features.ids]
    return Lesson(features.seen, table - weight * seconds, groups, prices)


def _looking_seconds(study: Study, arm: str, sight: Sight, features: Features) -> float:
    """Return the seconds that looking takes where `arm` is chosen then; what the arm does itself is not done twice."""
    own, reader = study.arms[arm].settings, study.arms[features.reader].settings
    searched = own.strategy == "rag" and own.retrieval == reader.retrieval
    drafted = not sight.draft or arm == features.draft
    return (0.0 if searched else features.retrieval_seconds) + (0.0 if drafted else features.draft_seconds)


def _conclude(
    study: Study,
    arms: tuple[str, ...],
    choices: Choices,
    *,
    table: Floats,
    features: Features,
    router: SavedRouter,
) -> Routing:
    metric, scored = study.evaluation.ranked_by, study.scores(arms[0], study.evaluation.ranked_by)
    rows = np.array([place for place, id_ in enumerate(features.ids) if id_ in scored])  # those that can be answered
    routed, by_fold = table[rows, choices.arms[rows]], table[rows, choices.fixed[rows]]
    ceiling = table[rows].max(axis=1)
    best = int(table[rows].mean(axis=0).argmax())
    found = compare_columns(
        as_column(routed), as_column(by_fold), flips=study.evaluation.resamples, seed=study.seed, limits=(0.0, 1.0)
    )
    interval = mean_interval(routed.tolist(), limits=score_limits(metric))
    records = _copy(study, arms, choices, features)
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
        shares={name: float((choices.arms == place).mean()) for place, name in enumerate(arms)},
        seconds_mean=fmean(spent) if spent else 0.0,
        best_fixed_seconds_mean=float(_mean_seconds(study, arms)[best]),
        features=features.names,
        n=len(rows),
    )
    return Routing(records, report, router)


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


def _copy(study: Study, arms: Sequence[str], choices: Choices, features: Features) -> tuple[CaseRecord, ...]:
    """Return each chosen arm's record as the routed arm's, with what looking cost beyond it."""
    records: dict[str, Mapping[str, CaseRecord]] = {
        arm: {record.question_id: record for record in reversed(study.arms[arm].records)} for arm in arms
    }
    copies = []
    for id_, place, sight in zip(features.ids, choices.arms, choices.sights, strict=True):
        arm = arms[place]
        record = records[arm][id_].model_copy(update={"arm": ROUTED, "training_seed": None})
        if record.costs is not None and sight is not None:
            extra = _looking_seconds(study, arm, sight, features) + (
                features.vector_seconds if sight.embedding else 0.0
            )
            costs = record.costs.model_copy(update={"seconds": record.costs.seconds + extra})
            record = record.model_copy(update={"costs": costs})
        copies.append(record)
    return tuple(copies)
