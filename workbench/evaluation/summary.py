"""Records to summary.json: every figure with its interval, the two test splits always apart.

Not the answering, not the verdict: this only counts, averages and compares what `records.jsonl` holds. Clock times
stand under "costs" alone, so that the rest can be compared between runs byte for byte.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from workbench.config import ArmConfig, EvaluationConfig
from workbench.errors import RunMismatchError
from workbench.evaluation.metrics import SCORES, score_limits
from workbench.evaluation.paired import paired_difference
from workbench.evaluation.retrieval_metrics import retrieval_scores
from workbench.evaluation.splits import TEST_SPLITS, is_placed
from workbench.evaluation.statistics import mean_interval
from workbench.types import CaseRecord, Question, ReadFailure, Split

ScoresByArm = Mapping[str, Mapping[str, Mapping[str, float | None]]]  # arm → question id → score name → value
LOST = ("exact_match", "contains", "f1", "abstention")  # what an arm that failed on a question scores 0 in
DIGITS = 6  # of every figure: the same file for the same answers, whatever the order of addition


def summarise(
    records: Sequence[CaseRecord],
    *,
    questions: Sequence[Question],
    config: EvaluationConfig,
    arms: Mapping[str, ArmConfig],
    build_costs: Mapping[str, Mapping[str, float]],
    losses: Mapping[str, Mapping[str, float]],
    failures: Sequence[ReadFailure] = (),
    retrieval_depth: int = 10,
    seed: int = 0,
    compared_in: Sequence[str] = SCORES,
) -> dict[str, Any]:
    """Return what summary.json holds, keys in the order of `arms` and of the score names.

    Args:
        records: one per question, arm and training seed; an errored one scores 0 in what applies to its question, and
            is counted.
        questions: at least those of the records.
        build_costs: by arm, figures spent before the first question, named with their unit ("training_seconds").
        losses: by adapter, figures of its training ("held_out", "train").
        failures: files that could not be read.
        retrieval_depth: hits recorded per question.
        compared_in: the scores in which every two arms are compared.

    Raises:
        RunMismatchError: a record of an unknown question or arm, or two records of one question, arm and seed.
    """
    by_id = {question.id: question for question in questions}
    _check(records, by_id, arms)
    part = _Part(by_id, config, arms, retrieval_depth, seed, compared_in=compared_in)
    of_split = {split: [record for record in records if record.split is split] for split in TEST_SPLITS}
    return {
        "ranked_by": config.ranked_by,
        "confidence": config.confidence,
        "settings": {name: arm.model_dump(mode="json") for name, arm in arms.items()},
        "counts": _counts(records, arms, questions),
        **part.summarise(records),
        "splits": {split.value: part.summarise(of_split[split]) for split in TEST_SPLITS},
        "costs": {name: _costs(records, name) | dict(build_costs.get(name, {})) for name in arms},
        "loss": {name: dict(figures) for name, figures in losses.items()},
        "failures": [
            {"source": failure.source, "kind": failure.kind, "reason": failure.reason} for failure in failures
        ],
    }


def predictions_lines(
    records: Iterable[CaseRecord], *, arms: Iterable[str], questions: Iterable[Question]
) -> list[str]:
    """Return predictions.jsonl's lines: question_id, arm, answer; by arm, then by question, both in the order given.

    Where an arm answered with several training seeds, the seed stands in each of the file's lines that has one.
    """
    records = list(records)
    arm_order = {name: place for place, name in enumerate(arms)}
    question_order = {question.id: place for place, question in enumerate(questions)}
    ordered = sorted(
        records,
        key=lambda record: (arm_order[record.arm], question_order[record.question_id], record.training_seed or 0),
    )
    shown = {"question_id", "arm", "answer"}
    if len({record.training_seed for record in records} - {None}) > 1:
        shown |= {"training_seed"}
    return [record.model_dump_json(include=shown, exclude_none=True) for record in ordered]


class _Part:
    """Summarises a part of the records: all, one split, always with the same settings."""

    def __init__(
        self,
        questions: Mapping[str, Question],
        config: EvaluationConfig,
        arms: Mapping[str, ArmConfig],
        retrieval_depth: int,
        seed: int,
        *,
        compared_in: Sequence[str],
    ) -> None:
        self.questions = questions
        self.config = config
        self.arms = arms
        self.retrieval_depth = retrieval_depth
        self.seed = seed
        self.compared_in = compared_in

    def summarise(self, records: Sequence[CaseRecord]) -> dict[str, Any]:
        """Return {"arms", "pairs", "retrieval", "kinds"} of these records."""
        kinds = sorted({record.kind for record in records})
        judged = (self.config.ranked_by, "abstention")
        return {
            "arms": self._arms(self._scores(records), SCORES),
            "pairs": self._pairs(self._scores(records)),
            "retrieval": self._retrieval(records, next(iter(self._readers(own=False)), None)),
            **({"own_retrieval": own} if (own := self._own_retrieval(records)) else {}),
            "kinds": {
                kind: self._arms(self._scores([record for record in records if record.kind == kind]), judged)
                for kind in kinds
            },
        }

    def _scores(self, records: Iterable[CaseRecord]) -> ScoresByArm:
        """Return each arm's scores by question; of several training seeds the mean."""
        rows: dict[str, dict[str, list[Mapping[str, float | None]]]] = {name: {} for name in self.arms}
        for record in records:
            counted = counted_scores(record, self.questions[record.question_id])
            rows[record.arm].setdefault(record.question_id, []).append(counted)
        return {arm: {id_: _mean_scores(seeds) for id_, seeds in by_id.items()} for arm, by_id in rows.items()}

    def _arms(self, scores: ScoresByArm, names: Iterable[str]) -> dict[str, Any]:
        figures: dict[str, Any] = {}
        for arm, rows in scores.items():
            columns = {name: [row[name] for row in rows.values() if row.get(name) is not None] for name in names}
            if rows:
                figures[arm] = {name: self._interval(name, values) for name, values in columns.items() if values}
        return figures

    def _pairs(self, scores: ScoresByArm) -> list[dict[str, Any]]:
        """Compare every two arms in the scores asked for, on the questions where both have one."""
        pairs = []
        for a, b in combinations([arm for arm, rows in scores.items() if rows], 2):
            for name in self.compared_in:
                shared = [
                    (left[name], right[name])
                    for question_id, left in scores[a].items()
                    if left.get(name) is not None and (right := scores[b].get(question_id, {})).get(name) is not None
                ]
                if shared:
                    pairs.append({"a": a, "b": b, "metric": name} | self._difference(name, shared))
        return pairs

    def _readers(self, *, own: bool) -> list[str]:
        """Return the arms that retrieve, with settings of their own or as the experiment says."""
        return [name for name, arm in self.arms.items() if arm.strategy == "rag" and bool(arm.retrieval) is own]

    def _own_retrieval(self, records: Sequence[CaseRecord]) -> dict[str, Any]:
        found = {arm: self._retrieval(records, arm) for arm in self._readers(own=True)}
        return {arm: figures for arm, figures in found.items() if figures}

    def _retrieval(self, records: Iterable[CaseRecord], arm: str | None) -> dict[str, Any]:
        """Score the rankings of `arm`: of all arms that retrieve as the experiment says, the first, for all see one."""
        rankings = {record.question_id: record.hits for record in records if record.arm == arm}
        relevant = {key: self.questions[key].relevant for key in rankings if self.questions[key].relevant}
        rows = retrieval_scores(rankings, relevant, depth=self.retrieval_depth)
        names = next(iter(rows.values()), {})
        return {name: self._interval(name, [row[name] for row in rows.values()]) for name in names}

    def _interval(self, name: str, values: Sequence[Any]) -> dict[str, Any]:
        interval = mean_interval(
            values,
            confidence=self.config.confidence,
            limits=score_limits(name),
        )
        return _rounded(interval._asdict())

    def _difference(self, name: str, shared: Sequence[tuple[Any, Any]]) -> dict[str, Any]:
        difference = paired_difference(
            [a for a, _ in shared],
            [b for _, b in shared],
            resamples=self.config.resamples,
            confidence=self.config.confidence,
            seed=self.seed,
            limits=score_limits(name),
        )
        return _rounded(difference._asdict()) | {"n": len(shared)}


def _check(records: Iterable[CaseRecord], questions: Mapping[str, Question], arms: Mapping[str, ArmConfig]) -> None:
    met: set[tuple[str, str, int | None]] = set()
    for record in records:
        if record.arm not in arms or record.question_id not in questions:
            what = f"arm {record.arm!r}" if record.arm not in arms else f"question {record.question_id!r}"
            raise RunMismatchError(
                f"records.jsonl answers {what}, which the experiment does not have; "
                "run it into an empty folder: workbench run CONFIG --out FOLDER"
            )
        if (record.question_id, record.arm, record.training_seed) in met:
            raise RunMismatchError(
                f"records.jsonl holds two answers of arm {record.arm!r} to question {record.question_id!r}; "
                "run it into an empty folder: workbench run CONFIG --out FOLDER"
            )
        met.add((record.question_id, record.arm, record.training_seed))


def counted_scores(record: CaseRecord, question: Question) -> Mapping[str, float | None]:
    """Return the record's scores; a failed answer is a wrong one, and no refusal."""
    if record.error is None:
        return record.scores
    applies = {"abstention"} if not question.answerable else set(LOST) - {"abstention"}
    return {name: 0.0 if name in applies else None for name in SCORES}


def _mean_scores(seeds: Sequence[Mapping[str, float | None]]) -> Mapping[str, float | None]:
    """Return the mean of each score over training seeds; None where a seed has none."""
    if len(seeds) == 1:
        return seeds[0]
    columns = {name: [scores.get(name) for scores in seeds] for name in seeds[0]}
    return {
        name: None if None in values else sum(value for value in values if value is not None) / len(values)
        for name, values in columns.items()
    }


def _counts(
    records: Sequence[CaseRecord], arms: Mapping[str, ArmConfig], questions: Sequence[Question]
) -> dict[str, Any]:
    asked = {record.question_id for record in records}
    of_split = Counter(question.split for question in questions)
    return {
        "questions": {split.value: of_split[split] for split in Split},
        "asked": len(asked),
        "unplaced": sum(question.split in TEST_SPLITS and not is_placed(question) for question in questions),
        "answers": {name: sum(record.arm == name for record in records) for name in arms},
        "errors": {name: sum(record.arm == name and record.error is not None for record in records) for name in arms},
    }


def _costs(records: Iterable[CaseRecord], arm: str) -> dict[str, float]:
    """Return p50, p95 and total of seconds and tokens, and peak memory, over the arm's questions; {} if it has none."""
    spent = [record.costs for record in records if record.arm == arm and record.costs is not None]
    figures: dict[str, float] = {}
    for name in ("seconds", "retrieval_seconds", "prompt_tokens", "new_tokens"):
        values = [float(getattr(costs, name)) for costs in spent]
        if values:
            p50, p95 = np.percentile(values, [50, 95])
            figures |= {f"{name}_p50": float(p50), f"{name}_p95": float(p95), f"{name}_total": sum(values)}
    for name in ("peak_bytes", "peak_gpu_bytes"):
        if peak := max((float(getattr(costs, name)) for costs in spent), default=0.0):
            figures[name] = peak
    return _rounded(figures)


def _rounded(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {name: round(value, DIGITS) if isinstance(value, float) else value for name, value in figures.items()}
