"""Limits during a race: an arm that surely breaks one is told, and one within is not, whenever one looks."""

from collections.abc import Sequence

import numpy as np
import pytest

from workbench.config import DecisionConfig
from workbench.evaluation.limits import LimitWatch
from workbench.types import CaseCosts, CaseRecord, Split

SLOW = DecisionConfig(max_seconds=1)


def batch(arm: str, seconds: Sequence[float], *, gpu: int = 0, process: int = 0) -> list[CaseRecord]:
    return [
        CaseRecord(
            question_id=f"q{place}",
            arm=arm,
            split=Split.NEW,
            kind="direct",
            answer="",
            costs=CaseCosts(
                seconds=one,
                retrieval_seconds=0,
                prompt_tokens=50,
                new_tokens=5,
                peak_gpu_bytes=gpu,
                peak_bytes=process,
            ),
        )
        for place, one in enumerate(seconds)
    ]


def test_an_arm_always_too_slow_is_told_after_two_batches_and_one_bad_batch_is_not_enough() -> None:
    watch = LimitWatch(SLOW, alpha=0.0125)
    watch.feed(batch("rag", [1.5] * 16) + batch("lora", [1.5] * 16) + batch("base", [0.9] * 16))
    # One batch: the mean over the bets of 1 + b * 0.95 / 0.05 is 10.5, and 80 are needed.
    assert watch.broken() == {}
    watch.feed(batch("rag", [1.5] * 12 + [0.5] * 4) + batch("lora", [0.5] * 16) + batch("base", [0.9] * 16))
    assert watch.broken() == {"rag": "88% of its answers take longer than 1 s, and 5% may"}


def test_an_arm_with_one_slow_answer_in_twenty_is_told_no_more_often_than_stated() -> None:
    """The share is exactly what is allowed, and it comes in whole batches, as a busy machine's does."""
    told = 0
    for seed in range(400):
        draws, watch = np.random.default_rng(seed), LimitWatch(SLOW, alpha=0.05)
        for _ in range(25):
            watch.feed(batch("rag", [1.5 if draws.random() < 0.05 else 0.5] * 2))
            if watch.broken():
                told += 1
                break
    assert 0 < told <= 0.05 * 400


def test_memory_is_settled_by_one_batch_and_the_gpu_counts_where_there_is_one() -> None:
    watch = LimitWatch(DecisionConfig(max_memory_gib=2), alpha=0.05)
    watch.feed(batch("rag", [1], gpu=3 * 2**30) + batch("base", [1], gpu=2**30, process=9 * 2**30))
    watch.feed(batch("rag", [1], gpu=2**30))
    assert watch.broken() == {"rag": "it takes 3 GiB of memory, and at most 2 are allowed"}


def test_without_a_limit_or_a_cost_nothing_is_told() -> None:
    watch = LimitWatch(DecisionConfig(), alpha=0.05)
    for _ in range(9):
        watch.feed(batch("rag", [99], process=2**50))
    assert watch.broken() == {}
    untimed = LimitWatch(SLOW, alpha=0.05)
    untimed.feed([record.model_copy(update={"costs": None}) for record in batch("rag", [99])])
    assert untimed.broken() == {}


@pytest.mark.parametrize("n_seeds", [1, 3])
def test_training_seeds_of_one_arm_share_its_batches(n_seeds: int) -> None:
    watch = LimitWatch(SLOW, alpha=0.0125)
    for _ in range(2):
        watch.feed(batch("lora", [1.5] * 16) * n_seeds)
    assert list(watch.broken()) == ["lora"]
