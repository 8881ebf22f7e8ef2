"""Do the questions asked now look like those that were trained on and measured with? A test, and how far off they are.

The test is of the energy distance between two samples of embeddings, its p by permutation: exact in samples of any
size and shape where both come from one distribution, with no bandwidth to choose, and it finds any difference as the
samples grow. Sources: Székely and Rizzo 2013, https://doi.org/10.1016/j.jspi.2013.03.018; (1 + hits) / (1 + drawn):
Phipson and Smyth 2010, https://doi.org/10.2202/1544-6115.1585.

Against the questions that were trained on it is not asked whether the logged ones are like them (a test split of new
documents never is, by design) but whether they lie farther from them than the questions measured with do.

How far: the share of the logged questions that lie farther from every known question than 95 % of the known ones lie
from each other. 5 % are expected; the excess has Newcombe's interval, both samples' spread in it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.types import Float32

Float64 = NDArray[np.float64]
EXPECTED = 0.05  # share of the known questions beyond the distance that counts as outlying
BLOCK = 2**22  # entries of a block of draws


class Drift(NamedTuple):
    """p of "nothing changed", and the cosine distances behind it, each to the nearest known question but itself."""

    p: float
    known: Float64  # (M,)
    logged: Float64  # (N,)

    @property
    def limit(self) -> float:
        """The distance from which a question is outlying: the smallest that at most 5 % of the known ones exceed."""
        ordered = np.sort(self.known)
        return float(ordered[len(ordered) - 1 - int(EXPECTED * len(ordered))])

    @property
    def n_outlying(self) -> tuple[int, int]:
        """How many of the known and of the logged questions lie beyond the limit."""
        return int((self.known > self.limit).sum()), int((self.logged > self.limit).sum())


def distinct(vectors: Float32) -> Float32:
    """Return the rows of `vectors`, shape (N, D), each once, in order of first place: a question asked again is one."""
    _, first = np.unique(vectors, axis=0, return_index=True)
    return vectors[np.sort(first)]


def draw_rows(vectors: Float32, most: int, *, seed: int) -> Float32:
    """Return at most `most` rows, drawn by the seed, in their order."""
    if len(vectors) <= most:
        return vectors
    chosen = np.random.default_rng([seed, len(vectors)]).choice(len(vectors), most, replace=False)
    return vectors[np.sort(chosen)]


def compare_questions(known: Float32, logged: Float32, *, permutations: int, seed: int) -> Drift:
    """Compare two samples of embeddings.

    Args:
        known: shape (M, D), rows not 0; M >= 2.
        logged: shape (N, D); N >= 2.
    Memory: two (M + N, M + N) blocks, float32 and float64 in turn.
    """
    rows = np.concatenate([known, logged]).astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = np.clip(rows @ rows.T, -1.0, 1.0)  # (M + N, M + N)
    distances = np.sqrt(np.maximum(2 - 2 * cosines, 0.0))  # Euclidean, of unit vectors
    np.fill_diagonal(distances, 0.0)
    m = len(known)
    p = _permutation_p(distances, m, permutations=permutations, seed=seed)
    apart = 1 - cosines  # cosine distances, in [0, 2]
    np.fill_diagonal(apart, np.inf)
    return Drift(p, apart[:m, :m].min(axis=1), apart[m:, :m].min(axis=1))


def compare_reach(training: Float32, evaluation: Float32, logged: Float32, *, permutations: int, seed: int) -> Drift:
    """Compare how far two samples lie from the questions that were trained on: means of the distance to the nearest.

    p permutes who was logged, so it is exact whatever the training questions are.

    Args:
        training: shape (T, D), rows not 0; T >= 1.
        evaluation: shape (M, D); M >= 1; `known` of the result.
        logged: shape (N, D); N >= 1.
    """
    taught, known, asked = (
        rows.astype(np.float64) / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (training, evaluation, logged)
    )
    before, now = (np.maximum(1 - (rows @ taught.T).max(axis=1), 0.0) for rows in (known, asked))
    values = np.concatenate([before, now])
    draw = np.random.default_rng([seed, 4])
    sums = np.array([draw.permutation(values)[: len(before)].sum() for _ in range(permutations)])
    observed, middle = before.sum(), len(before) * values.mean()
    hits = int((abs(sums - middle) >= abs(observed - middle) - 1e-12).sum())
    return Drift((1 + hits) / (1 + permutations), before, now)


def _permutation_p(distances: Float64, m: int, *, permutations: int, seed: int) -> float:
    n_all = len(distances)
    draw = np.random.default_rng([seed, 2])
    observed = _energies(distances, np.arange(n_all)[None] < m)[0]
    hits, done = 0, 0
    while done < permutations:
        size = min(max(1, BLOCK // n_all), permutations - done)
        order = draw.random((size, n_all)).argsort(axis=1)  # (size, M + N)
        energies = _energies(distances, order < m)
        # The margin keeps the same split, added up in another order, on the side of "as extreme".
        hits += int((energies >= observed - 1e-12).sum())
        done += size
    return (1 + hits) / (1 + permutations)


def _energies(distances: Float64, first: NDArray[np.bool_]) -> Float64:
    """Return the energy distance, shape (B,), of each split: `first`, shape (B, M + N), says who is in the first part.

    E = 2 mean|X - Y| - mean|X - X'| - mean|Y - Y'|, every pair in it, that with oneself too.
    """
    side = first.astype(np.float64)
    m = side.sum(axis=1)
    n = len(distances) - m
    reach = side @ distances  # (B, M + N)
    within = (reach * side).sum(axis=1)
    across = reach.sum(axis=1) - within
    beyond = distances.sum() - within - 2 * across
    energies: Float64 = 2 * across / (m * n) - within / m**2 - beyond / n**2
    return energies
