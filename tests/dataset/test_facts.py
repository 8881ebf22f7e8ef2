"""Facts out of documents, and their forms."""

from collections import Counter

import pytest

from tests.dataset.samples import DOCUMENTS, make_document
from workbench.config import GeneratorName
from workbench.dataset import coverage, read_material
from workbench.dataset.facts import FactKind
from workbench.dataset.forms import FORM_GENERATORS, FORM_ORDER, express
from workbench.rows import Task
from workbench.types import Span

MATERIAL = read_material(DOCUMENTS, facts_per_document=None)
TEXTS = {document.id: document.text for document in DOCUMENTS}
ALL = set(FORM_GENERATORS)


def test_every_value_stands_where_the_fact_says() -> None:
    assert len(MATERIAL.facts) > 25
    for fact in MATERIAL.facts:
        assert " ".join(TEXTS[fact.source.document_id][fact.start : fact.end].split()) == fact.value
        assert fact.statement_start <= fact.start < fact.end <= fact.statement_end


@pytest.mark.parametrize(
    ("kind", "subject", "attribute", "value"),
    [
        (FactKind.CELL, "code C-179", "meaning", "pulses too irregular"),
        (FactKind.CELL, "code C-123", "first action", "flush the body"),
        (FactKind.CELL, "“rotor does not turn”", "code", "C-123"),
        (FactKind.CELL, "the Dunmere S", "capacity", "310 grams"),
        (FactKind.PAIR, "Data", "rated pressure", "43 bar"),
        (FactKind.HEADED, "“Heavy”", "code", "D-28"),
    ],
)
def test_relations_are_read_from_tables_pairs_and_headings(
    kind: FactKind, subject: str, attribute: str, value: str
) -> None:
    found = {(fact.kind, fact.subject, fact.attribute, fact.value) for fact in MATERIAL.facts}
    assert (kind, subject, attribute, value) in found


def test_plain_text_is_read_like_marked_text() -> None:
    text = (
        "Tamsel: sheet\n=============\n\nWiring\n------\n\nWire    Meaning\nbrown   plus supply\npink    signal, 4 mA\n"
    )
    facts = read_material([make_document("t.txt", text)], facts_per_document=None).facts
    assert {(fact.subject, fact.attribute, fact.value) for fact in facts} >= {("pink", "meaning", "signal, 4 mA")}
    assert facts[0].source.heading == "Wiring"
    assert facts[0].source.title == "Tamsel: sheet"


def test_lines_that_several_documents_share_give_no_facts() -> None:
    documents = [
        make_document(f"{n}.md", f"# Page {n}\n\nIt weighs {n + 3} tons.\n\nMade by Ansel & Sons since 1911.")
        for n in range(3)
    ]
    facts = read_material(documents, facts_per_document=None).facts
    assert {fact.value for fact in facts} == {"3 tons", "4 tons", "5 tons"}


def test_the_firmest_facts_are_taken_first_and_the_limit_holds() -> None:
    few = read_material(DOCUMENTS, facts_per_document=5).facts
    assert Counter(fact.source.document_id for fact in few) == {"meter.md": 5, "balance.md": 5}
    assert {fact.kind for fact in few if fact.source.document_id == "meter.md"} <= {FactKind.CELL, FactKind.PAIR}
    assert set(few) <= set(MATERIAL.facts)


def test_coverage_counts_answers_that_lie_within_a_fact() -> None:
    text = TEXTS["meter.md"]
    inside, outside = text.index("75 kilograms"), text.index("arrives")
    spans = [
        Span(document_id="meter.md", start=inside, end=inside + 12),
        Span(document_id="meter.md", start=outside, end=outside + 7),
    ]
    assert coverage(MATERIAL.facts, spans) == 1


def test_n_forms_are_the_first_n_of_one_more() -> None:
    for fact in MATERIAL.facts:
        forms = express(fact, 16, ALL, seed=0)
        assert len(forms) == len(FORM_ORDER) == 16
        for n in range(1, 16):
            assert express(fact, n, ALL, seed=0) == forms[:n]


def test_forms_of_a_fact_differ_and_all_state_or_answer_it() -> None:
    for fact in MATERIAL.facts:
        forms = express(fact, 16, ALL, seed=0)
        assert len({(form.question, form.completion) for form in forms}) >= 14
        assert {form.task for form in forms[:3]} == {Task.CLOSED_BOOK, Task.TEXT}
        for form in forms:
            assert "{" not in form.question + form.completion
            if form.generator is GeneratorName.STATEMENTS:
                assert fact.value.lower() in form.completion.lower()
            elif form.generator is not GeneratorName.REVERSED:
                assert form.completion == fact.value
                assert form.question.strip().endswith(("?", ".")) or "____" in form.question


def test_a_seed_changes_wordings_and_nothing_else() -> None:
    fact = MATERIAL.facts[0]
    one, other = express(fact, 16, ALL, seed=0), express(fact, 16, ALL, seed=1)
    assert one != other
    assert [(form.generator, form.template) for form in one] == [(form.generator, form.template) for form in other]


def test_only_the_generators_asked_for_make_forms() -> None:
    forms = express(MATERIAL.facts[0], 16, {GeneratorName.CLOZE}, seed=0)
    assert [form.generator for form in forms] == [GeneratorName.CLOZE] * 4
