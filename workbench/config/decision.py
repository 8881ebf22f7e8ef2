"""The knobs of the decision: what the user can afford, and how often documents and questions come.

Descriptions are the help text.
"""

from __future__ import annotations

from pydantic import Field

from workbench.config.base import Knobs


class DecisionConfig(Knobs):
    """Under these, the recommendation is the cheapest arm that is as good as the best."""

    questions_per_month: float = Field(1000, gt=0, description="how many questions will be asked a month")
    months: float = Field(12, gt=0, description="over how many months building has to pay for itself")
    updates_per_month: float = Field(
        0, ge=0, description="how often documents change and answers must follow, a month; trained arms train again"
    )
    seen_share: float | None = Field(
        None, ge=0, le=1, description="share of your questions that are on documents trained on; none: as in the test"
    )
    max_seconds: float | None = Field(None, gt=0, description="longest answer, 95th percentile, in seconds; none: any")
    max_memory_gib: float | None = Field(
        None,
        gt=0,
        description="peak memory while answering, in GiB: the GPU's, else the whole process's, training included; "
        "none: any",
    )
    max_build_hours: float | None = Field(None, gt=0, description="index and training, in hours; none: any")
    sources_needed: bool = Field(False, description="answers must show their passages: arms without any are excluded")
    weights_may_hold_corpus: bool = Field(
        True, description="false: the documents are too sensitive to be trained into weights; adapters are excluded"
    )
    hourly_rate: float | None = Field(None, gt=0, description="money an hour of this machine; none: costs in seconds")
    currency: str = Field("EUR", min_length=1, max_length=8, description="of hourly_rate")
