"""Do retrieval and an adapter add up? both - rag - lora + base, question by question. Never assumed.

The same comparison as between two arms: (both + base) / 2 against (rag + lora) / 2, times two.
"""

from __future__ import annotations

import numpy as np

from workbench.decision import Estimate, Interaction
from workbench.evaluation import compare_columns
from workbench.evaluation.metrics import score_limits
from workbench.verdict.pairs import PARTS, judge, lies_in, split_shares
from workbench.verdict.study import Study


def find_interactions(study: Study) -> tuple[Interaction, ...]:
    """Return one interaction an adapter and part, where base, rag, closed book with it and rag with it were ranked."""
    plain = {arm.settings.strategy: name for name, arm in reversed(study.ranked.items()) if not arm.settings.adapter}
    base, rag = plain.get("closed_book"), plain.get("rag")
    if base is None or rag is None:
        return ()
    trained = {(arm.settings.strategy, arm.settings.adapter): name for name, arm in reversed(study.ranked.items())}
    adapters = dict.fromkeys(arm.settings.adapter for arm in study.ranked.values() if arm.settings.adapter)
    found = []
    for adapter in adapters:
        lora, both = trained.get(("closed_book", adapter)), trained.get(("rag", adapter))
        if lora is not None and both is not None:
            found += [_measure(study, (base, rag, lora, both), part) for part in PARTS]
    return tuple(one for one in found if one is not None)


def _measure(study: Study, arms: tuple[str, str, str, str], part: str) -> Interaction | None:
    metric = study.evaluation.ranked_by
    scores = [study.scores(name, metric) for name in arms]
    shared = [id_ for id_ in scores[0] if all(id_ in one for one in scores) and lies_in(study, id_, part)]
    if not shared:
        return None
    base, rag, lora, both = (np.array([one[id_] for id_ in shared]) for one in scores)  # (Q, S) each
    strata, shares = split_shares(study, shared, part)
    half = compare_columns(
        (both + base) / 2,
        (rag + lora) / 2,
        strata=strata,
        shares=shares,
        flips=study.evaluation.resamples,
        confidence=study.evaluation.confidence,
        seed=study.seed,
        limits=score_limits(metric),
    )
    low, high = (None if end is None else 2 * end for end in (half.low, half.high))
    outcome = judge(half, p=half.p, margin=study.evaluation.margin / 2, confidence=study.evaluation.confidence)
    return Interaction(
        base=arms[0],
        rag=arms[1],
        lora=arms[2],
        both=arms[3],
        metric=metric,
        part=part,
        value=Estimate(value=2 * half.difference, low=low, high=high),
        p=half.p,
        n=half.n,
        outcome=outcome,
    )
