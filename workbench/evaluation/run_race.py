"""A race over a run's records: who races, what an answer scores, and in which order batches are asked.

Batches hold questions of like length, and what is long may be hard. So the order is drawn in rounds of one batch from
each quarter of the lengths: the first looks see all lengths, and the seed decides the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from workbench.config import ArmConfig, DecisionConfig, ExperimentConfig
from workbench.decision import RaceReport
from workbench.evaluation.metrics import score_answer
from workbench.evaluation.racing import Race, RaceCase, RaceRules
from workbench.evaluation.summary import counted_scores
from workbench.types import CaseRecord, Question, Split

Batch = TypeVar("Batch")
N_ROUND = 4  # batches a round: one from each quarter of the lengths


class RunRace:
    """What the runner asks: `order` once, `answers` before each batch, `feed` after it."""

    def __init__(
        self, race: Race, *, metric: str, not_found: str, seed: int, weights: Mapping[Split, float] | None = None
    ) -> None:
        """Bind a race to the metric that ranks and to the phrase that means "not in the documents".

        Args:
            weights: of a question, by its split; None: all alike.
        """
        self.race, self.metric, self.not_found, self.seed = race, metric, not_found, seed
        self.weights = weights or {}

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
        questions = {question.id: question for question in batch}
        answers: dict[str, dict[str, list[tuple[float, float]]]] = {}
        for record in records:
            score = self._score(record, questions[record.question_id])
            if score is not None:
                spent = record.costs.prompt_tokens + record.costs.new_tokens if record.costs else 0
                answers.setdefault(record.question_id, {}).setdefault(record.arm, []).append((score, float(spent)))
        cases = []
        for id_, question in questions.items():
            means = {arm: np.mean(seeds, axis=0) for arm, seeds in answers.get(id_, {}).items()}
            if means:
                scores = {arm: float(mean[0]) for arm, mean in means.items()}
                tokens = {arm: float(mean[1]) for arm, mean in means.items()}
                cases.append(RaceCase(id_, scores, tokens, self.weights.get(question.split or Split.NEW, 1.0)))
        self.race.feed(cases)

    def report(self) -> RaceReport:
        """Return what race.json holds."""
        return self.race.report(self.metric)

    def _score(self, record: CaseRecord, question: Question) -> float | None:
        scores = score_answer(question, record.answer, self.not_found)
        return counted_scores(record.model_copy(update={"scores": scores}), question).get(self.metric)


def line_up(config: ExperimentConfig, questions: Sequence[Question]) -> RunRace | None:
    """Return the race that `config` asks for over these test questions; None: it asks for none.

    Controls, and arms that the user's wishes exclude whatever they score, are not ranked, so they stop no other arm.
    Neither does an arm that a limit on seconds, memory or building may exclude, unless it is not dearer. With fewer
    than two ranked arms, or no scored question, there is nothing to race.
    """
    racing, evaluation = config.evaluation.racing, config.evaluation
    scored = [question for question in questions if question.answerable]
    ranked = {name: arm for name, arm in config.arms.items() if not arm.control and _may_win(arm, config.decision)}
    if not racing.enabled or len(ranked) < 2 or not scored:
        return None
    wishes = config.decision
    limits = (wishes.max_seconds, wishes.max_memory_gib, wishes.max_build_hours)
    race = Race(
        {name: built_for(arm) for name, arm in ranked.items()},
        len(scored),
        RaceRules(
            alpha=racing.alpha,
            margin=evaluation.margin,
            min_questions=racing.min_questions,
            look_every=racing.look_every,
            futility=racing.futility,
            confidence=evaluation.confidence,
            only_by_cheaper=any(limit is not None for limit in limits),
        ),
        keep=[name for name in racing.keep if name in ranked],
        beside=[name for name in config.arms if name not in ranked and name not in racing.keep],
        n_beside=racing.control_questions,
    )
    return RunRace(
        race,
        metric=evaluation.ranked_by,
        not_found=config.prompt.not_found,
        seed=config.seed,
        weights=_weights(scored, wishes.seen_share),
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


def _weights(questions: Sequence[Question], seen_share: float | None) -> dict[Split, float] | None:
    """Return the weight of a question by split that makes `seen` count for `seen_share`, 1 on average; None: alike."""
    counts = Counter(question.split or Split.NEW for question in questions)
    n_seen, n_new = counts[Split.SEEN], counts[Split.NEW]
    if seen_share is None or not n_seen or not n_new:
        return None
    n = n_seen + n_new
    return {Split.SEEN: seen_share * n / n_seen, Split.NEW: (1 - seen_share) * n / n_new}
