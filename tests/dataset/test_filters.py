"""Every reason to drop a row, on planted rows."""

import pytest

from tests.dataset.samples import make_workshop
from workbench.audit import find_personal_data, find_secrets
from workbench.config import FilterConfig
from workbench.dataset import Criteria, Drop
from workbench.dataset.filters import FILTERS, filter_rows
from workbench.dataset.generators import make_rows
from workbench.rows import DatasetRow, Task, Turn
from workbench.types import Chunk, Hit, Span

SOURCE = (Span(document_id="a", start=0, end=10),)
RIGHT = Hit(Chunk("a:0", "a", 0, 50, "text"), 1.0)
WRONG = Hit(Chunk("b:0", "b", 0, 50, "text"), 1.0)


def row(question: str, answer: str, **fields: object) -> DatasetRow:
    task = Task.CLOSED_BOOK if question else Task.TEXT
    given = {
        "id": "x",
        "task": task,
        "question": question,
        "completion": answer,
        "generator": "questions",
        "group": "a",
    }
    return DatasetRow.model_validate(given | fields)


def criteria(**config: object) -> Criteria:
    return Criteria(
        config=FilterConfig.model_validate(config),
        find_secrets=find_secrets,
        find_personal_data=find_personal_data,
        languages={"a": "en", "german": "de"},
        row_tokens=lambda one: len(one.completion.split()),
        test_texts=("What does the large brass gauge cost in spring?",),
        not_found="not in the documents",
        find=lambda question: (WRONG, RIGHT) if "second" in question else (WRONG,) if "lost" in question else (RIGHT,),
    )


GOOD = row("How heavy is the meter?", "75 kilograms", sources=SOURCE)
GATE = "On which day of the week is the old main gate"
KEY = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"


@pytest.mark.parametrize(
    ("rows", "config", "reasons"),
    [
        ([GOOD, GOOD], {}, [None, Drop.EXACT_DUPLICATE]),
        ([row("", f"The token is {KEY} for now.")], {}, [Drop.SECRET]),
        ([row(f"Who owns {KEY}?", "Ada")], {}, [Drop.SECRET]),
        ([row("Whom to ask?", "ada.lovelace@engines.co.uk")], {}, [Drop.PERSONAL_DATA]),
        ([row("Whom to ask?", "ada.lovelace@engines.co.uk")], {"personal_data": False}, [None]),
        ([GOOD, row("Wie?", "so", group="german")], {"languages": ["en"]}, [None, Drop.LANGUAGE]),
        ([row("", "word " * 30)], {"max_tokens": 29}, [Drop.TOO_LONG]),
        ([row("", "word " * 30)], {"max_tokens": 30}, [None]),
        ([row("What does the large brass gauge cost, in spring?", "9 crowns")], {}, [Drop.OVERLAP]),
        ([row("What colour has the large brass gauge?", "red")], {}, [None]),
        (
            [row("How tall?", "3 metres"), GOOD, row("how tall", "4 metres")],
            {},
            [Drop.CONTRADICTION, None, Drop.CONTRADICTION],
        ),
        ([row("How tall?", "3 metres"), row("How tall?", "3 metres.")], {}, [None, Drop.NEAR_DUPLICATE]),
        (
            [row(f"{GATE} shut?", "Friday"), row(f"{GATE} shut now?", "Friday")],
            {"near_duplicates": 0.8},
            [None, Drop.NEAR_DUPLICATE],
        ),
        (
            [row(f"{GATE} 3 shut?", "Friday"), row(f"{GATE} 4 shut?", "Friday")],
            {"near_duplicates": 0.8},
            [None, None],
        ),
        ([row("Is it lost?", "yes", sources=SOURCE)], {}, [Drop.ROUND_TRIP]),
        ([row("Is it second?", "yes", sources=SOURCE)], {"round_trip": 1}, [Drop.ROUND_TRIP]),
        ([row("Is it second?", "yes", sources=SOURCE)], {"round_trip": 2}, [None]),
        ([row("Is it lost?", "yes", sources=SOURCE)], {"round_trip": None}, [None]),
        ([row("Is it lost?", "not in the documents", sources=SOURCE)], {}, [None]),
    ],
)  # fmt: skip
def test_a_planted_row_is_dropped_for_its_reason(
    rows: list[DatasetRow], config: dict[str, object], reasons: list[Drop | None]
) -> None:
    placed = [one.model_copy(update={"id": str(n)}) for n, one in enumerate(rows)]
    kept, dropped = filter_rows(placed, criteria(**config))
    found = {one.id: reason for one, reason in dropped}
    assert [found.get(one.id) for one in placed] == reasons
    assert [one.id for one in kept] == [one.id for one in placed if one.id not in found]


def test_imported_rows_are_read_for_their_language_where_they_are_long_enough() -> None:
    german = "Dies ist ein langer Satz in deutscher Sprache, der lang genug ist, um sicher erkannt zu werden. " * 3
    turns = (Turn(role="user", content="Schreibe etwas."),)
    long_row = row("", german, task=Task.CHAT, turns=turns, group="")
    short = row("", "Ja.", task=Task.CHAT, turns=turns, group="")
    kept, dropped = filter_rows([long_row, short], criteria(languages=["en"]))
    assert [reason for _, reason in dropped] == [Drop.LANGUAGE]
    assert [one.completion for one in kept] == ["Ja."]


def test_the_last_user_turn_of_a_conversation_counts_as_its_question() -> None:
    turns = (Turn(role="user", content="What does the large brass gauge cost in spring?"),)
    _, dropped = filter_rows([row("", "9", task=Task.CHAT, turns=turns)], criteria())
    assert [reason for _, reason in dropped] == [Drop.OVERLAP]


def test_more_forms_keep_the_rows_of_fewer() -> None:
    kept: list[set[str]] = []
    for forms in (2, 6, 12):
        shop = make_workshop(forms=forms, generators=("questions", "statements", "cloze", "reversed"))
        staying, _ = filter_rows(list(make_rows(shop)), criteria(round_trip=None))
        kept.append({one.id for one in staying})
    assert kept[0] < kept[1] < kept[2]


def test_every_reason_has_its_filter() -> None:
    assert list(FILTERS) == list(Drop)
