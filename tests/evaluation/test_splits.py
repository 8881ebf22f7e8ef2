"""Splits hold whatever the order of the file; no document straddles train and new; leaks are found and told."""

import random
from collections import Counter, defaultdict

import pytest

from workbench.config import SplitConfig
from workbench.errors import QuestionFileError
from workbench.evaluation import assign_splits, limit_questions, near_copies, normalise_answer, refuse_leaks
from workbench.types import Question, Span, Split

CONFIG = SplitConfig(new=0.3, seen=0.15, dev=0.05)


def corpus_questions(n_documents: int = 40, per_document: int = 5) -> list[Question]:
    return [
        Question(
            id=f"{document}-{number}",
            text=f"question {number} about {document}",
            answers=("yes",),
            relevant=(Span(document_id=f"doc{document}", start=0, end=1),),
        )
        for document in range(n_documents)
        for number in range(per_document)
    ]


def by_id(questions: list[Question]) -> dict[str, Split | None]:
    return {question.id: question.split for question in questions}


def test_shares_are_met_by_group_and_by_question() -> None:
    counts = Counter(question.split for question in assign_splits(corpus_questions(), CONFIG, seed=0))
    # 12 of 40 documents are new: 60 questions; of the other 140, 21 are seen and 7 dev
    assert counts == {Split.NEW: 60, Split.SEEN: 21, Split.DEV: 7, Split.TRAIN: 112}


def test_new_documents_are_kept_from_training_and_seen_ones_stand_behind_a_training_row() -> None:
    splits: dict[str, set[Split | None]] = defaultdict(set)
    for question in assign_splits(corpus_questions(per_document=3), CONFIG, seed=1):
        splits[question.relevant[0].document_id].add(question.split)
    for found in splits.values():
        assert found == {Split.NEW} or Split.TRAIN in found


def test_the_order_of_the_file_does_not_matter_and_the_seed_does() -> None:
    questions = corpus_questions()
    shuffled = random.Random(0).sample(questions, len(questions))
    assigned = assign_splits(shuffled, CONFIG, seed=0)
    assert [question.id for question in assigned] == [question.id for question in shuffled]
    assert by_id(assigned) == by_id(assign_splits(questions, CONFIG, seed=0))
    assert by_id(assigned) != by_id(assign_splits(questions, CONFIG, seed=1))


def test_questions_of_one_group_stay_together_over_documents() -> None:
    questions = [
        question.model_copy(update={"group": f"shelf {int(question.id.split('-')[0]) // 4}"})
        for question in corpus_questions()
    ]
    new = {question.group for question in assign_splits(questions, CONFIG, seed=0) if question.split is Split.NEW}
    rest = {question.group for question in assign_splits(questions, CONFIG, seed=0) if question.split is not Split.NEW}
    assert new and rest and not new & rest


def test_given_splits_are_kept_and_a_mixture_is_refused() -> None:
    questions = corpus_questions(n_documents=2)
    given = [question.model_copy(update={"split": Split.SEEN}) for question in questions]
    assert assign_splits(given, CONFIG, seed=0) == given
    with pytest.raises(QuestionFileError, match="1 of 2 questions carry a `split`: '0-0' does, '1-0' does not"):
        assign_splits([given[0], questions[5]], CONFIG, seed=0)


def test_a_question_on_two_documents_keeps_both_on_one_side() -> None:
    questions = corpus_questions()
    spans = {number: Span(document_id=f"doc{number}", start=0, end=1) for number in range(40)}
    questions += [
        Question(id=f"pair-{number}", text=f"pair {number}", relevant=(spans[number], spans[number + 1]))
        for number in range(0, 40, 2)
    ]
    for seed in range(5):
        splits: dict[str, set[Split | None]] = defaultdict(set)
        for question in assign_splits(questions, CONFIG, seed=seed):
            for span in question.relevant:
                splits[span.document_id].add(question.split)
        assert {Split.NEW} in splits.values()
        assert all(
            found == {Split.NEW} or (Split.NEW not in found and Split.TRAIN in found) for found in splits.values()
        )


@pytest.mark.parametrize("split", [Split.TRAIN, Split.DEV])
def test_given_splits_that_share_a_document_are_refused(split: Split) -> None:
    spans = [Span(document_id=name, start=0, end=1) for name in "an"]
    row = Question(id="row", text="Which two?", relevant=tuple(spans), split=split)
    test = Question(id="test", text="And that?", relevant=(spans[1],), split=Split.NEW)
    with pytest.raises(QuestionFileError, match=f"'test' is in split new, but 'row' in split {split.value}.* 'n';"):
        assign_splits([row, test], CONFIG, seed=0)
    with pytest.raises(QuestionFileError, match="'n'"):  # a group stands for the document a question has no span in
        assign_splits([row, test.model_copy(update={"relevant": (), "group": "n"})], CONFIG, seed=0)
    assert assign_splits([row, test.model_copy(update={"split": Split.SEEN})], CONFIG, seed=0)


def test_near_copies_are_those_a_plain_comparison_finds() -> None:
    draws = random.Random(0)
    questions = [
        Question(id=str(number), text=" ".join(draws.choices("abcdefghijkl", k=draws.randint(1, 9))))
        for number in range(300)
    ]
    train, test = questions[:150], questions[150:]

    def words(question: Question) -> set[str]:
        return set(normalise_answer(question.text).split())

    plain = {
        (one.id, two.id)
        for one in train
        for two in test
        if words(one) and words(two) and len(words(one) & words(two)) / len(words(one) | words(two)) >= 0.8
    }
    assert {pair[:2] for pair in near_copies(train, test)} == plain
    assert len(plain) > 10


def test_leaks_are_dropped_from_training_and_told() -> None:
    test = Question(id="test", text="Which colleague leads the Bergen works?", split=Split.NEW)
    copy = Question(id="copy", text="which colleague leads Bergen works", split=Split.TRAIN)
    other = Question(id="other", text="Which colleague leads the Oslo office?", split=Split.DEV)
    kept, dropped = refuse_leaks([copy, test, other])
    assert kept == [test, other]
    assert dropped == [("copy", "test", 1.0, ())]


def test_seen_questions_leave_with_the_last_training_row_of_their_document() -> None:
    def on(document: str, id_: str, text: str, split: Split) -> Question:
        return Question(id=id_, text=text, relevant=(Span(document_id=document, start=0, end=1),), split=split)

    questions = [
        on("a", "copy-a", "Which colleague leads the Bergen works?", Split.TRAIN),
        on("a", "seen-a", "Which colleague leads Bergen works?", Split.SEEN),
        on("a", "seen-a2", "How many flutes were built?", Split.SEEN),
        on("b", "copy-b", "Which colleague leads the Bergen works", Split.TRAIN),
        on("b", "train-b", "When did the house open?", Split.TRAIN),
        on("b", "seen-b", "Where is the fjord?", Split.SEEN),
    ]
    kept, dropped = refuse_leaks(questions)
    assert [question.id for question in kept] == ["train-b", "seen-b"]
    assert dropped == [("copy-a", "seen-a", 1.0, ("seen-a", "seen-a2")), ("copy-b", "seen-a", 1.0, ())]


def test_a_limit_holds_for_each_test_split_and_leaves_training_whole() -> None:
    questions = assign_splits(corpus_questions(), CONFIG, seed=0)
    limited = limit_questions(questions, 10, seed=0)
    assert Counter(question.split for question in limited) == {
        Split.NEW: 10,
        Split.SEEN: 10,
        Split.DEV: 7,
        Split.TRAIN: 112,
    }
    assert by_id(limited) == by_id(limit_questions(questions[::-1], 10, seed=0))
    assert limit_questions(questions, None, seed=0) == questions
