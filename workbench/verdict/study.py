"""What a verdict is computed from: a finished run's questions and, arm by arm, its answers and costs.

Everything in verdict/ takes a `Study`; it comes from a run's folder, or from a simulation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from workbench.config import ArmConfig, DecisionConfig, EvaluationConfig
from workbench.decision import RaceReport
from workbench.evaluation.summary import counted_scores
from workbench.types import CaseRecord, Question

ScoresById = dict[str, tuple[float, ...]]  # question id → scores, one a training seed


@dataclass(frozen=True, slots=True)
class ArmRun:
    """One arm as it was measured.

    Attributes:
        records: one a question and training seed.
        build: what it cost before its first question, named with the unit: "index_seconds", "training_seconds",
            "training_peak_bytes", "artefact_bytes" ...; what is absent was not spent or not measured.
    """

    name: str
    settings: ArmConfig
    records: Sequence[CaseRecord]
    build: Mapping[str, float]

    def scores(self, metric: str, questions: Mapping[str, Question]) -> ScoresById:
        """Return question id → its scores by training seed, in the order of the seeds; unscored questions are left out.

        A failed answer counts as a wrong one.
        """
        by_question: dict[str, dict[int, float]] = {}
        for record in self.records:
            value = counted_scores(record, questions[record.question_id]).get(metric)
            if value is not None:
                by_question.setdefault(record.question_id, {})[record.training_seed or 0] = value
        return {id_: tuple(seeds[seed] for seed in sorted(seeds)) for id_, seeds in by_question.items()}


@dataclass(frozen=True, slots=True)
class Study:
    """One experiment, measured. `arms` in the order of the config, controls included.

    Attributes:
        race: what stopped arms early; None: every arm answered every question.
    """

    questions: Mapping[str, Question]
    arms: Mapping[str, ArmRun]
    evaluation: EvaluationConfig
    wishes: DecisionConfig
    seed: int
    race: RaceReport | None = None
    _scores: dict[tuple[str, str], dict[str, tuple[float, ...]]] = field(
        default_factory=dict, compare=False, repr=False
    )

    def scores(self, arm: str, metric: str) -> ScoresById:
        """Return what `ArmRun.scores` does, counted once: comparisons ask for it hundreds of times."""
        if (arm, metric) not in self._scores:
            self._scores[arm, metric] = self.arms[arm].scores(metric, self.questions)
        return self._scores[arm, metric]

    @property
    def ranked(self) -> dict[str, ArmRun]:
        """The arms that compete: all but the controls."""
        return {name: arm for name, arm in self.arms.items() if not arm.settings.control}
