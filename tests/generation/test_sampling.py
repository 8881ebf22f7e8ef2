"""Choosing tokens: greedy with its entropy, and draws whose frequencies are the model's."""

from collections import Counter
from typing import Any

import pytest
import torch

from workbench.generation.sampling import Sampler, check_sampling, read_choices
from workbench.types import Sampling

NO = -torch.inf


def draw(logits: list[float], n: int, **asked: Any) -> Counter[int]:
    sampler = Sampler(Sampling(1, **{"temperature": 1.0, "seed": 0} | asked))
    row = torch.tensor(logits)
    greedy = int(row.argmax())
    return Counter(sampler.choose(row, greedy) for _ in range(n))


def test_the_greedy_choice_and_its_entropy_by_hand() -> None:
    # Two equal tokens: log 2 nats, the lower id. Certain: 0. A token ruled out counts for nothing.
    even, certain, ruled_out = read_choices(torch.tensor([[1.0, 1.0, NO], [0.0, 200.0, 0.0], [NO, 3.0, 3.0]]))
    assert [choice.token for choice in (even, certain, ruled_out)] == [0, 1, 1]
    assert [choice.entropy for choice in (even, certain, ruled_out)] == pytest.approx([0.6931472, 0.0, 0.6931472])
    assert all(choice.finite for choice in (even, certain, ruled_out))


@pytest.mark.parametrize("bad", [torch.nan, torch.inf], ids=str)
def test_a_row_with_a_logit_that_is_no_number_is_unsound_and_only_that(bad: float) -> None:
    found = read_choices(torch.tensor([[0.0, 1.0], [0.0, bad], [NO, NO]], dtype=torch.bfloat16))
    assert [choice.finite for choice in found] == [True, False, False]


def test_draws_are_as_frequent_as_the_model_says() -> None:
    odds = torch.tensor([0.5, 0.0, 0.3, 0.2])
    found = draw(odds.log().tolist(), 4000)
    assert found[1] == 0
    for token, share in enumerate(odds.tolist()):
        assert found[token] / 4000 == pytest.approx(share, abs=0.03)


def test_temperature_sharpens_and_flattens() -> None:
    logits = torch.tensor([0.8, 0.2]).log().tolist()
    # p^(1/T), normalised: at T = 0.5 it is 0.64 / 0.68, at T = 2 it is 0.894 / 1.342
    assert draw(logits, 4000, temperature=0.5)[0] / 4000 == pytest.approx(0.941, abs=0.03)
    assert draw(logits, 4000, temperature=2.0)[0] / 4000 == pytest.approx(0.667, abs=0.03)
    assert draw(logits, 50, temperature=1e-30) == {0: 50}
    assert draw(logits, 50, temperature=0.0) == {0: 50}


def test_top_p_keeps_the_smallest_set_that_holds_so_much() -> None:
    logits = torch.tensor([0.1, 0.5, 0.15, 0.25]).log().tolist()
    assert set(draw(logits, 500, top_p=0.5)) == {1}
    assert set(draw(logits, 500, top_p=0.51)) == {1, 3}
    found = draw(logits, 4000, top_p=0.75)
    assert found[1] / 4000 == pytest.approx(2 / 3, abs=0.03)  # of 0.5 and 0.25
    assert set(draw(logits, 2000, top_p=1.0)) == {0, 1, 2, 3}


def test_a_seed_is_a_stream_of_its_own() -> None:
    row = torch.zeros(100)

    def tokens(seed: int | None) -> list[int]:
        sampler = Sampler(Sampling(1, temperature=1.0, seed=seed))
        return [sampler.choose(row, 0) for _ in range(8)]

    assert tokens(3) == tokens(3)
    assert len({tuple(tokens(seed)) for seed in (3, 4, -1, None, None)}) == 5


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens is 0"),
        ({"temperature": -0.1}, r"temperature is -0\.1"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"top_p": 0.0}, r"top_p is 0\.0"),
        ({"top_p": 1.1}, r"top_p is 1\.1"),
        ({"stop": ("a", "")}, "a stop text is empty"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-",
)
def test_what_cannot_be_sampled_is_refused(asked: dict[str, Any], complaint: str) -> None:
    check_sampling(Sampling(1))
    with pytest.raises(ValueError, match=complaint):
        check_sampling(Sampling(**{"max_new_tokens": 1} | asked))
