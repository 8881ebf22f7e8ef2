"""Examples: only real disagreements, each way of disagreeing in turn, passages with the answer marked."""

from dataclasses import replace

from tests.report.sample import sample
from workbench.report.examples import pick_examples


def test_examples_are_questions_some_ranked_arms_got_right_and_some_wrong() -> None:
    examples = pick_examples(sample())
    assert len(examples) == 12
    for example in examples:
        assert {given.right for given in example.answers if not given.control} == {True, False}
    assert [example.split for example in examples] == sorted((e.split for e in examples), key=["seen", "new"].index)


def test_the_commonest_ways_of_disagreeing_come_first() -> None:
    examples = pick_examples(sample())
    ways = {(e.split, tuple(given.right for given in e.answers if not given.control)) for e in examples}
    assert len(ways) == 12  # none twice while others wait
    assert max(example.n_alike for example in examples) == pick_examples(sample(), limit=1)[0].n_alike


def test_passages_join_to_their_text_and_mark_the_answer() -> None:
    data = sample()
    marked = 0
    for example in pick_examples(data):
        for reading in example.readings:
            for passage in reading.passages:
                text = "".join(piece for piece, _ in passage.pieces)
                assert text == data.passages.get((passage.document_id, 0, 120), "")
                for piece, relevant in passage.pieces:
                    if relevant:
                        assert piece in example.question.answers
                        marked += 1
    assert marked > 0


def test_arms_that_read_the_same_share_one_list_numbered_as_cited() -> None:
    (reading,) = pick_examples(sample())[0].readings
    assert reading.arms == ("rag", "rag_lora", "rag_reader", "rag_oracle")
    assert [passage.number for passage in reading.passages] == [1, 2]


def test_arms_that_agree_give_no_examples() -> None:
    data = sample()
    alike = [record.model_copy(update={"scores": {"exact_match": 1.0, "abstention": 1.0}}) for record in data.records]
    assert pick_examples(replace(data, records=alike)) == []
