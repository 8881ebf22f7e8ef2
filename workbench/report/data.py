"""What a report is made of, and nothing else: no clock, no model, no look at the disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.decision import Decision, RaceReport
from workbench.measured import FreshnessReport, LearningReport, ScalingReport, SweepReport
from workbench.types import CaseRecord, Question, ReadFailure

Curve = Mapping[str, Sequence[Mapping[str, float]]]


@dataclass(frozen=True, slots=True)
class ReportData:
    """All inputs of a report.

    Attributes:
        summary: what `evaluation.summarise` returned (summary.json).
        manifest: fingerprints, versions, hardware, seed; shown as it is.
        passages: text by (document_id, start, end) for the hits of `records`; a hit without text shows its place only.
        decision: the verdict (decision.json); None: a run of before there was one.
        freshness, scaling, learning: what series of runs measured; None: they were not run.
        sweep: the variants, where the arms are those of several runs; None: a run.
        race: which arms stopped early (race.json); None: every arm answered every question.
        gates: by adapter, what each gate said after its training: {"name", "status", "says", ...}.
        curves: by adapter, {"steps": [{"step", "loss"}, ...], "held_out": [the same]}, loss in nats a token.
    """

    name: str
    summary: Mapping[str, Any]
    config_yaml: str
    manifest: Mapping[str, Any]
    records: Sequence[CaseRecord] = ()
    questions: Mapping[str, Question] = field(default_factory=dict)
    passages: Mapping[tuple[str, int, int], str] = field(default_factory=dict)
    decision: Decision | None = None
    curves: Mapping[str, Curve] = field(default_factory=dict)
    gates: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    failures: Sequence[ReadFailure] = ()
    freshness: FreshnessReport | None = None
    scaling: ScalingReport | None = None
    learning: LearningReport | None = None
    race: RaceReport | None = None
    sweep: SweepReport | None = None
