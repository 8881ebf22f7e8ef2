"""Rows show what they should, hide what they must, and carry loss on the answer alone."""

import pytest
from pydantic import ValidationError

from tests.tiny import load_tiny
from workbench.config import AdapterConfig, PromptConfig, RecipeConfig
from workbench.prompting import PromptBuilder
from workbench.training import Row, build_closed_book, build_reader, draw, encode_rows, show_rows
from workbench.types import Chunk, Hit, Question, Ranking, Span

pytestmark = pytest.mark.usefixtures("tiny_home")
PROMPT = PromptConfig(system="", max_tokens=2000)
GOLD = Hit(Chunk("g", "gold.md", 0, 20, "The Arvo is teal.", ()), 1.0)
WRONG = tuple(Hit(Chunk(f"w{n}", f"wrong{n}.md", 0, 20, f"Wrong passage {n}.", ()), 0.9 - n / 10) for n in range(4))
SECRET = Hit(Chunk("s", "new.md", 0, 20, "A passage of the new split.", ()), 0.95)
ASKED = Question(
    id="q",
    text="What colour is the Arvo?",
    answers=("teal", "green"),
    relevant=(Span(document_id="gold.md", start=12, end=16),),
)
UNANSWERABLE = Question(id="u", text="Who made the Arvo?")


def reader_rows(question: Question, *, offered: Ranking, passages: int = 2, without_gold: float = 0.0, seed: int = 0):  # type: ignore[no-untyped-def]
    _, tokenizer = load_tiny()
    return build_reader(
        [question],
        PromptBuilder(tokenizer, PROMPT),
        PROMPT,
        AdapterConfig(examples="reader", without_gold=without_gold),
        passages=(passages,),
        find_passages=lambda _: offered,
        find_gold=lambda q: (GOLD,) if q.relevant else (),
        forbidden={"new.md"},
        seed=seed,
    ).made


def shown(row: object) -> list[str]:
    return [hit.chunk.id for hit in row.prompt.hits]  # type: ignore[attr-defined]


def test_a_row_keeps_the_retrievers_order_and_never_shows_a_forbidden_document() -> None:
    (row,) = reader_rows(ASKED, offered=(SECRET, WRONG[0], GOLD, WRONG[1]))
    assert shown(row) == ["w0", "g"]
    assert row.answer == "teal"


def test_a_right_passage_that_was_missed_replaces_the_worst() -> None:
    (row,) = reader_rows(ASKED, offered=WRONG)
    assert sorted(shown(row)) == ["g", "w0"]


def test_a_wider_passage_that_holds_the_right_one_is_the_right_one() -> None:
    wide = Hit(Chunk("gold.md:0-90", "gold.md", 0, 90, "The Arvo is teal. It is sold in autumn.", ()), 0.8)
    (row,) = reader_rows(ASKED, offered=(WRONG[0], wide, WRONG[1]))
    assert shown(row) == ["w0", "gold.md:0-90"]
    assert row.answer == "teal"


def test_a_row_without_its_passage_teaches_to_say_so() -> None:
    (row,) = reader_rows(ASKED, offered=(GOLD, *WRONG), without_gold=1.0)
    assert shown(row) == ["w0", "w1"]
    assert row.answer == PROMPT.not_found
    assert row.without_gold


def test_an_unanswerable_question_shows_what_was_found_and_says_so() -> None:
    (row,) = reader_rows(UNANSWERABLE, offered=WRONG, without_gold=1.0)
    assert shown(row) == ["w0", "w1"]
    assert row.answer == PROMPT.not_found
    assert not row.without_gold  # there was none to leave out


def test_which_rows_lose_their_passage_depends_on_seed_and_question_alone() -> None:
    outcomes = [reader_rows(ASKED, offered=WRONG, without_gold=0.5, seed=seed)[0].without_gold for seed in range(20)]
    assert outcomes == [
        reader_rows(ASKED, offered=WRONG, without_gold=0.5, seed=seed)[0].without_gold for seed in range(20)
    ]
    assert 3 < sum(outcomes) < 17


def test_loss_lies_on_the_answer_and_its_end_of_turn() -> None:
    _, tokenizer = load_tiny()
    rows = build_closed_book([ASKED], PromptBuilder(tokenizer, PROMPT), PROMPT)
    (example,) = encode_rows(rows, tokenizer, RecipeConfig()).rows
    learned = [token for token, counts in zip(example.token_ids, example.loss_mask, strict=True) if counts]
    assert learned == [*tokenizer.encode("teal"), *tokenizer.end_of_turn_ids]
    assert example.token_ids[: example.n_prefix] == rows.made[0].prompt.prefix_ids
    assert tokenizer.decode(example.token_ids[example.n_prefix :]).startswith("Question: What colour is the Arvo?")


def test_too_long_rows_are_dropped_and_counted() -> None:
    _, tokenizer = load_tiny()
    rows = build_closed_book([ASKED, UNANSWERABLE], PromptBuilder(tokenizer, PROMPT), PROMPT)
    examples = encode_rows(rows, tokenizer, RecipeConfig(max_tokens=16))
    assert (len(examples.rows), examples.n_too_long) == (0, 2)


def test_a_draw_keeps_the_order_and_depends_on_the_seed() -> None:
    questions = [Question(id=str(n), text="?") for n in range(20)]
    drawn = draw(questions, 5, seed=1)
    assert [question.id for question in drawn] == sorted((q.id for q in drawn), key=int)
    assert drawn == draw(questions, 5, seed=1) != draw(questions, 5, seed=2)
    assert draw(questions, 50, seed=1) == draw(questions, None, seed=1) == questions


def test_an_answerable_question_without_a_place_gives_no_reader_row_and_is_counted() -> None:
    _, tokenizer = load_tiny()
    rows = build_reader(
        [Question(id="q", text="What?", answers=("teal",)), UNANSWERABLE],
        PromptBuilder(tokenizer, PROMPT),
        PROMPT,
        AdapterConfig(examples="reader"),
        passages=(2,),
        find_passages=lambda _: WRONG,
        find_gold=lambda _: (),
        forbidden=(),
        seed=0,
    )
    assert [row.question_id for row in rows.made] == ["u"]
    assert encode_rows(rows, tokenizer, RecipeConfig()).n_unplaced == 1


def test_a_right_passage_that_the_budget_cuts_is_not_answered_from() -> None:
    _, tokenizer = load_tiny()
    long = Hit(Chunk("l", "long.md", 0, 900, "word " * 60, ()), 1.0)
    builder = PromptBuilder(tokenizer, PromptConfig(system="", max_tokens=200))
    rows = build_reader(
        [ASKED],
        builder,
        PROMPT,
        AdapterConfig(examples="reader", without_gold=0.0),
        passages=(3,),
        find_passages=lambda _: (long, WRONG[0], GOLD),
        find_gold=lambda _: (GOLD,),
        forbidden=(),
        seed=0,
    )
    assert rows.made[0].prompt.cut[-1] == GOLD
    assert (rows.made[0].answer, rows.made[0].without_gold) == (PROMPT.not_found, True)


def test_a_question_over_the_budget_is_counted_not_fatal() -> None:
    _, tokenizer = load_tiny()
    builder = PromptBuilder(tokenizer, PromptConfig(system="", max_tokens=100))
    rows = build_closed_book([Question(id="long", text="why " * 100, answers=("x",)), ASKED], builder, PROMPT)
    assert ([row.question_id for row in rows.made], rows.n_too_long) == (["q"], 1)


def test_a_shown_row_says_what_is_read_and_what_is_learned() -> None:
    _, tokenizer = load_tiny()
    rows = build_closed_book([ASKED], PromptBuilder(tokenizer, PROMPT), PROMPT)
    (shown_row,) = show_rows(encode_rows(rows, tokenizer, RecipeConfig()).rows, tokenizer)
    assert "What colour is the Arvo?" in str(shown_row["shows"])
    assert "".join(shown_row["learns"]) == "teal"  # type: ignore[arg-type]


def test_rows_of_several_sizes_keep_their_right_passage() -> None:
    _, tokenizer = load_tiny()

    def rows(*passages: int) -> list[Row]:
        return build_reader(
            [ASKED.model_copy(update={"id": f"q{n}"}) for n in range(30)],
            PromptBuilder(tokenizer, PROMPT),
            PROMPT,
            AdapterConfig(examples="reader", passages=passages, without_gold=0.2),
            passages=passages,
            find_passages=lambda _: WRONG,
            find_gold=lambda _: (GOLD,),
            forbidden=(),
            seed=0,
        ).made

    mixed = rows(1, 3)
    sizes = [len(row.prompt.hits) for row in mixed if not row.without_gold]
    assert set(sizes) == {1, 3} and 5 < sizes.count(1) < 20
    assert all(GOLD in row.prompt.hits for row in mixed if not row.without_gold)
    # A row of three is the row it would be if all had three.
    by_id = {row.question_id: row for row in rows(3)}
    assert all(row == by_id[row.question_id] for row in mixed if len(row.prompt.hits) == 3)


def test_an_adapter_reads_a_number_of_passages_or_several() -> None:
    assert AdapterConfig(examples="reader", passages=2).passages == 2
    assert AdapterConfig.model_validate({"examples": "reader", "passages": [2, 8]}).passages == (2, 8)
    for wrong in (0, [], [2, 0]):
        with pytest.raises(ValidationError):
            AdapterConfig.model_validate({"examples": "reader", "passages": wrong})
