"""Rows laid flat: who sees whom, where the states that predict lie, and the same loss as row by row."""

import pytest
import torch

from tests.training.test_loss import make_loss
from workbench.training import loss as loss_module
from workbench.training.flat import MOST_TOKENS, fits_flat, lay_flat
from workbench.training.loss import shared_beginning
from workbench.types import TrainingExample

pytestmark = pytest.mark.usefixtures("tiny_home")


def make_row(ids: list[int], n_learned: int, n_prefix: int = 0) -> TrainingExample:
    mask = (False,) * (len(ids) - n_learned) + (True,) * n_learned
    return TrainingExample("", tuple(ids), mask, n_prefix)


def test_a_row_sees_the_beginning_and_itself_and_nothing_later() -> None:
    rows = [make_row([5, 6, 7, 8], 1), make_row([5, 6, 9, 4], 1)]
    batch = lay_flat(rows, 2, device=torch.device("cpu"))
    assert batch.input_ids.tolist() == [[5, 6, 7, 8, 9, 4]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 3, 2, 3]]
    assert batch.mask[0, 0].int().tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 0, 0, 1, 0],
        [1, 1, 0, 0, 1, 1],
    ]
    assert batch.targets.tolist() == [8, 4]
    assert batch.predicts.tolist() == [2, 4]


@pytest.mark.parametrize("n_shared", [0, 9])
def test_loss_and_gradients_are_those_of_the_padded_batch(n_shared: int, monkeypatch: pytest.MonkeyPatch) -> None:
    loss, _ = make_loss("prompt")
    draw = torch.Generator().manual_seed(0)
    beginning = torch.randint(5, 200, (n_shared,), generator=draw).tolist()
    rows = [
        make_row([*beginning, *torch.randint(5, 200, (length,), generator=draw).tolist()], 3)
        for length in (6, 11, 4, 9)
    ]
    assert shared_beginning(rows) == n_shared
    assert fits_flat(rows, n_shared)
    trained = [parameter for parameter in loss.parameters() if parameter.requires_grad]

    def measure() -> tuple[float, list[torch.Tensor], list[float]]:
        value = loss(rows)
        return float(value.detach()), list(torch.autograd.grad(value, trained)), loss.per_example(rows)

    flat, flat_gradients, flat_rows = measure()
    monkeypatch.setattr(loss_module, "fits_flat", lambda *_: False)
    monkeypatch.setattr(loss_module, "lay_flat", None)
    padded, padded_gradients, padded_rows = measure()
    assert flat == pytest.approx(padded, rel=1e-5)
    assert flat_rows == pytest.approx(padded_rows, rel=1e-4)
    for one, other in zip(flat_gradients, padded_gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6)


def test_rows_too_long_or_behind_a_prefix_or_wider_than_the_window_are_padded(monkeypatch: pytest.MonkeyPatch) -> None:
    short = make_row(list(range(20)), 2)
    assert fits_flat([short] * 2, 0)
    assert not fits_flat([make_row([7] * (MOST_TOKENS // 2 + 1), 2)] * 2, 0)
    assert fits_flat([make_row([7] * (MOST_TOKENS // 2 + 1), 2)] * 2, 10)
    assert not fits_flat([short, make_row([7] * 9, 2, n_prefix=4)], 0)
    loss, _ = make_loss("prompt")
    monkeypatch.setattr(loss.model.get_base_model().config, "sliding_window", 19, raising=False)
    assert loss._too_long_for_window([short])
