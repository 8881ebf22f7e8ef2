"""Comparison across runs. Freshness and the recommendation will live here too."""

from workbench.verdict.comparison import RunPair, compare_runs

__all__ = ["RunPair", "compare_runs"]
