"""What a race is told: how strict it is, and one question as its arms have answered it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RaceRules:
    """How strict a race is.

    Attributes:
        alpha: chance that the arm to take or the best arm is stopped wrongly.
        margin: difference of scores that does not matter.
        min_questions: no arm stops before.
        look_every: batches from one look to the next.
        futility: least chance to be decided for which an arm goes on; 0: it always does.
        confidence: of the verdict that follows.
        only_by_cheaper: an arm may be stopped only by arms that are not dearer, as where a limit on seconds or memory
            might exclude the better one.
        limited: a limit on seconds or memory is watched: one test more shares `alpha`, and the last arm answers on,
            since what few answers took says too little of whether it keeps the limit.
    """

    alpha: float = 0.05
    margin: float = 0.02
    min_questions: int = 20
    look_every: int = 1
    futility: float = 0.05
    confidence: float = 0.95
    only_by_cheaper: bool = False
    limited: bool = False

    def level(self, n_arms: int) -> float:
        """Return the level of each test: the arm to take has `n_arms` - 1 rivals and, perhaps, a limit to keep."""
        return self.alpha / (n_arms - 1 + self.limited)


@dataclass(frozen=True, slots=True)
class RaceCase:
    """One question as the arms that still answer have answered it.

    Attributes:
        scores: by arm, in [0, 1].
        tokens: by arm, read and written.
        weight: how much the question counts; 1 on average over all.
    """

    question_id: str
    scores: Mapping[str, float]
    tokens: Mapping[str, float]
    weight: float = 1.0
