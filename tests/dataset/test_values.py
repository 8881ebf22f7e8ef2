"""What could be an answer in a sentence, and how it is asked for."""

import pytest

from tests.dataset.samples import make_document
from workbench.dataset.asking import ask_for
from workbench.dataset.sections import read_vocabulary, split_sentences
from workbench.dataset.values import ValueKind, find_values

VOCABULARY = read_vocabulary(
    [
        make_document(
            "a", "the gauge of Edric Namoor in Port Ansel and the Corvel 40, from the Corvel 40 of a house. The"
        )
    ]
)


@pytest.mark.parametrize(
    ("sentence", "value", "kind"),
    [
        ("Tighten it to 22 newton metres.", "22 newton metres", ValueKind.NUMBER),
        ("Supply is 1,430 crowns a month.", "1,430 crowns a month", ValueKind.NUMBER),
        ("Hose takes four days.", "four", ValueKind.NUMBER),
        ("Turn it eleven full turns.", "eleven full turns", ValueKind.NUMBER),
        ("Anything from 91 to 104 percent is fine.", "91 to 104 percent", ValueKind.NUMBER),
        ("Batches of up to 260 spectra are measured.", "260 spectra", ValueKind.NUMBER),
        ("We supply torque key TK-3 for it.", "TK-3", ValueKind.CODE),
        ("Use part PG-208, please.", "PG-208", ValueKind.CODE),
        ("The display greets you with GOOD MORNING then.", "GOOD MORNING", ValueKind.QUOTE),
        ("It was signed on 24 November here.", "24 November", ValueKind.TIME),
        ("It is reviewed by Edric Namoor alone.", "Edric Namoor", ValueKind.NAME),
        ("If it stays, renew the hose ring.", "renew the hose ring", ValueKind.ACTION),
        ("The rotor is held by a red nylon pin, always.", "a red nylon pin", ValueKind.PHRASE),
        ("Rinse it with soapy alcohol.", "soapy alcohol", ValueKind.PHRASE),
        ("He receives a bag of roasted chestnuts.", "a bag of roasted chestnuts", ValueKind.PHRASE),
    ],
)
def test_a_sentence_gives_its_values_with_their_kinds(sentence: str, value: str, kind: ValueKind) -> None:
    found = {sentence[one.start : one.end]: one.kind for one in find_values(sentence, VOCABULARY)}
    assert found.get(value) is kind, found


def test_values_of_one_sentence_never_overlap_and_stand_in_order() -> None:
    sentence = "On 24 November Edric Namoor paid 1,430 crowns for part TK-3 with a red nylon pin in Port Ansel."
    values = find_values(sentence, VOCABULARY)
    assert [sentence[one.start : one.end] for one in values] == [
        "24 November",
        "Edric Namoor",
        "1,430 crowns",
        "TK-3",
        "a red nylon pin",
        "Port Ansel",
    ]


@pytest.mark.parametrize(
    ("sentence", "value", "question"),
    [
        ("The meter weighs 75 kilograms.", "75 kilograms", "How many kilograms does the meter weigh?"),
        ("The rotor is held by a red nylon pin.", "a red nylon pin", "By what is the rotor held?"),
        ("It should be emptied every 12 weeks.", "12 weeks", "Every how many weeks should it be emptied?"),
        ("Wipe the face with a lambswool mop.", "a lambswool mop", "With what should one wipe the face?"),
        ("It is reviewed by Edric Namoor.", "Edric Namoor", "By whom is it reviewed?"),
        ("V-36 appears on the panel.", "V-36", "Which code appears on the panel?"),
        ("If it is dry, it stops after 9 minutes.", "9 minutes", "After how many minutes does it stop if it is dry?"),
    ],
)  # fmt: skip
def test_a_value_is_asked_for_as_the_grammar_allows(sentence: str, value: str, question: str) -> None:
    (found,) = [one for one in find_values(sentence, VOCABULARY) if sentence[one.start : one.end] == value]
    assert ask_for(sentence, found, VOCABULARY.names).direct == question


def test_where_no_rule_fits_the_sentence_is_asked_with_the_word_in_place() -> None:
    sentence = "Companies and public bodies get 47 days."
    (found,) = [one for one in find_values(sentence, VOCABULARY) if one.kind is ValueKind.NUMBER]
    asked = ask_for(sentence, found, VOCABULARY.names)
    assert asked.direct is None
    assert asked.in_place == "Companies and public bodies get how many days"
    assert asked.indirect == "how many days companies and public bodies get"


def test_sentences_end_at_marks_and_not_after_abbreviations_and_keep_their_places() -> None:
    text = "Mr. Osmarrow walks 5.3 kilometres.  He claims so.\nDo you?"
    sentences = list(split_sentences(text, 0, len(text)))
    assert [one.text for one in sentences] == ["Mr. Osmarrow walks 5.3 kilometres.", "He claims so.", "Do you?"]
    assert all(text[one.start : one.end] == one.text for one in sentences)
