"""A race over a run's records: who races, what an answer scores, and in which order batches are asked.

Batches hold questions of like length, and what is long may be hard. So the order is drawn in rounds of one batch from
each quarter of the lengths: the first looks see all lengths, and the seed decides the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from workbench.config import ArmConfig, DecisionConfig, EvaluationConfig, ExperimentConfig
from workbench.decision import RaceReport
from workbench.evaluation.limits import LimitWatch
from workbench.evaluation.metrics import score_answer
from workbench.evaluation.race_rules import RaceCase, RaceRules
from workbench.evaluation.racing import Race
from workbench.evaluation.summary import counted_scores
from workbench.types import CaseRecord, Question, Split

Batch = TypeVar("Batch")
Score = Callable[[CaseRecord, Question], float | None]
N_ROUND = 4  # batches a round: one from each quarter of the lengths


class RunRace:
    """What the runner asks: `order` once, `answers` before each batch, `feed` after it."""

    def __init__(
        self,
        race: Race,
        questions: Sequence[Question],
        score: Score,
        *,
        metric: str,
        seen_share: float | None,
        seed: int,
        watch: LimitWatch | None = None,
    ) -> None:
        """Bind a race to what an answer scores.

        Args:
            questions: the scored ones.
            score: of one answer, in [0, 1]; None: the metric does not score this question.
            metric: the score's name.
            seen_share: what questions on seen documents count for; None: for their number.
            seed: draws the order of the batches.
            watch: looks for arms that break a limit; None: there is none.
        """
        self.watch = watch
        self.race, self.score, self.metric, self.seen_share, self.seed = race, score, metric, seen_share, seed
        self._weights = _weights(questions, seen_share)

    def order(self, batches: Sequence[Batch]) -> list[Batch]:
        """Return the batches, given longest first, in the order to ask them."""
        return spread(batches, self.seed)

    def answers(self, arm: str) -> bool:
        """Whether `arm` answers the next batch."""
        return self.race.answers(arm)

    def feed(self, batch: Iterable[Question], records: Iterable[CaseRecord]) -> None:
        """Take in a batch's records, of all arms and training seeds; questions the metric does not score are skipped.

        An arm's score on a question is its mean over the training seeds, and so are its tokens.
        """
        records = list(records)
        if self.watch is not None:
            self.watch.feed(records)
        questions = {question.id: question for question in batch}
        answers: dict[str, dict[str, list[tuple[float, float]]]] = {}
        for record in records:
            score = self.score(record, questions[record.question_id])
            if score is not None:
                spent = record.costs.prompt_tokens + record.costs.new_tokens if record.costs else 0
                answers.setdefault(record.question_id, {}).setdefault(record.arm, []).append((score, float(spent)))
        cases = []
        for id_, question in questions.items():
            means = {arm: np.mean(seeds, axis=0) for arm, seeds in answers.get(id_, {}).items()}
            if means:
                scores = {arm: float(mean[0]) for arm, mean in means.items()}
                tokens = {arm: float(mean[1]) for arm, mean in means.items()}
                cases.append(RaceCase(id_, scores, tokens, self._weights.get(question.split or Split.NEW, 1.0)))
        self.race.feed(cases, excluded=self.watch.broken() if self.watch is not None else None)

    def report(self) -> RaceReport:
        """Return what race.json holds."""
        return self.race.report(self.metric, seen_share=self.seen_share)


def race_for(config: ExperimentConfig, questions: Sequence[Question]) -> RunRace | None:
    """Return the race that `config` asks for over these test questions; None: it asks for none.

    Controls, and arms that the user's wishes exclude whatever they score, are not ranked, so they stop no other arm.
    Neither does an arm that a limit on seconds, memory or building may exclude, unless it is not dearer, or nothing but
    the limit is open; one that surely breaks a limit stops. With fewer than two ranked arms, or no scored question,
    there is nothing to race.
    """
    evaluation, not_found = config.evaluation, config.prompt.not_found
    if not evaluation.racing.enabled:
        return None

    def score(record: CaseRecord, question: Question) -> float | None:
        fresh = record.model_copy(update={"scores": score_answer(question, record.answer, not_found)})
        return counted_scores(fresh, question).get(evaluation.ranked_by)

    return line_up(config.arms, evaluation, config.decision, questions, score, seed=config.seed)


def line_up(
    arms: Mapping[str, ArmConfig],
    evaluation: EvaluationConfig,
    wishes: DecisionConfig,
    questions: Sequence[Question],
    score: Score,
    *,
    seed: int,
) -> RunRace | None:
    """Return a race between these arms, whether it is enabled or not; None: see `race_for`."""
    racing = evaluation.racing
    scored = [question for question in questions if question.answerable]
    ranked = {name: arm for name, arm in arms.items() if not arm.control and _may_win(arm, wishes)}
    if len(ranked) < 2 or not scored:
        return None
    rules = _rules(evaluation, wishes)
    race = Race(
        {name: built_for(arm) for name, arm in ranked.items()},
        len(scored),
        rules,
        keep=[name for name in racing.keep if name in ranked],
        beside=[name for name in arms if name not in ranked and name not in racing.keep],
        n_beside=racing.control_questions,
        max_weight=max(_weights(scored, wishes.seen_share).values(), default=1.0),
    )
    return RunRace(
        race,
        scored,
        score,
        metric=evaluation.ranked_by,
        seen_share=wishes.seen_share,
        seed=seed,
        watch=LimitWatch(wishes, alpha=rules.level(len(ranked))) if rules.limited else None,
    )


def _rules(evaluation: EvaluationConfig, wishes: DecisionConfig) -> RaceRules:
    racing, limits = evaluation.racing, (wishes.max_seconds, wishes.max_memory_gib, wishes.max_build_hours)
    return RaceRules(
        alpha=racing.alpha,
        margin=evaluation.margin,
        min_questions=racing.min_questions,
        look_every=racing.look_every,
        futility=racing.futility,
        confidence=evaluation.confidence,
        only_by_cheaper=any(limit is not None for limit in limits),
        limited=(wishes.max_seconds, wishes.max_memory_gib) != (None, None),
    )


def built_for(arm: ArmConfig) -> frozenset[str]:
    """Return what has to be built before the arm can answer: the index, its adapter."""
    index = set() if arm.strategy == "closed_book" else {"index"}
    return frozenset(index | ({f"adapter {arm.adapter}"} if arm.adapter else set()))


def spread(batches: Sequence[Batch], seed: int) -> list[Batch]:
    """Return batches, given in order of length, in rounds of one from each quarter of that order, drawn by `seed`."""
    draws = np.random.default_rng([seed, 2])
    quarters = [draws.permutation(rows) for rows in np.array_split(np.arange(len(batches)), N_ROUND)]
    order = []
    for turn in range(max((len(quarter) for quarter in quarters), default=0)):
        order += [quarters[place][turn] for place in draws.permutation(N_ROUND) if turn < len(quarters[place])]
    return [batches[row] for row in order]


def _may_win(arm: ArmConfig, wishes: DecisionConfig) -> bool:
    no_sources = wishes.sources_needed and arm.strategy == "closed_book"
    return not no_sources and (wishes.weights_may_hold_corpus or arm.adapter is None)


def _weights(questions: Sequence[Question], seen_share: float | None) -> dict[Split, float]:
    """Return the weight of a question by split that makes `seen` count for `seen_share`, 1 on average; {}: all 1."""
    counts = Counter(question.split or Split.NEW for question in questions)
    n_seen, n_new = counts[Split.SEEN], counts[Split.NEW]
    if seen_share is None or not n_seen or not n_new:
        return {}
    n = n_seen + n_new
    return {Split.SEEN: seen_share * n / n_seen, Split.NEW: (1 - seen_share) * n / n_new}
