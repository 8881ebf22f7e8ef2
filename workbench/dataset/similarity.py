"""Pairs of texts that share most of their words: Jaccard overlap of word sets, exact, without comparing all pairs.

Two sets of Jaccard t share a word among the |x| - ceil(t |x|) + 1 rarest of each (prefix filter: Chaudhuri et al. 2006,
https://doi.org/10.1109/ICDE.2006.9).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from math import ceil

from workbench.evaluation.metrics import normalise_answer


def word_sets(texts: Sequence[str]) -> list[frozenset[str]]:
    """Return the normalised words of each text: lower case, no punctuation, no articles."""
    return [frozenset(normalise_answer(text).split()) for text in texts]


def similar_pairs(texts: Sequence[frozenset[str]], threshold: float) -> Iterator[tuple[int, int]]:
    """Yield (earlier, later) places of sets whose Jaccard overlap is `threshold` or more; empty sets match none."""
    frequency = Counter(word for words in texts for word in words)
    holders: dict[str, list[int]] = defaultdict(list)
    for place, words in enumerate(texts):
        # The margin: t * n in floats may lie just above the integer it is.
        n_prefix = len(words) - ceil(threshold * len(words) - 1e-9) + 1 if words else 0
        prefix = sorted(words, key=lambda word: (frequency[word], word))[:n_prefix]
        candidates = dict.fromkeys(other for word in prefix for other in holders[word])
        for other in candidates:
            shared = len(words & texts[other])
            if shared >= threshold * (len(words) + len(texts[other]) - shared) - 1e-9:
                yield other, place
        for word in prefix:
            holders[word].append(place)
