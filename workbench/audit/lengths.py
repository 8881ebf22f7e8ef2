"""How long rows are in the generator's tokens, and what a limit would cost; rows come encoded by training's code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles

from workbench.types import TrainingExample

N_BINS = 24


@dataclass(frozen=True, slots=True)
class Spread:
    """Tokens a row: quantiles over the rows."""

    p50: int
    p95: int
    longest: int


@dataclass(frozen=True, slots=True)
class Lengths:
    """Lengths of all rows before anything is dropped or cut. Bins are of equal width, from 0, in tokens."""

    n_rows: int
    max_tokens: int  # the recipe's: longer rows are dropped in training, never cut
    prompt: Spread
    completion: Spread
    total: Spread
    n_tokens: int
    n_loss_tokens: int
    too_long: tuple[str, ...]  # ids of rows over max_tokens
    n_lost_loss_tokens: int  # of the dropped rows
    n_cut_answers: int  # rows that a trainer which cuts at max_tokens would rob of answer tokens, perhaps of all
    all_masked: tuple[str, ...]  # ids of rows without a token that carries loss
    prompt_bin: int  # tokens a bin
    prompt_histogram: tuple[int, ...]  # rows a bin, by tokens without loss
    completion_bin: int
    completion_histogram: tuple[int, ...]  # by tokens with loss


def measure_lengths(examples: Sequence[TrainingExample], *, max_tokens: int) -> Lengths:
    """Measure rows that were encoded without a limit.

    Args:
        max_tokens: the recipe's limit, prompt and answer together.
    """
    learned = [sum(example.loss_mask) for example in examples]
    totals = [len(example.token_ids) for example in examples]
    prompts = [total - loss for total, loss in zip(totals, learned, strict=True)]
    long = [place for place, total in enumerate(totals) if total > max_tokens]
    prompt_bin, completion_bin = (max(counts, default=0) // N_BINS + 1 for counts in (prompts, learned))
    return Lengths(
        n_rows=len(examples),
        max_tokens=max_tokens,
        prompt=_spread(prompts),
        completion=_spread(learned),
        total=_spread(totals),
        n_tokens=sum(totals),
        n_loss_tokens=sum(learned),
        too_long=tuple(examples[place].question_id for place in long),
        n_lost_loss_tokens=sum(learned[place] for place in long),
        n_cut_answers=sum(any(examples[place].loss_mask[max_tokens:]) for place in long),
        all_masked=tuple(example.question_id for example, loss in zip(examples, learned, strict=True) if not loss),
        prompt_bin=prompt_bin,
        prompt_histogram=_histogram(prompts, prompt_bin),
        completion_bin=completion_bin,
        completion_histogram=_histogram(learned, completion_bin),
    )


def _spread(counts: Sequence[int]) -> Spread:
    if len(counts) < 2:
        only = counts[0] if counts else 0
        return Spread(only, only, only)
    cuts = quantiles(counts, n=20, method="inclusive")
    return Spread(round(cuts[9]), round(cuts[18]), max(counts))


def _histogram(counts: Sequence[int], width: int) -> tuple[int, ...]:
    bins = [0] * N_BINS
    for count in counts:
        bins[count // width] += 1
    return tuple(bins)
