"""The order of training is a function of seed and epoch; the learning rate one of the step."""

import pytest
import torch

from workbench.training.batches import default_tokens, learning_rate_at, order_epoch, split_batch
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


def rows_of(*lengths: int, n_prefix: int = 0) -> list[TrainingExample]:
    return [TrainingExample("", (1,) * n, (False,) * (n - 1) + (True,), n_prefix) for n in lengths]


@pytest.mark.parametrize(
    ("lengths", "most_rows", "most_tokens", "expected"),
    [
        ((5, 5, 5), 8, None, [3]),
        ((5, 5, 5), 2, None, [2, 1]),
        ((5, 5, 5, 5), 8, 10, [2, 2]),
        ((5, 5, 6, 4), 8, 10, [2, 1, 1]),
        ((50, 3, 3, 3), 8, 10, [1, 3]),
        ((3, 3, 3, 3), 3, 100, [3, 1]),
        ((), 8, 10, []),
    ],
)
def test_micro_batches_keep_order_rows_and_padded_tokens(
    lengths: tuple[int, ...], most_rows: int, most_tokens: int | None, expected: list[int]
) -> None:
    rows = rows_of(*lengths)
    parts = split_batch(rows, most_rows=most_rows, most_tokens=most_tokens)
    assert [len(part) for part in parts] == expected
    assert [row for part in parts for row in part] == rows


def test_a_cached_prefix_counts_for_nothing_in_a_micro_batch() -> None:
    assert len(split_batch(rows_of(50, 50, n_prefix=48), most_rows=8, most_tokens=4)) == 1


def test_only_a_cpu_bounds_the_tokens_of_a_micro_batch() -> None:
    assert default_tokens(torch.device("cuda")) is None
    assert default_tokens(torch.device("cpu")) == max(2048, 512 * torch.get_num_threads())
