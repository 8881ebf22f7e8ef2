"""Recall@10 of an approximate index, measured on rows of the collection itself: each row asks for its neighbours.

A row's own place is left out on both sides. A hit is any row that scores as high as the tenth best, so ties do not
count against the index. Questions lie further from passages than passages do: expect theirs to be a little lower.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from faiss.contrib.exhaustive_search import knn_ground_truth

from workbench.knowledge.raw_vectors import Survey, score_roughly
from workbench.types import Float32, Int64

K = 10
exact_neighbours: Any = knn_ground_truth  # untyped
TIE = 1e-5  # relative; float32 sums in two orders differ by less


@dataclass(frozen=True, slots=True)
class RecallSample:
    """Queries, the rows they are, and the score of the tenth best other row."""

    rows: Int64  # (Q,)
    queries: Float32  # (Q, D)
    floors: Float32  # (Q,)


def draw_sample(survey: Survey, blocks: Iterator[Float32]) -> RecallSample:
    """Return the survey's queries with their floors, found by exact search over `blocks`, one block in memory."""
    scores, rows = exact_neighbours(survey.queries, blocks, K + 1, faiss.METRIC_INNER_PRODUCT)  # both (Q, K + 1)
    others = np.where(rows == survey.query_rows[:, None], -np.inf, scores)
    floors = -np.partition(-others, K - 1, axis=1)[:, K - 1]
    return RecallSample(survey.query_rows, survey.queries, floors.astype(np.float32))


@dataclass(frozen=True, slots=True)
class Recall:
    """A mean over the sample's queries, and its standard error."""

    mean: float
    error: float

    def reaches(self, target: float) -> bool:
        """Whether it does so by a standard error: the first of many settings to pass is often merely lucky."""
        return self.mean - self.error >= target


def measure_recall(index: Any, search: Any, vectors: Float32, sample: RecallSample, overfetch: int) -> Recall:
    """Return the share of the ten nearest that are among the `overfetch` * 10 candidates proposed."""
    _, rows = index.search(sample.queries, K * overfetch + 1, params=search)  # (Q, 10 * overfetch + 1), itself included
    rows = np.where(rows == sample.rows[:, None], -1, rows)
    scores = score_roughly(vectors, rows, sample.queries)  # -inf where the row is -1
    hits = (scores >= (sample.floors - TIE * np.abs(sample.floors))[:, None]).sum(axis=1)
    shares = np.minimum(hits, K) / K
    return Recall(float(shares.mean()), float(shares.std() / len(shares) ** 0.5))
