"""Comparison across runs. Freshness and the recommendation will live here too."""

from workbench.verdict.comparison import ArmChange, RunPair, compare_runs

__all__ = ["ArmChange", "RunPair", "compare_runs"]
