"""A study → its decision: all parts of the verdict put together, in one place and in one order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from types import MappingProxyType

from workbench.decision import Alarm, Decision, Interaction, RouterReport
from workbench.verdict.choice import line_up
from workbench.verdict.compliance import check_answers
from workbench.verdict.costs import price_arms
from workbench.verdict.crossover import find_crossovers
from workbench.verdict.flips import find_flips
from workbench.verdict.interaction import find_interactions
from workbench.verdict.pairs import rule_pairs
from workbench.verdict.recommendation import recommend
from workbench.verdict.strata import climb_ladder, score_strata
from workbench.verdict.study import Study


def decide(
    study: Study,
    *,
    alarms: Sequence[Alarm] = (),
    router: RouterReport | None = None,
    groups: Mapping[str, Set[str]] = MappingProxyType({}),
    interactions: Sequence[Interaction] | None = None,
) -> Decision:
    """Return the verdict on a study. Pure: the same study gives the same decision.

    Args:
        groups: further parts to score, ids of questions by the part's name ("language:de").
        interactions: of arms that belong together; None: found among the study's.
    """
    pairs, costs = rule_pairs(study), price_arms(study)
    field = line_up(study, costs)
    return Decision(
        metric=study.evaluation.ranked_by,
        margin=study.evaluation.margin,
        confidence=study.evaluation.confidence,
        pairs=pairs,
        interactions=find_interactions(study) if interactions is None else tuple(interactions),
        ladders=climb_ladder(study),
        strata=score_strata(study, groups),
        compliance=check_answers(study),
        costs=costs,
        crossovers=find_crossovers(study),
        router=router,
        alarms=tuple(alarms),
        recommendation=recommend(
            study, pairs, costs, field=field, alarms=alarms, flips=find_flips(study, costs, field)
        ),
    )
