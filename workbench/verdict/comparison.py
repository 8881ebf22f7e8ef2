"""Two runs side by side: the same arm in both, on the questions both answered, paired.

They may be compared when they asked the same questions; what else differs (models, corpus, recipe) is what one
compares, and is listed. Scores then compare; seconds only on one kind of machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Any

import numpy as np

from workbench.decision import ArmChange, Estimate, RunPair
from workbench.errors import RunMismatchError
from workbench.evaluation import Comparison, compare_columns
from workbench.evaluation.metrics import score_limits
from workbench.verdict.pairs import PARTS, correct_holm, judge, lies_in, split_shares
from workbench.verdict.study import Study

Manifest = Mapping[str, Any]
MACHINE = ("processor", "cores", "gpus")  # of manifest.json's hardware: what decides seconds


def compare_runs(first: tuple[Manifest, Study], second: tuple[Manifest, Study]) -> RunPair:
    """Compare the arms that two runs share, in the first one's metric and within its margin.

    Raises:
        RunMismatchError: other test questions were asked, or no arm is in both.
    """
    prints = [manifest["fingerprints"] for manifest, _ in (first, second)]
    asked = [fingerprints["test_questions"] for fingerprints in prints]
    if asked[0] != asked[1]:
        counts = [len(study.questions) for _, study in (first, second)]
        raise RunMismatchError(
            f"the runs asked different questions ({counts[0]} and {counts[1]}, fingerprints {asked[0][:12]} and "
            f"{asked[1][:12]}), so they may not be compared; run both on one question file and seed"
        )
    one, other = first[1], second[1]
    shared = [arm for arm in one.arms if arm in other.arms]
    if not shared:
        raise RunMismatchError(f"no arm is in both runs: {', '.join(one.arms)} against {', '.join(other.arms)}")
    return RunPair(
        metric=one.evaluation.ranked_by,
        margin=one.evaluation.margin,
        differing=tuple(name for name in prints[0] if prints[0][name] != prints[1].get(name)),
        cautions=tuple(_cautions(first, second)),
        changes=tuple(change for part in PARTS for change in _part(one, other, part, shared)),
    )


def differing_settings(first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[tuple[str, str, str], ...]:
    """Return (key, first, second) for each leaf of two configs that is not equal; "None": not there, or none."""
    ours, theirs = dict(_leaves(first)), dict(_leaves(second))
    keys = dict.fromkeys([*ours, *theirs])
    return tuple((key, str(ours.get(key)), str(theirs.get(key))) for key in keys if ours.get(key) != theirs.get(key))


def _leaves(tree: Mapping[str, Any], path: str = "") -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for key, value in tree.items():
        inner = f"{path}.{key}" if path else str(key)
        found += _leaves(value, inner) if isinstance(value, Mapping) and value else [(inner, value)]
    return found


def _cautions(first: tuple[Manifest, Study], second: tuple[Manifest, Study]) -> list[str]:
    told = []
    machines = [{key: manifest.get("hardware", {}).get(key) for key in MACHINE} for manifest, _ in (first, second)]
    if machines[0] != machines[1]:
        told.append("the runs are from different machines: compare their scores, not their seconds")
    metrics = [study.evaluation.ranked_by for _, study in (first, second)]
    if metrics[0] != metrics[1]:
        told.append(f"the second run ranks by {metrics[1]}; both are compared by {metrics[0]} here")
    raced = [name for name, (_, study) in (("first", first), ("second", second)) if study.race is not None]
    if raced:
        told.append(f"arms raced in the {' and the '.join(raced)} run: some answered few of the questions")
    return told


def _part(one: Study, other: Study, part: str, arms: list[str]) -> list[ArmChange]:
    metric, evaluation = one.evaluation.ranked_by, one.evaluation
    found: dict[str, tuple[tuple[float, float], Comparison]] = {}
    for arm in arms:
        ours, theirs = one.scores(arm, metric), other.scores(arm, metric)
        ids = [id_ for id_ in ours if id_ in theirs and lies_in(one, id_, part)]
        if ids:
            strata, shares = split_shares(one, ids, part)
            columns = [np.array([scores[id_] for id_ in ids]) for scores in (theirs, ours)]
            comparison = compare_columns(
                *columns,
                strata=strata,
                shares=shares,
                flips=evaluation.resamples,
                confidence=evaluation.confidence,
                seed=one.seed,
                limits=score_limits(metric),
            )
            means = [fmean(float(row.mean()) for row in column) for column in columns]
            found[arm] = ((means[1], means[0]), comparison)
    ps = correct_holm([comparison.p for _, comparison in found.values()])
    return [
        ArmChange(
            part=part,
            arm=arm,
            first=scores[0],
            second=scores[1],
            difference=Estimate(value=comparison.difference, low=comparison.low, high=comparison.high),
            p_holm=p,
            n=comparison.n,
            outcome=judge(comparison, p=p, margin=evaluation.margin, confidence=evaluation.confidence),
        )
        for (arm, (scores, comparison)), p in zip(found.items(), ps, strict=True)
    ]
