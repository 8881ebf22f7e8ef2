"""Every two ranked arms against each other: better, worse, equivalent within the margin, or undecided.

p is corrected over all pairs of one metric and part (Holm 1979, https://www.jstor.org/stable/4615733). Equivalent: two
one-sided tests at 5 %, that is, the 90 % interval lies within the margin (Schuirmann 1987,
https://doi.org/10.1007/BF01068419). It comes first: a difference too small to matter is none, however certain.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np

from workbench.decision import Estimate, Outcome, PairRuling
from workbench.evaluation import Comparison, compare_columns
from workbench.evaluation.metrics import score_limits
from workbench.types import Split
from workbench.verdict.study import ArmRun, Study

PARTS = ("all", Split.SEEN.value, Split.NEW.value)


def rule_pairs(
    study: Study, *, metrics: Sequence[str] | None = None, parts: Sequence[str] = PARTS
) -> tuple[PairRuling, ...]:
    """Return a ruling for every two ranked arms that share questions, by metric and part; None: the ranked metric."""
    rulings: list[PairRuling] = []
    for metric in metrics or (study.evaluation.ranked_by,):
        for part in parts:
            found = [
                (a, b, comparison)
                for a, b in combinations(study.ranked, 2)
                if (comparison := compare_arms(study, a, b, metric, part)) is not None
            ]
            corrected = correct_holm([comparison.p for _, _, comparison in found])
            rulings += [
                _rule(study, (a, b), metric, part, found=comparison, p=p)
                for (a, b, comparison), p in zip(found, corrected, strict=True)
            ]
    return tuple(rulings)


def compare_arms(study: Study, a: str, b: str, metric: str, part: str = "all") -> Comparison | None:
    """Compare two arms on the questions of `part` that both answered; None: there are none.

    Over all questions the splits weigh as `decision.seen_share` says.
    """
    first, second = (study.scores(name, metric) for name in (a, b))
    shared = [id_ for id_ in first if id_ in second and lies_in(study, id_, part)]
    if not shared:
        return None
    strata, shares = split_shares(study, shared, part)
    return compare_columns(
        np.array([first[id_] for id_ in shared]),
        np.array([second[id_] for id_ in shared]),
        strata=strata,
        shares=shares,
        flips=study.evaluation.resamples,
        confidence=study.evaluation.confidence,
        seed=study.seed,
        limits=score_limits(metric),
    )


def split_shares(
    study: Study, question_ids: Iterable[str], part: str
) -> tuple[list[str] | None, dict[str, float] | None]:
    """Return each question's split and the splits' shares; None, None where every question counts alike."""
    share = study.wishes.seen_share
    strata = [str(study.questions[id_].split) for id_ in question_ids]
    if share is None or part != "all" or len(set(strata)) < 2:
        return None, None
    return strata, {Split.SEEN.value: share, Split.NEW.value: 1 - share}


def lies_in(study: Study, question_id: str, part: str) -> bool:
    """Whether a question belongs to a part: "all", a split, or "kind:NAME"."""
    question = study.questions[question_id]
    return part in ("all", str(question.split), f"kind:{question.kind}")


def correct_holm(ps: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values in the order given: the family-wise error of "p below alpha" is alpha."""
    corrected = [0.0] * len(ps)
    running = 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=lambda place: ps[place])):
        running = max(running, min(1.0, (len(ps) - rank) * ps[place]))
        corrected[place] = running
    return corrected


def judge(comparison: Comparison, *, p: float, margin: float | None, confidence: float) -> Outcome:
    """Return what a comparison shows; `margin` None: no difference is too small to matter."""
    if margin is not None and comparison.inner is not None:
        low, high = comparison.inner
        if -margin < low and high < margin:
            return Outcome.EQUIVALENT
    if comparison.low is None or comparison.high is None or p > 1 - confidence:
        return Outcome.UNDECIDED
    if comparison.low > 0:
        return Outcome.BETTER
    return Outcome.WORSE if comparison.high < 0 else Outcome.UNDECIDED


def count_seeds(arm: ArmRun) -> int:
    """Return how many training seeds answered for an arm."""
    return len({record.training_seed for record in arm.records})


def _rule(study: Study, pair: tuple[str, str], metric: str, part: str, *, found: Comparison, p: float) -> PairRuling:
    a, b = pair
    margin = study.evaluation.margin if score_limits(metric) else None
    return PairRuling(
        a=a,
        b=b,
        metric=metric,
        part=part,
        difference=Estimate(value=found.difference, low=found.low, high=found.high),
        p=found.p,
        p_holm=p,
        mde=found.mde,
        n=found.n,
        n_seeds=max(count_seeds(study.arms[a]), count_seeds(study.arms[b])),
        outcome=judge(found, p=p, margin=margin, confidence=study.evaluation.confidence),
    )
