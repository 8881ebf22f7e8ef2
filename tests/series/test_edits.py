"""A changed fact: its words everywhere, every span still on what it was on."""

import pytest

from workbench.series.edits import Swap, edit_document, edit_question, find_substitute, stated_answer
from workbench.types import Block, BlockKind, Document, Question, Span

TEXT = "Teal pump\n\nThe pump is teal, not tealish. A teal pump costs 12 crowns.\n\nAsk Ada."
BLOCKS = (Block(0, 9, BlockKind.HEADING, 1), Block(11, 70, BlockKind.PARAGRAPH), Block(72, 80, BlockKind.PARAGRAPH))
DOCUMENT = Document("pump.md", "pump.md", "Teal pump", TEXT, BLOCKS, "mark")


def span(words: str, start: int = 0) -> Span:
    begin = TEXT.index(words, start)
    return Span(document_id="pump.md", start=begin, end=begin + len(words))


@pytest.mark.parametrize("new", ["red", "teal", "a very dark violet"])
def test_every_span_and_block_stays_on_its_words(new: str) -> None:
    swap = Swap("teal", new)
    edited = edit_document(DOCUMENT, swap)
    assert edited.text.count(new) == (3 if new == "teal" else 2) and "tealish" in edited.text
    for words in ("The pump is", "costs 12 crowns", "Ask Ada.", "is teal,", "pump", "teal pump costs"):
        question = Question(id="q", text="?", answers=("x",), relevant=(span(words),))
        moved = edit_question(question, DOCUMENT, swap).relevant[0]
        assert edited.text[moved.start : moved.end] == swap.apply(words)
    for before, after in zip(BLOCKS, edited.blocks, strict=True):
        assert edited.text[after.start : after.end] == swap.apply(TEXT[before.start : before.end])
    assert (edited.fingerprint != DOCUMENT.fingerprint) and edited.title == "Teal pump"


def test_a_span_inside_the_replaced_words_covers_the_new_ones() -> None:
    inside = Span(document_id="pump.md", start=TEXT.index("teal,") + 1, end=TEXT.index("teal,") + 3)
    question = Question(id="q", text="teal?", answers=("teal", "Teal"), relevant=(inside,))
    edited = edit_question(question, DOCUMENT, Swap("teal", "red"))
    moved = edited.relevant[0]
    assert edit_document(DOCUMENT, Swap("teal", "red")).text[moved.start : moved.end] == "red"
    assert (edited.text, edited.answers) == ("red?", ("red", "Teal"))


def test_an_answer_counts_as_stated_only_where_the_question_points() -> None:
    asked = Question(id="q", text="?", answers=("violet", "teal"), relevant=(span("is teal,"),))
    assert stated_answer(asked, DOCUMENT) == "teal"
    assert stated_answer(asked.model_copy(update={"relevant": (span("Ask Ada."),)}), DOCUMENT) is None


def test_a_substitute_has_the_form_of_the_old_words_and_is_not_there_yet() -> None:
    assert find_substitute("12 crowns", ["violet", "12 crowns", "9 florins"], DOCUMENT) == "9 florins"
    assert find_substitute("teal", ["Ada", "a very dark shade of violet", "3"], DOCUMENT) is None
