"""What a series of runs measured, as it crosses the disk: freshness, scaling, learning_curve and sweep.json.

Nouns only: series/ measures them, report/ lays them out. Shares and scores lie in [0, 1]; costs name their unit.
"""

from __future__ import annotations

from workbench.decision import Estimate
from workbench.types import Frozen

FORMAT = 1


class Rate(Frozen):
    """A mean over `n` questions with its interval."""

    value: float
    low: float
    high: float
    n: int


class UpdateRow(Frozen):
    """One arm after one update. A rate is None where no question of the kind was asked.

    Right: the answer contains what is true now; stale: it contains what was true before, and not what is true now;
    leaked: it contains what a deleted document stated.
    """

    arm: str
    share: float  # of the corpus that the update touched; 0: before any update
    trained_again: bool  # the adapter was trained on the updated corpus; False: as it was before, or there is none
    index_seconds: float
    training_seconds: float
    changed_right: Rate | None = None
    changed_stale: Rate | None = None
    added_right: Rate | None = None
    deleted_leaked: Rate | None = None  # before any update: answered rightly, for the fact was true then
    kept_right: Rate | None = None

    @property
    def seconds_to_fresh(self) -> float:
        """From changed documents to an arm that has taken them in."""
        return self.index_seconds + self.training_seconds


class FreshnessReport(Frozen):
    """freshness.json: every arm before and after updates of several sizes."""

    format: int = FORMAT
    documents: int  # of the whole corpus
    touched: dict[str, int]  # share → documents added, as many changed, as many deleted
    confidence: float
    rows: tuple[UpdateRow, ...]

    def seconds_to_follow(self, arm: str, *, share: float = 0.1) -> float | None:
        """Return what `arm` needs to take an update in, at the measured share nearest to `share`; None: not measured.

        Of an arm that was measured with and without training again, with.
        """
        own = [row for row in self.rows if row.arm == arm and row.share]
        if not own:
            return None
        nearest = min({row.share for row in own}, key=lambda one: (abs(one - share), one))
        return max(row.seconds_to_fresh for row in own if row.share == nearest)


class ScalingRow(Frozen):
    """One arm over one size of the corpus."""

    arm: str
    factor: int
    documents: int
    chunks: int
    score: Rate  # in the metric arms are ranked by
    found: float | None  # share of questions with a right passage in the prompt; None: the arm reads none
    seconds_p50: float
    seconds_p95: float


class ScalingReport(Frozen):
    """scaling.json: the same questions, the same adapters, a growing corpus."""

    format: int = FORMAT
    metric: str
    confidence: float
    distractors: str  # where they come from, in words
    index_seconds: dict[str, float]  # by factor, of building that index from nothing
    rows: tuple[ScalingRow, ...]


class LearningPoint(Frozen):
    """One arm trained on a part of its examples."""

    examples: int
    score: Rate


class LearningCurve(Frozen):
    """How an arm's score grows with its examples, and what more of them would bring."""

    arm: str
    adapter: str
    points: tuple[LearningPoint, ...]
    per_doubling: Estimate  # score a doubling of the examples brings; straight line over log2(examples)
    target: str | None = None  # the best arm without an adapter
    target_score: float | None = None
    needed: Estimate | None = None  # examples at which the line reaches the target; None: not within FURTHEST
    sentence: str = ""


class LearningReport(Frozen):
    """learning_curve.json."""

    format: int = FORMAT
    metric: str
    confidence: float
    curves: tuple[LearningCurve, ...]


class VariantRow(Frozen):
    """One combination of a sweep's values: an ordinary run, and what its arms are called beside those of the others."""

    name: str  # "5e-4"
    folder: str  # below the sweep's
    values: dict[str, str]  # swept key → its value's name
    config: str  # fingerprint of the config it ran with
    arms: dict[str, str]  # arm of the run → its name in the sweep; arms of one name answered from equal inputs
    lent: dict[str, str]  # stage, or "answers of ARM" → the variant (or folder) that did it


class SweepReport(Frozen):
    """sweep.json: which runs a sweep is made of; what they measured stands in their own folders."""

    format: int = FORMAT
    name: str
    keys: dict[str, tuple[str, ...]]  # swept key → the names of its values
    variants: tuple[VariantRow, ...]

    def variant_of(self, arm: str) -> VariantRow:
        """Return the first variant with an arm of this name in the sweep."""
        return next(one for one in self.variants if arm in one.arms.values())
