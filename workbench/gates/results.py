"""What a gate says, as it is written to gates.json and read by people. A gate judges; it changes nothing."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path

from pydantic import Field

from workbench.errors import TrainingError
from workbench.runs import write_json
from workbench.types import Frozen

GATES_FILE = "gates.json"


class Status(StrEnum):
    """What a gate found."""

    PASS = "pass"
    WARN = "warn"  # within the bound, but worth a look; or too little data to tell
    FAIL = "fail"
    NOT_APPLICABLE = "not applicable"


class GateResult(Frozen):
    """One gate: what was measured, against which bound, and what that means in one sentence."""

    name: str
    status: Status
    value: float | None = None
    bound: float | None = None
    says: str
    details: dict[str, float | int | str | None] = Field(default_factory=dict)


class GateReport(Frozen):
    """All gates of one adapter, in the order they were run."""

    adapter: str
    results: tuple[GateResult, ...]

    @property
    def failed(self) -> tuple[GateResult, ...]:
        """The gates that failed."""
        return tuple(result for result in self.results if result.status is Status.FAIL)

    def __getitem__(self, name: str) -> GateResult:
        return next(result for result in self.results if result.name == name)

    def enforce(self, folder: Path) -> None:
        """Raise TrainingError if a gate failed. `folder` holds the adapter, which stays."""
        if self.failed:
            faults = "; ".join(f"{result.name}: {result.says}" for result in self.failed)
            raise TrainingError(
                f"adapter {self.adapter!r} failed {len(self.failed)} of {len(self.results)} gates: {faults} "
                f"It stays in {folder}; take it as it is: --set gates.enforce=false"
            )

    def lines(self) -> list[str]:
        """One line a gate, for a terminal."""
        width = max((len(result.name) for result in self.results), default=0)
        return [f"{result.name:{width}}  {result.status:14}  {result.says}" for result in self.results]


def write_report(folder: Path, report: GateReport) -> None:
    """Write gates.json into the adapter's folder."""
    write_json(folder / GATES_FILE, report)


def read_report(folder: Path) -> GateReport | None:
    """Return the gates of the adapter in `folder`; None: it was never checked."""
    path = folder / GATES_FILE
    if not path.exists():
        return None
    return GateReport.model_validate(json.loads(path.read_text(encoding="utf-8")))


def not_applicable(name: str, why: str) -> GateResult:
    """A gate that has nothing to judge, and why."""
    return GateResult(name=name, status=Status.NOT_APPLICABLE, says=why)
