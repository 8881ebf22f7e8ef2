"""Each generator on two small documents: what it asks, that its sources say so, that chance hangs on the seed alone."""

from dataclasses import replace
from typing import Any

import pytest

from tests.dataset.samples import DOCUMENTS, METER, make_document, make_workshop
from workbench.config import GeneratorName
from workbench.dataset.generators import GENERATORS, make_rows
from workbench.rows import DatasetRow, Task

NYLON_PIN = "a red nylon pin"
TEXTS = {document.id: document.text for document in DOCUMENTS}


def rows_of(name: GeneratorName, **knobs: Any) -> list[DatasetRow]:
    return list(make_rows(make_workshop(generators=(name,), **knobs)))


def pairs_of(name: GeneratorName) -> set[tuple[str, str]]:
    return {(row.question, row.completion) for row in rows_of(name)}


def test_every_generator_stands_in_the_table() -> None:
    assert set(GENERATORS) == set(GeneratorName)


@pytest.mark.parametrize(
    ("name", "question", "answer"),
    [
        (GeneratorName.QUESTIONS, "By what is the rotor held during transport (Corvel 40, Lifting)?", NYLON_PIN),
        (GeneratorName.HEADINGS, "Which section comes after “Codes” in “Corvel 40 meter: site handbook”?", "Data"),
        (GeneratorName.DEFINITIONS, "What is a damper (Corvel 40)?", "a rubber part of the flap"),
        (GeneratorName.CONNECTORS, "Corvel 40, Safety: Why is it that the gate stays shut?", "rats like grease"),
        (GeneratorName.TABLES, "Corvel 40, Codes: which code goes with first action “flush the body”?", "C-123"),
        (GeneratorName.LISTS, "What is step 2 under “Steps” (Corvel 40)?", "Wait for the green lamp"),
        (GeneratorName.FAQ, "Can I paint the meter (Corvel 40)?", "Paint the body as you like, but not the window."),
    ],
)  # fmt: skip
def test_a_generator_asks_what_the_document_answers(name: GeneratorName, question: str, answer: str) -> None:
    assert (question, answer) in pairs_of(name)


@pytest.mark.parametrize(
    "name", [name for name in GeneratorName if name not in (GeneratorName.REPLAY, GeneratorName.UNANSWERABLE)]
)
def test_rows_carry_where_they_come_from(name: GeneratorName) -> None:
    rows = rows_of(name, quotes=1.0, forms=16)
    assert rows
    for row in rows:
        assert (row.generator, row.seed) == (name, 7)
        assert row.template and row.group in TEXTS and row.sources
        assert all(span.document_id == row.group and span.end <= len(TEXTS[row.group]) for span in row.sources)


def test_ids_are_unique_but_for_equal_rows_and_stable() -> None:
    rows, again = (list(make_rows(make_workshop())) for _ in range(2))
    assert rows == again
    by_id: dict[str, DatasetRow] = {}
    for row in rows:
        other = by_id.setdefault(row.id, row)
        assert (other.question, other.completion, other.passages) == (row.question, row.completion, row.passages)


def test_text_windows_hold_all_of_a_document_once() -> None:
    rows = [row for row in rows_of(GeneratorName.TEXT, text_tokens=24) if row.group == "meter.md"]
    assert len(rows) > 3
    assert "".join("".join(row.completion.split()) for row in rows) == "".join(METER.split())
    assert all(row.task is Task.TEXT and len(row.completion.split()) <= 24 for row in rows)


def test_reader_rows_hold_the_right_passage_or_say_that_none_does() -> None:
    rows = rows_of(GeneratorName.READER, without_gold=0.3)
    refused = [row for row in rows if row.completion == "not in the documents"]
    assert 0.1 < len(refused) / len(rows) < 0.5
    for row in rows:
        assert 1 <= len(row.passages) <= 3
        source = row.sources[0]
        shown = any(
            p.document_id == source.document_id and p.start <= source.start and source.end <= p.end
            for p in row.passages
        )
        assert shown is (row not in refused)
        assert all(TEXTS[p.document_id][p.start : p.end] == p.text for p in row.passages)
    assert any(len(row.passages) == 3 for row in rows if row not in refused), "no wrong passage is ever shown"


def test_a_document_of_one_section_or_of_nothing_is_no_trouble() -> None:
    lone = make_document("lone.md", "# Lone gauge\n\nThe lone gauge weighs 4 tons without its lid.")
    rows = list(
        make_rows(make_workshop((lone, make_document("empty.md", "   ")), generators=("headings", "questions")))
    )
    assert {row.generator for row in rows} == {"questions"}


def test_shares_at_their_ends() -> None:
    assert all(row.completion == "not in the documents" for row in rows_of(GeneratorName.READER, without_gold=1.0))
    assert not any(row.completion == "not in the documents" for row in rows_of(GeneratorName.READER, without_gold=0.0))
    assert rows_of(GeneratorName.QUOTES, quotes=0.0) == []


def test_quotes_are_the_words_of_the_passage_they_cite() -> None:
    for row in rows_of(GeneratorName.QUOTES, quotes=1.0):
        quoted, number = row.completion.removesuffix("]").rsplit(" [", 1)
        assert quoted.strip("“”") in " ".join(row.passages[int(number) - 1].text.split())


def test_no_row_shows_a_forbidden_document() -> None:
    shop = make_workshop((DOCUMENTS[0],), forbidden=("balance.md",), generators=("reader", "quotes", "unanswerable"))
    rows = list(make_rows(shop))
    assert rows
    assert all(passage.document_id == "meter.md" for row in rows for passage in row.passages)
    assert all(row.group == "meter.md" for row in rows)


def test_unanswerable_rows_ask_for_what_the_topics_documents_never_name() -> None:
    rows = rows_of(GeneratorName.UNANSWERABLE, unanswerable=1.0)
    assert rows
    assert {row.completion for row in rows} == {"not in the documents"}
    assert {row.task for row in rows} == {Task.CLOSED_BOOK, Task.READER}
    assert not any("weight" in row.question and "Corvel" in row.question for row in rows), "the meter weighs something"
    assert not any("capacity" in row.question and "Dunmere" in row.question for row in rows)


def test_replay_rows_are_a_share_of_all_drawn_by_the_seed() -> None:
    general = tuple(
        DatasetRow(id=f"import-{n}", task=Task.TEXT, completion=f"General text {n}.", generator="import")
        for n in range(500)
    )
    shop = replace(make_workshop(generators=("text", "faq", "replay"), text_tokens=16, replay=0.25), replay=general)
    rows = list(make_rows(shop))
    drawn = [row for row in rows if row.generator == "replay"]
    assert len(drawn) / len(rows) == pytest.approx(0.25, abs=0.03)
    assert drawn == [row for row in make_rows(shop) if row.generator == "replay"]
    assert drawn != [row for row in make_rows(replace(shop, seed=8)) if row.generator == "replay"]
