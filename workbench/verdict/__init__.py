"""The verdict: pairs, costs, the recommendation, and comparison across runs."""

from workbench.verdict.comparison import ArmChange, RunPair, compare_runs
from workbench.verdict.decide import decide
from workbench.verdict.study import ArmRun, Study

__all__ = ["ArmChange", "ArmRun", "RunPair", "Study", "compare_runs", "decide"]
