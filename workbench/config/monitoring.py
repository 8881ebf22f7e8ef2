"""The knobs of `workbench monitor`: what counts as a change, how sure it has to be, from how much on it speaks."""

from __future__ import annotations

import math

from pydantic import Field, model_validator

from workbench.config.base import Knobs

MOST_CHECKS = 6  # of one report


class MonitoringConfig(Knobs):
    """When logged questions call for another index, training or measurement."""

    false_alarms: float = Field(
        0.05, gt=0, lt=0.5, description="share of reports that raise any alarm although nothing changed (Holm)"
    )
    outlying_share: float = Field(
        0.10, gt=0, lt=1, description="drift worth finding: so many more questions unlike all known ones than expected"
    )
    score_deviations: float = Field(
        0.5, gt=0, description="score decay worth finding, in standard deviations of the best scores at evaluation"
    )
    rate_change: float = Field(0.10, gt=0, lt=1, description="change of a rate worth finding: refusals, feedback")
    retrain_share: float = Field(
        0.10, gt=0, le=1, description="share of the documents changed since training at which adapters are stale"
    )
    permutations: int = Field(999, ge=99, description="permutations behind each p of drift and trend")
    most_compared: int = Field(1000, ge=50, description="questions a side that drift is tested with, drawn by the seed")

    @model_validator(mode="after")
    def _permutations_can_raise_an_alarm(self) -> MonitoringConfig:
        smallest = MOST_CHECKS / (self.permutations + 1)
        if smallest > self.false_alarms:
            needed = math.ceil(MOST_CHECKS / self.false_alarms) - 1
            raise ValueError(
                f"with {self.permutations} permutations the smallest p over {MOST_CHECKS} checks is {smallest:.3g}, so "
                f"none could be at most false_alarms {self.false_alarms:g}; set permutations: {needed} or more"
            )
        return self
