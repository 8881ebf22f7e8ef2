"""The verdict: pairs, costs, the recommendation, and comparison across runs."""

from workbench.verdict.comparison import ArmChange, RunPair, compare_runs

__all__ = ["ArmChange", "RunPair", "compare_runs"]
