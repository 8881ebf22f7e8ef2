"""Batches by length: every text once, padded by its own length alone."""

from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from workbench.models.batching import LENGTH_STEP, iterate_batches, padded_length

NAMES = ("input_ids", "attention_mask")


def encode(length: int, number: int) -> Any:
    return SimpleNamespace(ids=[number + 1] * length, type_ids=[0] * length)


@given(st.lists(st.integers(1, 130), max_size=40), st.integers(1, 600))
def test_every_text_comes_once_in_a_shape_of_its_own(lengths: list[int], batch_tokens: int) -> None:
    texts = [encode(length, number) for number, length in enumerate(lengths)]
    batches = list(iterate_batches(texts, names=NAMES, pad_id=0, longest=130, batch_tokens=batch_tokens))
    assert sorted(place for batch in batches for place in batch.places) == list(range(len(lengths)))
    for batch in batches:
        ids, mask = batch.features["input_ids"], batch.features["attention_mask"]
        assert ids.shape == mask.shape
        assert ids.size <= batch_tokens or len(batch.places) == 1
        for place, row, read in zip(batch.places, ids, mask, strict=True):
            assert ids.shape[1] == padded_length(lengths[place], longest=130)
            assert np.array_equal(row, [place + 1] * lengths[place] + [0] * (ids.shape[1] - lengths[place]))
            assert read.sum() == lengths[place]


def test_padding_goes_to_the_next_step_and_never_past_what_the_model_reads() -> None:
    assert [padded_length(n, longest=130) for n in (1, 16, 17, 128, 129, 130)] == [
        LENGTH_STEP,
        16,
        32,
        128,
        130,
        130,
    ]


def test_a_model_is_given_only_what_it_reads() -> None:
    (batch,) = iterate_batches([encode(3, 0)], names=("input_ids",), pad_id=9, longest=8, batch_tokens=8)
    assert batch.features.keys() == {"input_ids"}
    assert batch.features["input_ids"].tolist() == [[1, 1, 1, 9, 9, 9, 9, 9]]
