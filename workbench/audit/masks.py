"""Rows token by token, with what carries loss: the look that shows an all-masked row or a prompt that is learned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from workbench.types import TrainingExample

_WHITE = str.maketrans({"\n": "⏎\n", "\t": "⇥"})


class Piece(NamedTuple):
    """One token: its text, and whether it is learned. Control tokens, which decode to nothing, show as ⟨id⟩."""

    text: str
    learned: bool


class ShownRow(NamedTuple):
    """A row as the model sees it."""

    row_id: str
    pieces: tuple[Piece, ...]
    n_learned: int


def show_masks(examples: Sequence[TrainingExample], decode: Callable[[Sequence[int]], str]) -> list[ShownRow]:
    """Return the rows token by token.

    Args:
        decode: the tokenizer's, control tokens left out. Characters made of several tokens show in the last of them.
    """
    return [
        ShownRow(example.question_id, tuple(_pieces(example, decode)), sum(example.loss_mask)) for example in examples
    ]


def _pieces(example: TrainingExample, decode: Callable[[Sequence[int]], str]) -> list[Piece]:
    pieces: list[Piece] = []
    open_: list[int] = []  # bytes of a character that is not whole yet
    for token, learned in zip(example.token_ids, example.loss_mask, strict=True):
        open_.append(token)
        text = decode(open_)
        if text.endswith("\N{REPLACEMENT CHARACTER}") and len(open_) < 4:
            pieces.append(Piece("·", learned))
            continue
        pieces.append(Piece(text.translate(_WHITE) if text else f"⟨{token}⟩", learned))
        open_ = []
    return pieces
