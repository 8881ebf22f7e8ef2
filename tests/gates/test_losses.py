"""Held-out loss: row by row it is the model's own, and its interval is over documents."""

import pytest
import torch

from tests.tiny import load_tiny, make_examples
from workbench.gates.losses import RowLoss, check_end, check_start, grouped_change, mean_loss, measure_rows
from workbench.gates.results import Status


@pytest.mark.usefixtures("tiny_home")
def test_the_loss_of_a_row_is_the_models_own() -> None:
    model, tokenizer = load_tiny()
    rows = make_examples(tokenizer)
    losses = measure_rows(model, rows, adapter=None, pad_id=0)
    for row, loss in zip(rows, losses, strict=True):
        ids = torch.tensor([row.token_ids])
        labels = ids.where(torch.tensor([row.loss_mask]), -100)
        with torch.no_grad():
            wanted = torch.nn.functional.cross_entropy(model(ids).logits[0, :-1], labels[0, 1:], reduction="sum")
        assert loss.n_tokens == sum(row.loss_mask)
        assert loss.nats == pytest.approx(float(wanted), rel=1e-4)


@pytest.mark.usefixtures("tiny_home")
def test_the_first_token_of_plain_text_has_nothing_that_predicts_it() -> None:
    model, tokenizer = load_tiny()
    row = make_examples(tokenizer, acts_from="prompt")[0]
    text = type(row)("t", row.token_ids, (True,) * len(row.token_ids), 0)
    (loss,) = measure_rows(model, [text], adapter=None, pad_id=0)
    assert loss.n_tokens == len(row.token_ids) - 1


def rows(*nats: float, tokens: int = 2) -> list[RowLoss]:
    return [RowLoss(value, tokens) for value in nats]


def change(before: list[RowLoss], after: list[RowLoss], groups: list[str]) -> tuple[float, float | None, float | None]:
    found = grouped_change(before, after, groups, resamples=500, confidence=0.95, seed=1)
    return found.mean, found.low, found.high


def test_the_change_is_over_tokens_and_its_interval_over_documents() -> None:
    before, after = [RowLoss(4, 2), RowLoss(9, 3)], [RowLoss(2, 2), RowLoss(3, 3)]
    mean, low, high = change(before, after, ["a", "b"])
    assert mean == pytest.approx((2 - 4 + 3 - 9) / 5)
    assert low == pytest.approx(-6 / 3)  # both documents drawn twice are possible
    assert high == pytest.approx(-2 / 2)
    assert change(before, after, ["a", "a"]) == (mean, None, None)


def test_rows_of_one_document_are_drawn_together() -> None:
    # Twenty rows that rise or fall with their document: over rows the interval would be far narrower.
    before = rows(*[0.0] * 40, tokens=1)
    after = rows(*[-1.0] * 20, *[0.5] * 20, tokens=1)
    _, low, high = change(before, after, ["a"] * 20 + ["b"] * 20)
    assert (low, high) == (-1.0, 0.5)
    _, low, high = change(before, after, [str(number) for number in range(40)])
    assert low is not None and high is not None
    assert -0.6 < low < high < 0.1


@pytest.mark.parametrize(
    ("recorded", "dtype", "status"),
    [
        (2.0, torch.float32, Status.PASS),
        (2.01, torch.float32, Status.FAIL),
        (2.01, torch.bfloat16, Status.PASS),
        (1.9, torch.bfloat16, Status.FAIL),
        (None, torch.float32, Status.NOT_APPLICABLE),
    ],
)
def test_a_training_begins_at_the_base_models_loss(recorded: float | None, dtype: torch.dtype, status: Status) -> None:
    assert check_start(recorded, rows(4.0, 4.0), dtype=dtype).status is status


@pytest.mark.parametrize(
    ("after", "kept_last", "status"),
    [
        ((1.0, 1.0, 1.5), False, Status.PASS),
        ((0.0, 0.0, 6.5), False, Status.WARN),  # better on average, not surely
        ((3.0, 3.0, 3.0), False, Status.FAIL),
        ((3.0, 3.0, 3.0), True, Status.WARN),
    ],
)
def test_a_training_ends_below_the_base_models_loss(after: tuple[float, ...], kept_last: bool, status: Status) -> None:
    result = check_end(
        rows(3.0, 3.0, 3.0) if status is Status.PASS else rows(2.9, 2.9, 2.9),
        rows(*after),
        ["a", "b", "c"],
        kept_last=kept_last,
        resamples=500,
        confidence=0.95,
        seed=0,
    )
    assert result.status is status, result
    assert result.details["loss"] == pytest.approx(mean_loss(rows(*after)))


def test_without_held_out_rows_there_is_nothing_to_compare() -> None:
    result = check_end([], [], [], kept_last=False, resamples=100, confidence=0.95, seed=0)
    assert result.status is Status.NOT_APPLICABLE
