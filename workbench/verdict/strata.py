"""Where arms do well: by split, kind and language, by what the base model knows; and where reading fails.

An answer counts as right here if it contains an accepted one: where it fails is asked, not how it is worded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Set
from statistics import fmean

from workbench.decision import Estimate, Ladder, Stratum
from workbench.evaluation import mean_interval
from workbench.evaluation.metrics import score_limits
from workbench.types import CaseRecord, Question
from workbench.verdict.pairs import PARTS, lies_in
from workbench.verdict.study import ArmRun, Study

RIGHT = "contains"


def climb_ladder(study: Study) -> tuple[Ladder, ...]:
    """Return, for each arm that reads passages and each part, how its answers to answerable questions came about."""
    ladders = []
    for name, arm in study.arms.items():
        if not any(record.hits for record in arm.records):
            continue
        for part in PARTS:
            steps = Counter(
                (was_shown(record, study.questions[record.question_id]), record.scores.get(RIGHT) == 1.0)
                for record in _one_seed(arm)
                if study.questions[record.question_id].relevant and lies_in(study, record.question_id, part)
            )
            if steps:
                ladders.append(
                    Ladder(
                        arm=name,
                        part=part,
                        found_right=steps[True, True],
                        read_error=steps[True, False],
                        retrieval_miss=steps[False, False],
                        right_anyway=steps[False, True],
                    )
                )
    return tuple(ladders)


def score_strata(study: Study, groups: Mapping[str, Set[str]]) -> tuple[Stratum, ...]:
    """Return each arm's ranked score in every part that holds questions: splits, kinds, `groups`, known and unknown."""
    parts: dict[str, Set[str]] = {
        part: {id_ for id_ in study.questions if lies_in(study, id_, part)}
        for part in (*PARTS, *sorted({f"kind:{question.kind}" for question in study.questions.values()}))
    }
    parts |= {**groups, **_known(study)}
    return tuple(
        stratum
        for part, ids in parts.items()
        for name in study.arms
        if (stratum := _stratum(study, name, part, ids)) is not None
    )


def _known(study: Study) -> dict[str, set[str]]:
    """Return the questions that the plain closed-book base answers rightly, and the others; {} without such an arm."""
    base = next(
        (
            arm
            for arm in study.ranked.values()
            if arm.settings.strategy == "closed_book" and arm.settings.adapter is None
        ),
        None,
    )
    if base is None:
        return {}
    right = {id_: scores[0] == 1.0 for id_, scores in study.scores(base.name, RIGHT).items()}
    return {
        "known": {id_ for id_, is_right in right.items() if is_right},
        "unknown": {id_ for id_, is_right in right.items() if not is_right},
    }


def _stratum(study: Study, arm: str, part: str, ids: Set[str]) -> Stratum | None:
    metric = study.evaluation.ranked_by
    scores = study.scores(arm, metric)
    values = [fmean(scores[id_]) for id_ in scores if id_ in ids]
    if not values:
        return None
    found = mean_interval(
        values,
        confidence=study.evaluation.confidence,
        limits=score_limits(metric),
    )
    score = Estimate(value=found.mean, low=found.low, high=found.high)
    return Stratum(arm=arm, metric=metric, part=part, score=score, n=found.n)


def _one_seed(arm: ArmRun) -> list[CaseRecord]:
    """Return the records of the first training seed: the ladder counts questions."""
    first = arm.records[0].training_seed
    return [record for record in arm.records if record.training_seed == first]


def was_shown(record: CaseRecord, question: Question) -> bool:
    """Whether a passage in the prompt overlaps a place where the question's answer stands."""
    return any(
        hit.in_prompt and hit.document_id == span.document_id and hit.start < span.end and span.start < hit.end
        for hit in record.hits
        for span in question.relevant
    )
