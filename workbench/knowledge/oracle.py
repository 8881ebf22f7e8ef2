"""What searches must find, computed the slow way: every score from the rows themselves, no index and no postings.

Vectors are compared with each other one by one, words counted in the texts. `verify` asks a view the same questions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import sqrt

import numpy as np

from workbench.knowledge import searching
from workbench.knowledge.analysis import find_words, hash_words
from workbench.knowledge.raw_vectors import score_exactly
from workbench.knowledge.records import Records
from workbench.knowledge.searching import Scored
from workbench.knowledge.view import View
from workbench.knowledge.words import K1, B, weigh
from workbench.types import EVERYTHING, Float32, Int64

K = 10
QUESTION_WORDS = 6
SEED = 20_240_229
STANDARD_ERRORS = 4  # how far a recall measured here may stay below the recorded one


def check_searches(store: Records, view: View, n: int) -> list[str]:
    """Ask the view `n` seeded questions of each kind; return what it answered wrongly, in words for people.

    A vector search over segments with an approximate index may miss some: its scores must be exact, and the recall over
    all questions not below the recorded one by more than chance.
    """
    rows = np.random.default_rng(SEED).permutation(view.chunks.keys)[:n]
    return [*_check_vectors(store, view, rows), *_check_words(store, view, rows)]


def rank_vectors(store: Records, view: View, vector: Float32, k: int) -> Scored:
    """Return the `k` nearest chunk ids of all, by inner product; ties by id."""
    rows, scores = [], []
    for segment, alive in view.kept:
        positions = np.arange(segment.record.n) if alive is None else np.flatnonzero(alive)
        rows.append(segment.rows[positions])
        scores.append(score_exactly(segment.vectors.vectors(), positions, vector))
    return _rank(store, np.concatenate(rows), np.concatenate(scores), k)


def rank_words(store: Records, view: View, questions: Sequence[str], k: int) -> list[Scored]:
    """Return the `k` best chunk ids for each question by BM25 as `words.py` defines it; ties by id."""
    edition, keys = view.state.edition.number, view.chunks.keys
    if not len(keys):
        return [[] for _ in questions]
    asked = [sorted(Counter(hash_words(question)).items()) for question in questions]
    held: dict[int, dict[int, int]] = {word: {} for words in asked for word, _ in words}  # word: place: count
    lengths = np.zeros(len(keys))
    for place, chunk in enumerate(store.chunks_of_rows(edition, int(keys[0]), int(keys[-1]))):
        counts = Counter(hash_words(chunk.indexed_text))
        lengths[place] = counts.total()
        for word in counts.keys() & held.keys():
            held[word][place] = counts[word]
    mean = float(lengths.sum()) / len(keys)
    rankings = []
    for words in asked:
        scores: dict[int, float] = {}
        for word, times in words:
            weight = times * weigh(len(keys), len(held[word]))
            for place, count in held[word].items():
                norm = K1 * (1 - B) + K1 * B / mean * lengths[place]
                scores[place] = scores.get(place, 0.0) + weight * (count / (count + norm))
        places = np.fromiter(scores, np.int64)
        rankings.append(_rank(store, keys[places], np.fromiter(scores.values(), np.float64).astype(np.float32), k))
    return rankings


def _check_vectors(store: Records, view: View, rows: Int64) -> list[str]:
    edition = view.state.edition
    recorded = [segment.record.choice["recall"] for segment in view.segments]
    approximate = [recall for recall in recorded if recall is not None]
    faults, n_found, n_wanted = [], 0, 0
    for id_ in store.ids_of_rows(rows.tolist()):
        (vector,) = store.vectors_of(edition.number, [id_], edition.identity.dimension)
        found = searching.find_vectors(store, view, vector, k=K, scope=EVERYTHING)
        wanted = rank_vectors(store, view, vector, K)
        n_found, n_wanted = n_found + len(set(found) & set(wanted)), n_wanted + len(wanted)
        if found != wanted and not approximate:
            faults.append(f"by the vector of chunk {id_} finds {_name(found)}, the nearest are {_name(wanted)}")
        vectors = store.vectors_of(edition.number, [other for other, _ in found], edition.identity.dimension)
        if score_exactly(vectors, np.arange(len(found)), vector).tolist() != [score for _, score in found]:
            faults.append(f"by the vector of chunk {id_} finds {_name(found)}, which are not their scores")
    if approximate and n_wanted:
        floor = min(approximate)
        error = STANDARD_ERRORS * sqrt(max(floor * (1 - floor), 1 / n_wanted) / n_wanted)
        if n_found / n_wanted < floor - error:
            faults.append(f"by vectors has recall@{K} {n_found / n_wanted:.3f}, recorded is {floor:.3f}")
    return faults


def _check_words(store: Records, view: View, rows: Int64) -> list[str]:
    ids = store.ids_of_rows(rows.tolist())
    texts = [store.chunk(view.state.edition.number, id_).chunk.text for id_ in ids]
    questions = [" ".join(find_words(text)[:QUESTION_WORDS]) for text in texts]
    faults = []
    for question, wanted in zip(questions, rank_words(store, view, questions, K), strict=True):
        found = searching.find_words(store, view, question, k=K, scope=EVERYTHING)
        if found != wanted:
            faults.append(f"for the words {question!r} finds {_name(found)}, the best are {_name(wanted)}")
    return faults


def _rank(store: Records, rows: Int64, scores: Float32, k: int) -> Scored:
    if len(rows) > k:
        near = scores >= np.sort(scores)[-k]
        rows, scores = rows[near], scores[near]
    pairs = zip(store.ids_of_rows(rows.tolist()), scores.tolist(), strict=True)
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[:k]


def _name(scored: Scored) -> str:
    return ", ".join(f"{id_} ({score:.6f})" for id_, score in scored) or "nothing"
