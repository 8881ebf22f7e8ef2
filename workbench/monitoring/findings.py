"""What a monitor reports, as it is shown and as it crosses the disk: checks, staleness, advice. Nouns only."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from workbench.types import Frozen

FORMAT = 1


class State(StrEnum):
    """What a check says. An alarm may be raised by few data; that nothing changed is only said of enough."""

    ALARM = "alarm"
    QUIET = "quiet"
    TOO_FEW = "not enough data"
    NOTHING = "nothing to compare"


class Action(StrEnum):
    """What to do, in the order in which to do it."""

    INDEX = "re-index"
    TRAIN = "re-train"
    MEASURE = "re-measure"


class Figure(Frozen):
    """A mean, share or difference with its 95 % interval; low and high None: the data cannot tell."""

    value: float
    low: float | None
    high: float | None
    n: int


class Check(Frozen):
    """One comparison of what is logged with what was measured."""

    name: str
    title: str  # for people
    state: State
    n: int  # logged values it rests on
    needed: int | None = None  # values at which a change worth finding is found 8 times of 10; None: never with these
    before: Figure | None = None
    now: Figure | None = None
    change: Figure | None = None  # now minus before; of a trend: a week
    p: float | None = None  # of "nothing changed", this check alone
    p_adjusted: float | None = None  # Holm's, over all checks of the report
    unit: str = ""  # of before, now and change: "share" or "score"
    alarming: bool = True  # whether the change goes the way that would be bad
    method: str = ""  # how, and after whom
    note: str = ""


class Week(Frozen):
    """One ISO week of the log."""

    monday: str  # its first day, ISO 8601
    n: int  # questions
    n_refused: int
    n_errors: int
    n_rated: int
    n_positive: int


class DocumentChange(Frozen):
    """How one state of the documents differs from an earlier one; counts of documents."""

    n_before: int
    added: int
    changed: int
    removed: int

    @property
    def n_touched(self) -> int:
        """How many differ."""
        return self.added + self.changed + self.removed

    @property
    def share(self) -> float:
        """Documents that differ, of those that there were; 1 where there were none and some came."""
        return self.n_touched / self.n_before if self.n_before else float(self.n_touched > 0)

    def __str__(self) -> str:
        """Say it in words."""
        return f"{self.added} added, {self.changed} changed, {self.removed} removed"


class AdapterAge(Frozen):
    """How an adapter stands to the collection. `same_weights`: they are those that were measured; None: not there."""

    name: str
    trained_on: str  # fingerprint of its training rows
    same_weights: bool | None
    documents: DocumentChange | None  # since the run that trained it; None: that run did not record them


class Staleness(Frozen):
    """What changed since the run. None: it cannot be told, and `notes` say why."""

    since_index: DocumentChange | None = None  # corpus folder now against the collection now
    since_run: DocumentChange | None = None  # collection now against the one that was measured
    collection_before: str | None = None  # fingerprints
    collection_now: str | None = None
    adapters: tuple[AdapterAge, ...] = ()
    notes: tuple[str, ...] = ()


class Advice(Frozen):
    """One thing to do, why, and the command."""

    action: Action
    because: tuple[str, ...]
    command: str
    first: str = ""  # what to do before, without which the command would find all its inputs unchanged


class MonitorReport(Frozen):
    """All of it."""

    format: int = FORMAT
    run: str
    log: str
    first: datetime | None  # of the logged questions
    last: datetime | None
    n_logged: int
    n_errors: int
    n_distinct: int  # embeddings, repeats counted once
    false_alarms: float
    checks: tuple[Check, ...]
    stale: Staleness
    advice: tuple[Advice, ...]
    weeks: tuple[Week, ...]
    distances_before: tuple[float, ...] = ()  # of each evaluation question to the nearest other one, rising
    distances_now: tuple[float, ...] = ()  # of each logged question to the nearest evaluation question, rising
    scores_before: tuple[float, ...] = ()
    scores_now: tuple[float, ...] = ()
    events: tuple[str, ...] = ()  # lines skipped, embeddings of other models

    def check(self, name: str) -> Check:
        """Return a check by its name."""
        return next(check for check in self.checks if check.name == name)
