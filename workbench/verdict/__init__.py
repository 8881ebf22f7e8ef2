"""The verdict: pairs, costs, the recommendation, and comparison across runs."""

from workbench.verdict.comparison import compare_runs, differing_settings
from workbench.verdict.decide import decide
from workbench.verdict.study import ArmRun, Study

__all__ = ["ArmRun", "Study", "compare_runs", "decide", "differing_settings"]
