"""Two runs side by side: the same arm in both, on the questions both answered, paired.

They may be compared when they asked the same questions; what else differs (models, corpus, recipe) is what one
compares, and is listed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.config import EvaluationConfig
from workbench.errors import RunMismatchError
from workbench.evaluation import Difference, paired_difference
from workbench.types import CaseRecord

Manifest = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RunPair:
    """How two runs differ: in their inputs, and arm by arm (second minus first) in one metric."""

    metric: str
    differing: tuple[str, ...]  # names of fingerprints that are not equal
    arms: Mapping[str, Difference]
    n_questions: int


def compare_runs(
    first: tuple[Manifest, Sequence[CaseRecord]],
    second: tuple[Manifest, Sequence[CaseRecord]],
    config: EvaluationConfig,
    *,
    seed: int = 0,
) -> RunPair:
    """Compare the arms that two runs share.

    Raises:
        RunMismatchError: other questions were asked, or no arm is in both.
    """
    prints = [manifest["fingerprints"] for manifest, _ in (first, second)]
    if prints[0]["questions"] != prints[1]["questions"]:
        raise RunMismatchError(
            f"the runs asked different questions (fingerprints {prints[0]['questions'][:12]} and "
            f"{prints[1]['questions'][:12]}), so they may not be compared; run both on one question file and seed"
        )
    metric = config.ranked_by
    scores = [_scores(records, metric) for _, records in (first, second)]
    shared = [arm for arm in scores[0] if arm in scores[1]]
    if not shared:
        raise RunMismatchError(f"no arm is in both runs: {', '.join(scores[0])} against {', '.join(scores[1])}")
    arms = {}
    for arm in shared:
        ids = [id_ for id_ in scores[0][arm] if id_ in scores[1][arm]]
        arms[arm] = paired_difference(
            [scores[1][arm][id_] for id_ in ids],
            [scores[0][arm][id_] for id_ in ids],
            resamples=config.resamples,
            confidence=config.confidence,
            seed=seed,
        )
    return RunPair(
        metric=metric,
        differing=tuple(name for name in prints[0] if prints[0][name] != prints[1].get(name)),
        arms=arms,
        n_questions=len(scores[0][shared[0]]),
    )


def _scores(records: Sequence[CaseRecord], metric: str) -> dict[str, dict[str, float]]:
    scores: dict[str, dict[str, float]] = {}
    for record in records:
        value = record.scores.get(metric)
        if value is not None:
            scores.setdefault(record.arm, {})[record.question_id] = value
    return scores
