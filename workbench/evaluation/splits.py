"""Which questions train and which test, and that no test question leaks into training.

`new` questions come from groups and documents kept away from training whole, whether the splits are drawn or given;
`seen` questions from documents that also stand behind a training row. A question with neither spans nor group cannot
be placed: it is drawn singly, and the summary counts it ("unplaced"). Every draw depends on the seed and the ids
alone, never on the order of the file.
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
    """A training row too close to a test question; `overlap` is the Jaccard overlap of their words, in [0.8, 1].

    `orphans` are the SEEN questions that left with the row, because no training row of their document was left.
    """

    train_id: str
    test_id: str
    overlap: float
    orphans: tuple[str, ...] = ()


def assign_splits(questions: Sequence[Question], config: SplitConfig, *, seed: int) -> list[Question]:
    """Return the questions, each with a split, in the order given. Files that carry all splits are checked, not drawn.

    Groups that share a document are one unit; a share `new` of the units goes to NEW. Of the other questions, shares
    `seen` and `dev` go to SEEN and DEV, but the first question drawn of every document stays in TRAIN: a document
    nobody trained on is not "seen".

    Raises:
        QuestionFileError: some questions carry a split and some do not, or a document or group stands behind both a
            NEW question and a TRAIN or DEV one.
    """
    given = [question for question in questions if question.split is not None]
    if given and len(given) == len(questions):
        _refuse_straddling(questions)
        return list(questions)
    if given:
        bare = next(question for question in questions if question.split is None)
        raise QuestionFileError(
            f"{len(given)} of {len(questions)} questions carry a `split`: {given[0].id!r} does, {bare.id!r} does not; "
            "give all of them one, or none"
        )
    units = _units(questions)
    drawn = _shuffled(set(units.values()), seed, str)
    new_units = set(drawn[: round(config.new * len(drawn))])
    splits = dict.fromkeys((id_ for id_, unit in units.items() if unit in new_units), Split.NEW)
    splits |= _held_out([question for question in questions if question.id not in splits], config, seed)
    assigned = [question.model_copy(update={"split": splits.get(question.id, Split.TRAIN)}) for question in questions]
    _refuse_straddling(assigned)
    return assigned


def is_placed(question: Question) -> bool:
    """Whether the question names its documents or a group, so that what stands behind it can be told."""
    return bool(question.relevant or question.group)


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

    Where a dropped row was the last TRAIN row of a document, the SEEN questions on that document are dropped too:
    nobody trained on it any more, and asked as "seen" they would count against training. They stand in the pair's
    `orphans`. The caller reports the pairs: nothing is dropped silently.
    """
    test = [question for question in questions if question.split in TEST_SPLITS]
    copies = near_copies((question for question in questions if question.split not in TEST_SPLITS), test)
    dropped = {copy.train_id for copy in copies}
    trained: dict[str, set[str]] = defaultdict(set)  # document → its TRAIN rows
    for question in questions:
        if question.split is Split.TRAIN:
            for document in _documents(question):
                trained[document].add(question.id)
    lost = {document: rows for document, rows in trained.items() if rows <= dropped}
    orphans: dict[str, set[str]] = defaultdict(set)  # TRAIN row → the SEEN questions it leaves alone
    for question in test:
        if question.split is Split.SEEN:
            for row in set().union(*(lost.get(document, set()) for document in _documents(question))):
                orphans[row].add(question.id)
    dropped = dropped.union(*orphans.values())
    told = [copy._replace(orphans=tuple(sorted(orphans[copy.train_id]))) for copy in copies]
    return [question for question in questions if question.id not in dropped], told


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
        documents = _documents(question)
        if documents - taken:
            taken |= documents
        else:
            free.append(question.id)
    n_seen, n_dev = round(config.seen * len(questions)), round(config.dev * len(questions))
    return {
        question_id: Split.SEEN if place < n_seen else Split.DEV
        for place, question_id in enumerate(free[: n_seen + n_dev])
    }


def _documents(question: Question) -> set[str]:
    """Return the documents behind the question; the group stands for them where it has no span."""
    return {span.document_id for span in question.relevant} or {question.group} - {""}


def _kept_together(question: Question) -> set[str]:
    """Return what must not straddle train and new: the group and every document; empty: cannot be placed."""
    return _documents(question) | {question.group} - {""}


def _units(questions: Iterable[Question]) -> dict[str, str]:
    """Return the unit of each question by id: questions that share a group or a document, even by way of others."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    first: dict[str, str] = {}
    for question in questions:
        names = sorted(_kept_together(question)) or [question.id]
        first[question.id] = names[0]
        for name in names:
            low, high = sorted((root(names[0]), root(name)))
            parent[high] = low  # the least name leads, whatever the order of the file
    return {question_id: root(name) for question_id, name in first.items()}


def _refuse_straddling(questions: Iterable[Question]) -> None:
    """Raise QuestionFileError if a document or group stands behind NEW and behind TRAIN or DEV."""
    trained: dict[str, Question] = {}
    asked: dict[str, Question] = {}
    for question in questions:
        if question.split is not Split.SEEN:
            side = asked if question.split is Split.NEW else trained
            side |= dict.fromkeys(_kept_together(question), question)
    for name in sorted(trained.keys() & asked.keys()):
        row, test = trained[name], asked[name]
        raise QuestionFileError(
            f"question {test.id!r} is in split new, but {row.id!r} in split {row.split} stands on the same document or "
            f"group, {name!r}; put both on one side, or leave every `split` out to have them drawn"
        )


def _shuffled(items: Iterable[Item], seed: int, name: Callable[[Item], str]) -> list[Item]:
    """Order items by a hash of (seed, name): random, yet the same for every order of the file."""
    return sorted(items, key=lambda item: fingerprint(seed, name(item)))
