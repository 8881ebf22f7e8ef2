"""What the guards look at: a finished run's study, the passages its prompts held, and every question of its file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workbench.types import Question
from workbench.verdict import ArmRun, Study

Place = tuple[str, int, int]  # document id, start, end


@dataclass(frozen=True, slots=True)
class Evidence:
    """`questions` are all of the run, TRAIN and DEV included; `passages` those that some prompt held."""

    study: Study
    questions: Sequence[Question]
    passages: Mapping[Place, str]

    @property
    def readers(self) -> dict[str, ArmRun]:
        """The ranked arms that retrieve."""
        return {name: arm for name, arm in self.study.ranked.items() if arm.settings.strategy == "rag"}

    @property
    def asked(self) -> dict[str, Question]:
        """The test questions that some arm answered."""
        ids = dict.fromkeys(record.question_id for arm in self.study.arms.values() for record in arm.records)
        return {id_: self.study.questions[id_] for id_ in ids}
