"""What a verdict says, as it crosses the disk (decision.json): pairs, costs, the recommendation and what would flip it.

Nouns only: verdict/ computes them, report/ lays them out. A `part` is "all", a split ("seen", "new"), or
"kind:NAME", "language:CODE", "document_language:CODE", "known", "unknown". Scores are shares in [0, 1]; costs name
their unit.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from workbench.types import Frozen

FORMAT = 1


class Outcome(StrEnum):
    """What is known of arm `a` against arm `b`."""

    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"  # the difference lies within the margin, whichever way
    UNDECIDED = "undecided"


class Estimate(Frozen):
    """A figure with its interval; `low` and `high` None: the data cannot tell."""

    value: float
    low: float | None = None
    high: float | None = None


class PairRuling(Frozen):
    """Arm `a` minus arm `b` in one metric over one part of the questions both answered."""

    a: str
    b: str
    metric: str
    part: str
    difference: Estimate
    p: float  # sign-flip, two-sided
    p_holm: float  # corrected over all ranked pairs of this metric and part
    mde: float | None  # least difference found with 80 % power by this many questions; None: cannot be told
    n: int  # questions
    n_seeds: int  # training seeds both arms were averaged over
    outcome: Outcome


class Interaction(Frozen):
    """Do retrieval and the adapter add up? both - rag - lora + base, on the questions all four answered."""

    base: str
    rag: str
    lora: str
    both: str
    metric: str
    part: str
    value: Estimate
    p: float
    n: int
    outcome: Outcome  # better: more than the sum; worse: less; equivalent: they add up within the margin


class Ladder(Frozen):
    """Where an arm with passages fails; an answer is right if it contains an accepted answer. Counts of questions."""

    arm: str
    part: str
    found_right: int
    read_error: int  # a right passage was in the prompt, the answer is wrong
    retrieval_miss: int  # none was, and the answer is wrong
    right_anyway: int  # none was, and the answer is right


class Stratum(Frozen):
    """One arm's score over one part of the questions."""

    arm: str
    metric: str
    part: str
    score: Estimate
    n: int


class Compliance(Frozen):
    """Share of one arm's answers that meet one declared check of form (`evaluation.checks`)."""

    arm: str
    check: str
    share: Estimate
    n: int  # questions


class ArmCosts(Frozen):
    """What one arm costs on this machine. None: not measured (or no rate was given)."""

    arm: str
    build_seconds: float  # index and training, up to the first answer
    update_seconds: float  # after a change of documents: index again, and train again where it has an adapter
    seconds_p50: float
    seconds_p95: float
    seconds_mean: float
    tokens_mean: float  # read and written, a question
    joules_mean: float | None = None  # a question
    build_joules: float | None = None
    peak_bytes: float | None = None
    peak_gpu_bytes: float | None = None
    artefact_bytes: float | None = None  # what has to be shipped beside the base model: index, adapter
    build_money: float | None = None
    money_per_1000: float | None = None  # questions
    seconds_of_pass: Estimate | None = None  # mean seconds / share of right answers; None: no answer was right


class Crossover(Frozen):
    """From which volume on `later` (dearer to build, cheaper to ask) costs less than `earlier`. Questions."""

    earlier: str
    later: str
    questions: Estimate | None  # None: never, it is not cheaper to ask
    unit: Literal["seconds", "money"] = "seconds"


class Standing(Frozen):
    """Where one arm ended, and why in one sentence."""

    arm: str
    score: Estimate
    place: Literal["recommended", "equivalent", "undecided", "worse", "dominated", "excluded", "control"]
    reason: str


class Flip(Frozen):
    """What would change the recommendation: `knob` at `value` `unit` and beyond would make it `arm`."""

    knob: Literal["volume", "updates", "seconds", "memory", "seen_share", "margin", "hourly_rate"]
    value: float
    unit: str
    direction: Literal["above", "below"]
    arm: str
    sentence: str


class Recommendation(Frozen):
    """The answer: the cheapest arm that is as good as the best under the user's constraints, or what it would take."""

    arm: str | None  # None: undecided, or no arm meets the constraints
    sentence: str
    reasons: tuple[str, ...]
    standings: tuple[Standing, ...]
    flips: tuple[Flip, ...] = ()
    candidates: tuple[str, ...] = ()  # undecided between these
    collect: int | None = None  # more questions that would decide with 80 % power; None: not needed or cannot be told
    cautions: tuple[str, ...] = ()


class Alarm(Frozen):
    """Something that makes figures of this run untrustworthy. `refuse`: no recommendation while it stands."""

    guard: str
    severity: Literal["refuse", "warn"]
    message: str
    arms: tuple[str, ...] = ()


class RouterReport(Frozen):
    """What choosing an arm per question brings, by nested cross-validation: each choice on a question not fitted on."""

    arms: tuple[str, ...]  # it chooses among
    best_fixed: str
    metric: str
    score: Estimate
    best_fixed_score: float
    oracle_score: float
    gap_closed: Estimate | None  # share of oracle - best fixed; None: there is no gap
    outcome: Outcome  # against the best fixed arm
    non_inferior: bool  # low end of the difference is above -margin
    shares: dict[str, float]  # arm → share of questions sent to it
    seconds_mean: float
    best_fixed_seconds_mean: float
    features: tuple[str, ...]
    n: int


class Selection(Frozen):
    """What picking the highest score among many arms does to that score: it is a little too high (winner's curse).

    `elsewhere`: what the arm that scores highest on some of the questions scores on the others, by cross-validation.
    """

    arm: str  # the one that scores highest on all questions
    score: float
    elsewhere: float
    picked: dict[str, float]  # arm → share of the draws in which it scored highest
    n_arms: int
    n: int  # questions


class Decision(Frozen):
    """All of a verdict: one decision.json a run, or a sweep."""

    format: int = FORMAT
    metric: str
    margin: float
    confidence: float
    pairs: tuple[PairRuling, ...]
    interactions: tuple[Interaction, ...] = ()
    ladders: tuple[Ladder, ...] = ()
    strata: tuple[Stratum, ...] = ()
    compliance: tuple[Compliance, ...] = ()
    costs: tuple[ArmCosts, ...] = ()
    crossovers: tuple[Crossover, ...] = ()
    router: RouterReport | None = None
    alarms: tuple[Alarm, ...] = ()
    recommendation: Recommendation
    selection: Selection | None = None  # None: one run, whose arms were all meant to be compared


class ArmChange(Frozen):
    """One arm in one part of the questions: its mean score in two runs, and the second minus the first, paired."""

    part: str  # "all", "seen" or "new"
    arm: str
    first: float
    second: float
    difference: Estimate
    p_holm: float  # corrected over the arms of the part
    n: int  # questions both answered
    outcome: Outcome  # of the second against the first


class RunPair(Frozen):
    """How two runs differ: in their inputs and settings, and arm by arm in one metric."""

    metric: str
    margin: float
    differing: tuple[str, ...]  # names of fingerprints that are not equal
    settings: tuple[tuple[str, str, str], ...] = ()  # key of the config, its value in the first and the second
    cautions: tuple[str, ...] = ()
    changes: tuple[ArmChange, ...]


class ArmStop(Frozen):
    """Why one arm answered no more questions."""

    arm: str
    questions: int  # scored ones it had answered
    rule: Literal["worse", "dominated", "dearer", "undecidable", "excluded", "equivalent", "decided", "control"]
    by: str | None  # the arm it lost or is equal to; None: it breaks a limit, the race was over, or it is a control
    difference: float | None  # mean score of `by` minus its own, over those questions
    sentence: str


class RaceReport(Frozen):
    """What a race stopped: one race.json a run. `alpha`: the chance that the best arm, or the one to take, was."""

    format: int = FORMAT
    metric: str
    alpha: float
    margin: float
    seen_share: float | None = None  # what questions on seen documents counted for; None: as in the test
    questions: int  # scored ones the race could have asked
    asked: int  # scored ones it asked
    looks: int
    stops: tuple[ArmStop, ...]  # in the order they stopped
