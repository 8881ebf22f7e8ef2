"""The verdict: pairs, costs, the recommendation, and comparison across runs."""

from workbench.verdict.comparison import compare_runs, differing_settings
from workbench.verdict.decide import decide
from workbench.verdict.joint import Part, join_alarms, join_interactions, join_studies, name_arms
from workbench.verdict.selection import caution, measure_selection
from workbench.verdict.study import ArmRun, Study

__all__ = [
    "ArmRun",
    "Part",
    "Study",
    "caution",
    "compare_runs",
    "decide",
    "differing_settings",
    "join_alarms",
    "join_interactions",
    "join_studies",
    "measure_selection",
    "name_arms",
]
