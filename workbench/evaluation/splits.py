"""Which questions train and which test, and that no test question leaks into training.

`new` questions come from groups kept away from training whole; `seen` questions from documents that also stand
behind a training row. Every draw depends on the seed and the ids alone, never on the order of the file.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from math import ceil
from typing import NamedTuple, TypeVar

from workbench.config import SplitConfig
from workbench.errors import QuestionFileError
from workbench.evaluation.metrics import normalise_answer
from workbench.runs import fingerprint
from workbench.types import Question, Split

Item = TypeVar("Item")
TEST_SPLITS = (Split.SEEN, Split.NEW)
NEAR = 0.8  # Jaccard overlap of words from which two questions count as copies


class NearCopy(NamedTuple):
    """A training row too close to a test question; `overlap` is the Jaccard overlap of their words, in [0.8, 1]."""

    train_id: str
    test_id: str
    overlap: float


def assign_splits(questions: Sequence[Question], config: SplitConfig, *, seed: int) -> list[Question]:
    """Return the questions, each with a split, in the order given. Files that carry all splits are left alone.

    A share `new` of the groups goes to NEW. Of the other questions, shares `seen` and `dev` go to SEEN and DEV, but
    the first question drawn of every document stays in TRAIN: a document nobody trained on is not "seen".

    Raises:
        QuestionFileError: some questions carry a split and some do not.
    """
    given = [question for question in questions if question.split is not None]
    if given and len(given) == len(questions):
        return list(questions)
    if given:
        bare = next(question for question in questions if question.split is None)
        raise QuestionFileError(
            f"{len(given)} of {len(questions)} questions carry a `split`: {given[0].id!r} does, {bare.id!r} does not; "
            "give all of them one, or none"
        )
    groups = _shuffled({_group(question) for question in questions}, seed, str)
    new_groups = set(groups[: round(config.new * len(groups))])
    rest = [question for question in questions if _group(question) not in new_groups]
    held_out = _held_out(rest, config, seed)
    return [
        question.model_copy(
            update={"split": Split.NEW if _group(question) in new_groups else held_out.get(question.id, Split.TRAIN)}
        )
        for question in questions
    ]


def near_copies(train: Iterable[Question], test: Iterable[Question]) -> list[NearCopy]:
    """Return every (train, test) pair whose normalised texts share at least 0.8 of their words (Jaccard).

    Only candidates are compared that share one of their rarest words: two sets of Jaccard t share a word among the
    |x| - ceil(t |x|) + 1 rarest of each (prefix filter: Chaudhuri et al. 2006, https://doi.org/10.1109/ICDE.2006.9).
    """
    train_words = {question.id: frozenset(normalise_answer(question.text).split()) for question in train}
    test_words = {question.id: frozenset(normalise_answer(question.text).split()) for question in test}
    frequency = Counter(word for words in (*train_words.values(), *test_words.values()) for word in words)

    def rarest(words: frozenset[str]) -> list[str]:
        must_share = ceil(NEAR * len(words) - 1e-9)  # the margin: 0.8 * n in floats may lie just above the integer
        return sorted(words, key=lambda word: (frequency[word], word))[: len(words) - must_share + 1]

    holders: dict[str, list[str]] = defaultdict(list)
    for test_id, words in test_words.items():
        for word in rarest(words):
            holders[word].append(test_id)
    pairs = []
    for train_id, words in train_words.items():
        for test_id in dict.fromkeys(candidate for word in rarest(words) for candidate in holders[word]):
            overlap = len(words & test_words[test_id]) / len(words | test_words[test_id])
            if overlap >= NEAR:
                pairs.append(NearCopy(train_id, test_id, overlap))
    return sorted(pairs)


def refuse_leaks(questions: Sequence[Question]) -> tuple[list[Question], list[NearCopy]]:
    """Return the questions without the TRAIN and DEV rows that are near copies of a test question, and those pairs.

    The caller reports the pairs: a row is never dropped silently.
    """
    test = [question for question in questions if question.split in TEST_SPLITS]
    copies = near_copies((question for question in questions if question.split not in TEST_SPLITS), test)
    dropped = {copy.train_id for copy in copies}
    return [question for question in questions if question.id not in dropped], copies


def limit_questions(questions: Sequence[Question], limit: int | None, *, seed: int) -> list[Question]:
    """Keep at most `limit` questions of each test split, drawn by the seed (None: all); TRAIN and DEV stay whole."""
    kept: set[str] = set()
    for split in TEST_SPLITS:
        ids = _shuffled((question.id for question in questions if question.split is split), seed, str)
        kept.update(ids[:limit])
    return [question for question in questions if question.split not in TEST_SPLITS or question.id in kept]


def _held_out(questions: Sequence[Question], config: SplitConfig, seed: int) -> dict[str, Split]:
    """Return the questions of SEEN and DEV by id; each document keeps its first drawn question for training."""
    taken: set[str] = set()
    free = []
    for question in _shuffled(questions, seed, lambda question: question.id):
        document = question.relevant[0].document_id if question.relevant else question.group
        if document and document not in taken:
            taken.add(document)
        else:
            free.append(question.id)
    n_seen, n_dev = round(config.seen * len(questions)), round(config.dev * len(questions))
    return {
        question_id: Split.SEEN if place < n_seen else Split.DEV
        for place, question_id in enumerate(free[: n_seen + n_dev])
    }


def _group(question: Question) -> str:
    """Return what must not straddle train and new: the group, else the first document, else the question itself."""
    first = question.relevant[0].document_id if question.relevant else question.id
    return question.group or first


def _shuffled(items: Iterable[Item], seed: int, name: Callable[[Item], str]) -> list[Item]:
    """Order items by a hash of (seed, name): random, yet the same for every order of the file."""
    return sorted(items, key=lambda item: fingerprint(seed, name(item)))
