"""The order of training is a function of seed and epoch; the learning rate one of the step."""

import pytest

from workbench.training.batches import learning_rate_at, order_epoch
from workbench.types import TrainingExample

EXAMPLES = [TrainingExample(str(n), (1,) * (n % 7 + 2), (False,) * (n % 7 + 1) + (True,), 0) for n in range(50)]


def test_an_epoch_holds_each_row_once_in_whole_batches() -> None:
    batches = order_epoch(EXAMPLES, batch_size=8, seed=1, epoch=0)
    assert sorted(index for batch in batches for index in batch) == list(range(50))
    assert sorted(map(len, batches)) == [2, 8, 8, 8, 8, 8, 8]


def test_epochs_and_seeds_differ_and_repeat() -> None:
    first = order_epoch(EXAMPLES, batch_size=8, seed=1, epoch=0)
    assert first == order_epoch(EXAMPLES, batch_size=8, seed=1, epoch=0)
    assert first != order_epoch(EXAMPLES, batch_size=8, seed=1, epoch=1)
    assert first != order_epoch(EXAMPLES, batch_size=8, seed=2, epoch=0)


def test_the_rate_climbs_over_the_warm_up_and_falls_to_zero_after_the_last_step() -> None:
    rates = [learning_rate_at(step, n_steps=10, peak=1.0, warmup_ratio=0.2) for step in range(11)]
    assert rates == pytest.approx([0.5, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0.0])
