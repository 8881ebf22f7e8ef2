"""Replays a race over a study that was measured in full: who would have stopped when, and what would have been said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from workbench.config import EvaluationConfig
from workbench.errors import RunMismatchError
from workbench.evaluation.run_race import RunRace, line_up
from workbench.evaluation.summary import counted_scores
from workbench.types import CaseRecord, Question
from workbench.verdict import Study
from workbench.verdict.choice import line_up as compare_all
from workbench.verdict.choice import pick
from workbench.verdict.costs import price_arms

UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Replay:
    """One race over a study, in one order of its questions."""

    full: str  # what the full grid recommends
    raced: str  # what the race does
    tokens: float  # generated ones, as a share of the full grid's
    seconds: float  # of the answers, likewise
    answers: float  # as a share of the full grid's
    rules: Counter[str]  # by which rule arms stopped
    asked: float  # share of the questions

    @property
    def agrees(self) -> bool:
        """Whether the race says what the full grid does."""
        return self.full == self.raced


class ReplayedStudy:
    """A study, its records by question and its full grid's recommendation, for many races."""

    def __init__(self, study: Study, *, batch_size: int) -> None:
        """Count what the full grid said and spent.

        Raises:
            RunMismatchError: an arm is routed, or the run was raced itself, so that answers are missing.
        """
        if routed := [name for name, arm in study.arms.items() if arm.settings.strategy == "routed"]:
            raise RunMismatchError(
                "a run with a routed arm cannot be raced, since a router needs every arm's every answer; leave it out: "
                f"--without {','.join(routed)}"
            )
        if study.race is not None:
            raise RunMismatchError(
                f"this run was raced itself: of {study.race.questions} questions {study.race.asked} were asked, and "
                "not of every arm; replay one that ran with evaluation.racing.enabled=false"
            )
        self.study, self.full = study, recommended(study)
        self.records: dict[str, list[CaseRecord]] = {}
        for arm in study.arms.values():
            for record in arm.records:
                self.records.setdefault(record.question_id, []).append(record)
        self.batches = self._batches(batch_size)
        everything = [record for records in self.records.values() for record in records]
        self.n_tokens, self.n_seconds = _tokens(everything), _seconds(everything)

    def race(self, evaluation: EvaluationConfig, seed: int) -> Replay:
        """Race once, the order drawn by `seed`."""
        study = replace(self.study, evaluation=evaluation)
        settings = {name: arm.settings for name, arm in study.arms.items()}
        asked = [study.questions[id_] for id_ in self.records]
        race = line_up(settings, evaluation, study.wishes, asked, self._score, seed=seed)
        if race is None:
            raise RunMismatchError(f"nothing to race: arms {', '.join(study.arms)}, {len(asked)} questions")
        answered: list[CaseRecord] = []
        for batch in race.order(self.batches):
            records = [one for question in batch for one in self.records[question.id] if race.answers(one.arm)]
            answered += records
            race.feed(batch, records)
        return self._said(study, race, answered)

    def _said(self, study: Study, race: RunRace, answered: Sequence[CaseRecord]) -> Replay:
        report = race.report()
        raced = replace(
            study,
            arms={
                name: replace(arm, records=[one for one in answered if one.arm == name])
                for name, arm in study.arms.items()
            },
            race=report,
            _scores={},
        )
        return Replay(
            full=self.full,
            raced=recommended(raced),
            tokens=_tokens(answered) / self.n_tokens,
            seconds=_seconds(answered) / self.n_seconds,
            answers=len(answered) / sum(map(len, self.records.values())),
            rules=Counter(stop.rule for stop in report.stops),
            asked=report.asked / report.questions,
        )

    def _score(self, record: CaseRecord, question: Question) -> float | None:
        return counted_scores(record, question).get(self.study.evaluation.ranked_by)

    def _batches(self, size: int) -> list[list[Question]]:
        """Questions by their longest prompt, longest first, as the runner batches them."""

        def key(id_: str) -> tuple[int, str]:
            return (-max((one.costs.prompt_tokens for one in self.records[id_] if one.costs), default=0), id_)

        ordered = [self.study.questions[id_] for id_ in sorted(self.records, key=key)]
        return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def recommended(study: Study) -> str:
    """Return the arm the rule picks, or UNDECIDED; its words are not needed."""
    return pick(compare_all(study, price_arms(study)), study.wishes).arm or UNDECIDED


def _tokens(records: Iterable[CaseRecord]) -> int:
    return sum(record.costs.new_tokens for record in records if record.costs)


def _seconds(records: Iterable[CaseRecord]) -> float:
    return sum(record.costs.seconds for record in records if record.costs)
