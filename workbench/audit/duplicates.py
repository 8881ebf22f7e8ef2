"""Copies among rows: equal after normalising, or sharing most of their words.

Near copies are found exactly: a prefix filter brings every pair that can reach the threshold, and each candidate's
Jaccard overlap is computed. MinHash with LSH (rensa) was measured against it and dropped: on rows made from templates
it compares more pairs, since common words weigh as much as rare ones, and it can miss one (docs/LOG.md).
Source of the filters: Bayardo, Ma and Srikant, WWW 2007, https://doi.org/10.1145/1242572.1242591
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

from workbench.evaluation import normalise_answer
from workbench.rows import DatasetRow

NEAR = 0.8  # Jaccard overlap of words, as `evaluation.splits` takes it


class NearPair(NamedTuple):
    """Two places in the sequence compared, `first` < `second`, and the Jaccard overlap of their words."""

    first: int
    second: int
    overlap: float


class Copies(NamedTuple):
    """Row ids. Each group of `exact` lists equal rows, the first one first; `near` pairs are not exact copies."""

    exact: tuple[tuple[str, ...], ...]
    near: tuple[tuple[str, str, float], ...]

    @property
    def n_exact(self) -> int:
        """Rows that could go without losing anything."""
        return sum(len(group) - 1 for group in self.exact)

    @property
    def n_near(self) -> int:
        """Rows that come after a near copy of themselves."""
        return len({second for _, second, _ in self.near})


def near_duplicates(texts: Sequence[str], *, threshold: float = NEAR) -> list[NearPair]:
    """Return every pair whose words overlap by `threshold` or more (Jaccard), in order of place. None is missed.

    Texts that differ in a word with a digit are two facts, not copies (`code C-123` and `code C-179`), and never pair.
    """
    words = [frozenset(normalise_answer(text).split()) for text in texts]
    numbers = [frozenset(word for word in of if any(char.isdigit() for char in word)) for of in words]
    frequency = Counter(word for of in words for word in of)
    rank = {word: place for place, word in enumerate(sorted(frequency, key=lambda word: (frequency[word], word)))}
    ordered = [sorted(rank[word] for word in of) for of in words]  # the rarest first

    holders: dict[int, list[tuple[int, int]]] = defaultdict(list)  # word → (text, place of the word in it)
    pairs = []
    for second, ids in enumerate(ordered):
        size = len(ids)
        n_prefix = size - ceil(threshold * size - 1e-9) + 1  # 0.8 * n in floats may lie just above the integer
        candidates: set[int] = set()
        for place, word in enumerate(ids[:n_prefix]):
            for first, other_place in holders[word]:
                other = len(ordered[first])
                # What is still to come on both sides bounds the overlap (sizes differ too much, or too late a match).
                reachable = 1 + min(size - place - 1, other - other_place - 1) + min(place, other_place)
                if reachable >= threshold / (1 + threshold) * (size + other) - 1e-9:
                    candidates.add(first)
            holders[word].append((second, place))
        for first in sorted(candidates):
            if numbers[first] == numbers[second]:
                shared = len(words[first] & words[second])
                overlap = shared / (len(words[first]) + size - shared)
                if overlap >= threshold - 1e-9:
                    pairs.append(NearPair(first, second, overlap))
    return pairs


def find_copies(rows: Sequence[DatasetRow], *, threshold: float = NEAR) -> Copies:
    """Return exact and near copies.

    Exact: the same task, and question, turns, passages and completion equal after normalising. Near: the words of
    question, turns and completion overlap, over the same passages; a question asked over other passages is another row.
    """
    groups: dict[tuple[object, ...], list[DatasetRow]] = defaultdict(list)
    for row in rows:
        groups[(row.task, *(normalise_answer(part) for part in (asked(row), row.completion)), shown(row))].append(row)
    singles = [group[0] for group in groups.values()]

    places: dict[tuple[object, ...], list[DatasetRow]] = defaultdict(list)
    for row in singles:
        places[(row.task, shown(row))].append(row)
    near = []
    for alike in places.values():
        found = near_duplicates([f"{asked(row)} {row.completion}" for row in alike], threshold=threshold)
        near += [(alike[pair.first].id, alike[pair.second].id, pair.overlap) for pair in found]
    return Copies(tuple(tuple(row.id for row in group) for group in groups.values() if len(group) > 1), tuple(near))


def asked(row: DatasetRow) -> str:
    """Return what the row asks: its question, or its turns one a line; empty for plain text."""
    return row.question or "\n".join(turn.content for turn in row.turns)


def shown(row: DatasetRow) -> tuple[str, ...]:
    """Return the passages the row shows, normalised, in any order."""
    return tuple(sorted(normalise_answer(passage.text) for passage in row.passages))
