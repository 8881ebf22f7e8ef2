"""Two runs side by side: all training seeds count, settings and cautions are listed."""

from dataclasses import replace
from typing import Any

import pytest

from tests.verdict.studies import make_study
from workbench.config import EvaluationConfig
from workbench.decision import Outcome
from workbench.errors import RunMismatchError
from workbench.verdict import compare_runs, differing_settings


def manifest(processor: str = "one", **fingerprints: str) -> dict[str, Any]:
    prints = {"test_questions": "same" * 5, "corpus": "a", **fingerprints}
    return {"fingerprints": prints, "hardware": {"processor": processor, "cores": 2, "gpus": []}}


def test_every_training_seed_counts() -> None:
    first = make_study({"base": [0.0] * 40, "lora": [[0.5, 0.5]] * 40})
    second = make_study({"base": [0.0] * 40, "lora": [[1.0, 0.5]] * 40})
    pair = compare_runs((manifest(), first), (manifest(corpus="b"), second))
    changes = {(change.part, change.arm): change for change in pair.changes}
    lora = changes["all", "lora"]
    assert (lora.first, lora.second) == (0.5, 0.75)
    assert lora.difference.value == pytest.approx(0.25)
    assert lora.n == 40
    assert changes["seen", "lora"].n == 20
    assert changes["all", "base"].outcome is not Outcome.BETTER
    assert pair.differing == ("corpus",)
    assert pair.cautions == ()


def test_other_machines_and_metrics_are_cautioned() -> None:
    study = make_study({"base": [0.0] * 8})
    other = replace(study, evaluation=EvaluationConfig(ranked_by="contains"))
    pair = compare_runs((manifest(), study), (manifest("another"), other))
    assert [caution.partition(":")[0] for caution in pair.cautions] == [
        "the runs are from different machines",
        "the second run ranks by contains; both are compared by f1 here",
    ]


def test_runs_without_a_common_arm_or_question_are_refused() -> None:
    base, lora = make_study({"base": [0.0] * 8}), make_study({"lora": [0.0] * 8})
    with pytest.raises(RunMismatchError, match="no arm is in both runs: base against lora"):
        compare_runs((manifest(), base), (manifest(), lora))
    with pytest.raises(RunMismatchError, match="so they may not be compared"):
        compare_runs((manifest(), base), (manifest(test_questions="other"), base))


def test_settings_are_told_leaf_by_leaf() -> None:
    first = {"training": {"r": 16, "seeds": [0]}, "arms": {"base": {"control": False}}, "filter": {}}
    second = {"training": {"r": 32, "seeds": [0]}, "arms": {}, "filter": {}}
    assert differing_settings(first, second) == (
        ("training.r", "16", "32"),
        ("arms.base.control", "False", "None"),
        ("arms", "None", "{}"),
    )
