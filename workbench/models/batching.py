"""Texts of one length side by side: what a text is padded to follows from its own length, never from its neighbours.

So a vector or a score is the same whatever else is computed with it. In bfloat16 that matters: padded to another length
the same text comes out 1e-3 away, and a moved chunk would differ from the one in the embedding cache.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench.types import Int64

if TYPE_CHECKING:
    from tokenizers import Encoding

LENGTH_STEP = 16  # tokens; smaller steps pad less, but every new shape costs a backend its preparation once


@dataclass(frozen=True, slots=True)
class Batch:
    """Some of the texts, by their place in the input, as a model reads them: every feature has shape (B, L)."""

    places: Int64  # (B,)
    features: dict[str, Int64]


def iterate_batches(
    encodings: Sequence[Encoding],
    *,
    names: Collection[str],
    pad_id: int,
    longest: int,
    batch_tokens: int,
) -> Iterator[Batch]:
    """Yield every text exactly once, long ones first (so memory peaks at the start), equal lengths in input order.

    Args:
        names: which of input_ids, attention_mask and token_type_ids the model reads.
        longest: tokens the model reads; no text is padded beyond.
        batch_tokens: tokens of a batch, padding included; one text is a batch whatever its length.
    """
    groups: dict[int, list[int]] = {}
    for place, encoding in enumerate(encodings):
        groups.setdefault(padded_length(len(encoding.ids), longest=longest), []).append(place)
    for length in sorted(groups, reverse=True):
        size = max(1, batch_tokens // length)
        for start in range(0, len(groups[length]), size):
            yield _pad(encodings, groups[length][start : start + size], length, names, pad_id)


def padded_length(n_tokens: int, *, longest: int) -> int:
    """Return what a text of `n_tokens` is padded to: the next multiple of LENGTH_STEP, at most `longest`."""
    return max(n_tokens, min(longest, -(-n_tokens // LENGTH_STEP) * LENGTH_STEP))


def _pad(encodings: Sequence[Encoding], places: list[int], length: int, names: Collection[str], pad_id: int) -> Batch:
    shape = (len(places), length)
    features = {
        "input_ids": np.full(shape, pad_id, dtype=np.int64),
        "attention_mask": np.zeros(shape, dtype=np.int64),
        "token_type_ids": np.zeros(shape, dtype=np.int64),
    }
    for row, place in enumerate(places):
        encoding = encodings[place]
        n_tokens = len(encoding.ids)
        features["input_ids"][row, :n_tokens] = encoding.ids
        features["attention_mask"][row, :n_tokens] = 1
        features["token_type_ids"][row, :n_tokens] = encoding.type_ids
    return Batch(np.array(places, dtype=np.int64), {name: features[name] for name in names if name in features})
