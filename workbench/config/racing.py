"""The knobs of racing: arms that cannot win any more stop answering.

Descriptions are the help text.
"""

from __future__ import annotations

from pydantic import Field

from workbench.config.base import Knobs


class RacingConfig(Knobs):
    """Questions come in an order drawn by the seed, and after each batch arms that cannot win any more stop.

    Under `decision.max_seconds` or `decision.max_memory_gib`, arms that surely break it stop as well: then who stops
    depends on this machine, as the recommendation does.
    """

    enabled: bool = False
    alpha: float = Field(
        0.05, gt=0, lt=0.5, description="chance that the arm you should take, or the best arm, is stopped wrongly"
    )
    min_questions: int = Field(20, ge=5, description="no arm stops before so many questions")
    look_every: int = Field(1, ge=1, description="batches from one look to the next")
    futility: float = Field(
        0.05,
        ge=0,
        lt=0.5,
        description="an arm stops, undecided, if all questions would tell it from another with a lower chance; 0: off",
    )
    keep: tuple[str, ...] = Field((), description="arms that answer every question, whatever the race says")
    control_questions: int | None = Field(
        None, ge=1, description="questions a control answers; none: as long as two arms race"
    )
