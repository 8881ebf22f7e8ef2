"""BM25 over segments of words, with statistics of the allowed chunks only. How text becomes words: `analysis.py`.

    score(chunk) = sum over the question's words of  asked * idf * count / (count + k1 * (1 - b + b * length / mean))
    idf = ln(1 + (N - df + 0.5) / (df + 0.5))

with k1 1.2, b 0.75, exact lengths in words, and `asked`, how often the question has the word. This is Lucene's BM25
since version 8 (no factor k1 + 1) but for Lucene's one-byte lengths. N, df and the mean length count the allowed chunks
of all segments together and no other: a tenant gets the scores of an index of its own, bit for bit, and neither
segmentation nor deleted chunks leave a trace. To that end a chunk's sum is taken in float64, in ascending order of the
words' hashes, and rounded to float32 once, at the end. A question is the OR of its words, never a query language.

Most words of a question are common and weigh little, so the rarest are read first, until no chunk without one of them
can be among the best k (MaxScore); that choice is made in float32 with a margin, the scores are computed afterwards.

Sources: Robertson and Zaragoza, 2009, https://doi.org/10.1561/1500000019; Kamphuis et al., ECIR 2020,
https://doi.org/10.1007/978-3-030-45442-5_4 (the variants); Turtle and Flood, 1995, https://doi.org/10.1016/0306-4573(95)00020-H
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workbench.knowledge.analysis import hash_words
from workbench.knowledge.postings import Counts, Positions, Postings, WordSegment, merge_words, write_postings
from workbench.types import Bool, Float32

__all__ = ["WordSegment", "merge_words", "search_words", "write_words"]

K1 = 1.2
B = 0.75
LOOKUP_COST = 8  # finding a chunk in a word's postings costs as much as reading this many of them
Term = tuple[float, Postings]  # a word's weight in this search, asked * idf, and its postings in one segment


def write_words(folder: Path, texts: Iterable[str]) -> None:
    """Write the words of `texts`, in order of position, into `folder`, which may exist.

    Memory, however many texts: see `write_postings`.

    Raises:
        OSError: the disk is full or failing; what was written must be thrown away.
    """
    write_postings(folder, map(hash_words, texts))


def search_words(
    segments: Sequence[tuple[WordSegment, Bool | None]], question: str, *, k: int
) -> list[tuple[int, int, float]]:
    """Return (number of the segment, position in it, score) of the `k` best allowed chunks, best first.

    A chunk without any word of the question is not found. Equal scores go in order of segment and position, and all
    that tie with the k-th are returned, so that the caller can order them by chunk id.

    Args:
        segments: each with its mask, shape (n,), True: may be found; None: all may. A read-only mask is counted once.

    Raises:
        ValueError: `k` is below 1, or a mask has another shape.
    """
    if k < 1:
        raise ValueError(f"k is {k}, must be at least 1")
    asked = sorted(Counter(hash_words(question)).items())
    found = [segment.find(np.array([word for word, _ in asked], np.uint64)) for segment, _ in segments]
    n_chunks, n_words = map(sum, zip((0, 0), *(segment.count(allowed) for segment, allowed in segments), strict=True))
    if not n_words:
        return []
    mean_length = n_words / n_chunks
    frequencies = [0] * len(asked)
    for (_, allowed), postings in zip(segments, found, strict=True):
        for place, (positions, _) in enumerate(postings):
            frequencies[place] += len(positions) if allowed is None else int(np.count_nonzero(allowed[positions]))
    weights = [times * weigh(n_chunks, df) if df else 0.0 for (_, times), df in zip(asked, frequencies, strict=True)]
    hits: list[tuple[int, int, float]] = []
    for number, ((segment, allowed), postings) in enumerate(zip(segments, found, strict=True)):
        terms = [(weight, one) for weight, one in zip(weights, postings, strict=True) if weight and len(one.positions)]
        positions = _choose_candidates(segment, allowed, terms, mean_length, k)
        scores = _score(segment, positions, terms, mean_length)
        best = _at_least_kth(scores, k)
        hits += zip([number] * len(best), positions[best].tolist(), scores[best].tolist(), strict=True)
    hits.sort(key=lambda hit: (-hit[2], hit[0], hit[1]))
    return [hit for hit in hits if hit[2] >= hits[min(k, len(hits)) - 1][2]]


def weigh(n_chunks: int, frequency: int) -> float:
    """Return the idf of a word that `frequency` of `n_chunks` chunks hold; positive."""
    return math.log1p((n_chunks - frequency + 0.5) / (frequency + 0.5))


def _choose_candidates(
    segment: WordSegment, allowed: Bool | None, terms: Sequence[Term], mean_length: float, k: int
) -> Positions:
    """Return positions, ascending, of at least the chunks that are among the segment's `k` best, ties included."""
    margin = 1 - 1e-6 * (len(terms) + 8)  # above the rounding of as many float32 additions, and of the final float32
    rarest_first = sorted(terms, key=lambda term: -term[0])
    # A chunk gains less than its weight from each word: count / (count + ...) is below 1.
    unread = [*accumulate((weight for weight, _ in reversed(rarest_first)), initial=0.0)][::-1]
    sums = np.zeros(segment.n, np.float32)
    kth = 0.0  # the k-th best score of the segment is not below this
    n_read = 0
    for (weight, (positions, counts)), rest in zip(rarest_first, unread[:-1], strict=True):
        # A chunk with none of the words read so far cannot reach the k-th; look the others up, if they are few.
        if rest < kth and np.count_nonzero(sums >= kth - rest) * LOOKUP_COST < len(positions):
            break
        if allowed is not None:
            kept = allowed[positions]
            positions, counts = positions[kept], counts[kept]  # noqa: PLW2901
        places = positions.astype(np.intp)  # once, where every use of int32 positions would convert them again
        gained = sums[places] + _gain(weight, counts, segment.lengths[places], mean_length)
        sums[places] = gained
        n_read += 1
        kth = max(kth, margin * _kth_best(gained, k))
    bar = kth - unread[n_read]
    chosen = np.flatnonzero(sums >= bar if bar > 0 else sums).astype(np.int32)
    partial = sums[chosen]
    for (weight, postings), rest in zip(rarest_first[n_read:], unread[n_read + 1 :], strict=True):
        counts = _count_in(postings, chosen)
        partial += _gain(weight, counts, segment.lengths[chosen], mean_length)
        kth = max(kth, margin * _kth_best(partial, k))
        reaching = partial >= kth - rest
        chosen, partial = chosen[reaching], partial[reaching]
    return chosen[partial >= margin * _kth_best(partial, k)]


def _score(segment: WordSegment, positions: Positions, terms: Iterable[Term], mean_length: float) -> Float32:
    """Return the exact scores of `positions`, both of shape (C,); every operation is elementwise and in fixed order."""
    norms = K1 * (1 - B) + K1 * B / mean_length * segment.lengths[positions]  # (C,) float64
    scores = np.zeros(len(positions))
    for weight, postings in terms:
        counts = _count_in(postings, positions).astype(np.float64)
        scores += weight * (counts / (counts + norms))
    return scores.astype(np.float32)


def _gain(weight: float, counts: Counts, lengths: Positions, mean_length: float) -> Float32:
    """Return the same for one word, in float32: what chunks of these lengths that hold it so often gain from it."""
    frequencies = counts.astype(np.float32)
    norms: Float32 = np.float32(K1 * (1 - B)) + np.float32(K1 * B / mean_length) * lengths.astype(np.float32)
    shares: Float32 = frequencies / (frequencies + norms)
    gains: Float32 = np.float32(weight) * shares
    return gains


def _count_in(postings: Postings, positions: Positions) -> Counts:
    """Return how often each of the ascending `positions` holds the word."""
    places = np.minimum(np.searchsorted(postings.positions, positions), len(postings.positions) - 1)
    counts: Counts = np.where(postings.positions[places] == positions, postings.counts[places], np.uint16(0))
    return counts


def _kth_best(scores: Float32, k: int) -> float:
    """Return the k-th highest score; fewer than k: 0."""
    return float(np.partition(scores, -k)[-k]) if len(scores) >= k else 0.0


def _at_least_kth(scores: Float32, k: int) -> NDArray[np.intp]:
    return np.flatnonzero(scores >= _kth_best(scores, k))
