"""Questions by language: several languages make groups, one makes none."""

from workbench.languages import FEWEST, group_by_language
from workbench.types import Question, Span

ENGLISH = "Which pressure does the red valve hold when the pump is running at full speed?"
GERMAN = "Welchen Druck hält das rote Ventil, wenn die Pumpe mit voller Drehzahl läuft?"
TEXTS = [("en", f"The manual says this: {ENGLISH}"), ("de", f"Im Handbuch steht das: {GERMAN}")]


def ask(text: str, document: str, n: int) -> list[Question]:
    span = Span(document_id=document, start=0, end=1)
    return [Question(id=f"{document}-{text[:5]}-{number}", text=text, relevant=(span,)) for number in range(n)]


def test_questions_and_documents_have_a_language_each() -> None:
    across = ask(GERMAN, "en", FEWEST)
    questions = [*ask(ENGLISH, "en", FEWEST), *ask(GERMAN, "de", FEWEST), *across]
    groups = group_by_language(questions, TEXTS)
    assert {name: len(ids) for name, ids in groups.items()} == {
        "language:de": 2 * FEWEST,
        "language:en": FEWEST,
        "document_language:de": FEWEST,
        "document_language:en": 2 * FEWEST,
    }
    assert {question.id for question in across} <= groups["language:de"] & groups["document_language:en"]


def test_one_language_and_a_few_slips_make_no_groups() -> None:
    questions = [*ask(ENGLISH, "en", 40), *ask(GERMAN, "en", FEWEST - 1)]
    assert group_by_language(questions, TEXTS[:1]) == {}
