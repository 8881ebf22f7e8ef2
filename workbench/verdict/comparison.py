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
from workbench.types import CaseRecord, Split

Manifest = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ArmChange:
    """One arm in one test split: the second run's mean minus the first's, paired over `n` questions."""

    split: Split
    arm: str
    difference: Difference
    n: int


@dataclass(frozen=True, slots=True)
class RunPair:
    """How two runs differ: in their inputs, and arm by arm in one metric, the test splits apart."""

    metric: str
    differing: tuple[str, ...]  # names of fingerprints that are not equal
    changes: tuple[ArmChange, ...]


def compare_runs(
    first: tuple[Manifest, Sequence[CaseRecord]],
    second: tuple[Manifest, Sequence[CaseRecord]],
    config: EvaluationConfig,
    *,
    seed: int = 0,
) -> RunPair:
    """Compare the arms that two runs share.

    Raises:
        RunMismatchError: other test questions were asked, or no arm is in both.
    """
    prints = [manifest["fingerprints"] for manifest, _ in (first, second)]
    asked = [fingerprints["test_questions"] for fingerprints in prints]
    if asked[0] != asked[1]:
        raise RunMismatchError(
            f"the runs asked different questions (fingerprints {asked[0][:12]} and {asked[1][:12]}), "
            f"so they may not be compared; run both on one question file and seed"
        )
    metric = config.ranked_by
    scores = [_scores(records, metric) for _, records in (first, second)]
    changes = []
    for split, arm in scores[0]:
        ours, theirs = scores[0][split, arm], scores[1].get((split, arm), {})
        ids = [id_ for id_ in ours if id_ in theirs]
        if ids:
            difference = paired_difference(
                [theirs[id_] for id_ in ids],
                [ours[id_] for id_ in ids],
                resamples=config.resamples,
                confidence=config.confidence,
                seed=seed,
            )
            changes.append(ArmChange(split, arm, difference, len(ids)))
    if not changes:
        arms = [", ".join(dict.fromkeys(arm for _, arm in one)) for one in scores]
        raise RunMismatchError(f"no arm is in both runs: {arms[0]} against {arms[1]}")
    differing = tuple(name for name in prints[0] if prints[0][name] != prints[1].get(name))
    return RunPair(metric, differing, tuple(changes))


def _scores(records: Sequence[CaseRecord], metric: str) -> dict[tuple[Split, str], dict[str, float]]:
    scores: dict[tuple[Split, str], dict[str, float]] = {}
    for record in records:
        value = record.scores.get(metric)
        if value is not None:
            scores.setdefault((record.split, record.arm), {})[record.question_id] = value
    return scores
