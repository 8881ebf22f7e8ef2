"""What training rows know of the evaluation: its questions, copied or reworded, and the documents kept away from it.

Four ways to leak, each finding naming both sides: the same question (exact), most of its words (near), its meaning
(embedding), and any text of a document behind the `new` split (document). Rows that straddle train and dev of the
dataset itself leak into the held-out loss.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from workbench.audit.duplicates import asked
from workbench.evaluation import TEST_SPLITS, near_copies, normalise_answer
from workbench.rows import DatasetRow
from workbench.types import Float32, Question, Split

CLOSE = 0.95  # cosine of two questions' vectors from which a person should look at the pair
_SHORTEST = 4  # words of a question that may be searched for inside longer texts: shorter ones stand everywhere
_BLOCK = 4096  # rows compared at once

Embed = Callable[[Sequence[str]], Float32]  # texts → (N, D), unit rows


class Leak(NamedTuple):
    """A training row and what it leaks of the evaluation."""

    how: str  # exact, near, embedding, document
    row_id: str
    other: str  # the evaluation question's id, or the document's
    closeness: float  # overlap of words or cosine; 1 for exact and document


class Straddling(NamedTuple):
    """A group of rows that stands on both sides of the dataset's own split."""

    group: str
    train_ids: tuple[str, ...]
    dev_ids: tuple[str, ...]


def find_leaks(
    rows: Sequence[DatasetRow],
    questions: Iterable[Question],
    *,
    forbidden: Collection[str] = (),
    embed: Embed | None = None,
    closeness: float = CLOSE,
) -> list[Leak]:
    """Return every leak, exact ones first; a pair is named once, by its surest way.

    Args:
        questions: the evaluation's; those of the splits `seen` and `new` count.
        forbidden: document ids that no row may show or come from (those behind the `new` split).
        embed: embeds questions; None: reworded questions are not looked for.
    """
    test = [question for question in questions if question.split in TEST_SPLITS]
    rows_asking = [row for row in rows if asked(row)]
    leaks = [*_exact(rows, test), *_near(rows_asking, test)]
    if embed is not None:
        leaks += _reworded(rows_asking, test, embed, closeness)
    leaks += _documents(rows, frozenset(forbidden))
    first: dict[tuple[str, str], Leak] = {}
    for leak in leaks:
        first.setdefault((leak.row_id, leak.other), leak)
    return list(first.values())


def find_straddling(rows: Iterable[DatasetRow]) -> list[Straddling]:
    """Return the groups with rows in train and in dev, by name. A row without a group is a group of its own."""
    sides: dict[str, dict[Split, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row.group:
            sides[row.group][row.split].append(row.id)
    return [
        Straddling(group, tuple(of[Split.TRAIN]), tuple(of[Split.DEV]))
        for group, of in sorted(sides.items())
        if of[Split.TRAIN] and of[Split.DEV]
    ]


def _exact(rows: Iterable[DatasetRow], test: Iterable[Question]) -> list[Leak]:
    """Rows that ask a test question, or whose turns, answer or text hold it word for word."""
    wanted: dict[str, list[str]] = defaultdict(list)
    for question in test:
        wanted[normalise_answer(question.text)].append(question.id)
    beginnings: dict[str, list[str]] = defaultdict(list)  # the first words of a question → the questions
    for text in wanted:
        if len(words := text.split()) >= _SHORTEST:
            beginnings[" ".join(words[:_SHORTEST])].append(text)
    leaks = []
    for row in rows:
        found = [normalise_answer(row.question)]
        for part in (*(turn.content for turn in row.turns), row.completion):
            found.append(normalise_answer(part))
            words = found[-1].split()
            for at in range(len(words) - _SHORTEST + 1):
                for text in beginnings.get(" ".join(words[at : at + _SHORTEST]), ()):
                    if " ".join(words[at : at + len(text.split())]) == text:
                        found.append(text)
        for text in dict.fromkeys(found):
            leaks += [Leak("exact", row.id, question_id, 1.0) for question_id in wanted.get(text, ())]
    return leaks


def _near(rows: Iterable[DatasetRow], test: Iterable[Question]) -> list[Leak]:
    texts = [Question(id=row.id, text=asked(row)) for row in rows]
    return [Leak("near", copy.train_id, copy.test_id, copy.overlap) for copy in near_copies(texts, test)]


def _reworded(rows: Sequence[DatasetRow], test: Sequence[Question], embed: Embed, closeness: float) -> list[Leak]:
    """Questions whose vectors nearly coincide. Memory: one (4096, Q) float32 block beside the vectors."""
    if not rows or not test:
        return []
    places: dict[str, list[int]] = defaultdict(list)  # many rows ask the same: embedded once
    for place, row in enumerate(rows):
        places[asked(row)].append(place)
    texts = list(places)
    questions = embed([question.text for question in test])  # (Q, D)
    leaks = []
    for start in range(0, len(texts), _BLOCK):
        block = texts[start : start + _BLOCK]
        cosines = embed(block) @ questions.T  # (B, Q)
        for line, column in zip(*(cosines >= closeness).nonzero(), strict=True):
            cosine = float(cosines[line, column])
            if _numbers(block[line]) == _numbers(test[column].text):  # C-123 and C-179 look alike to an embedder
                leaks += [Leak("embedding", rows[at].id, test[column].id, cosine) for at in places[block[line]]]
    return leaks


def _numbers(text: str) -> frozenset[str]:
    return frozenset(word for word in normalise_answer(text).split() if any(char.isdigit() for char in word))


def _documents(rows: Iterable[DatasetRow], forbidden: frozenset[str]) -> list[Leak]:
    """Rows that state, ask about, show or are grouped with a document kept away from training."""
    leaks = []
    for row in rows:
        behind = {span.document_id for span in row.sources} | {passage.document_id for passage in row.passages}
        leaks += [Leak("document", row.id, document, 1.0) for document in sorted((behind | {row.group}) & forbidden)]
    return leaks
