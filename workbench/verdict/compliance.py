"""How often each arm's answers keep to the declared checks: specialisation, measured."""

from __future__ import annotations

from collections import defaultdict
from statistics import fmean

from workbench.decision import Compliance, Estimate
from workbench.evaluation import mean_interval
from workbench.evaluation.checks import meets
from workbench.verdict.study import Study


def check_answers(study: Study) -> tuple[Compliance, ...]:
    """Return each arm's share of answers that meet each check, controls included, in the order of the config.

    A question counts once, its training seeds averaged; a failed answer meets nothing. Unanswerable questions are left
    out unless a check names their kind: a refusal has a form of its own.
    """
    found = []
    for name, check in study.evaluation.checks.items():
        for arm in study.arms.values():
            met: dict[str, list[float]] = defaultdict(list)
            for record in arm.records:
                question = study.questions[record.question_id]
                if question.kind in check.kinds or (not check.kinds and question.answerable):
                    met[record.question_id].append(float(record.error is None and meets(check, record.answer)))
            if met:
                share = mean_interval(
                    [fmean(seeds) for seeds in met.values()],
                    confidence=study.evaluation.confidence,
                    limits=(0.0, 1.0),
                )
                estimate = Estimate(value=share.mean, low=share.low, high=share.high)
                found.append(Compliance(arm=arm.name, check=name, share=estimate, n=share.n))
    return tuple(found)
