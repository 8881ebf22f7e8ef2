"""The prior: what is counted, what each criterion leans to, and that it says it is no measurement."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from workbench.cli import app
from workbench.config import DecisionConfig
from workbench.expected import Figures, Prior
from workbench.prior import read_figures, weigh
from workbench.types import Document, Question, Span, Split

PLAIN = Figures(
    documents=10, characters=20_000, languages={"en": 10}, train_questions=200, test_questions=40, documents_asked=10,
    new_share=0.0, style_share=0.0, unanswerable_share=0.0, repeated_share=0.0, extractive_share=0.0, answer_words=2,
    parameters=7e9,
)  # fmt: skip


def lean(wishes: dict[str, Any] | None = None, *, n_checks: int = 0, **figures: Any) -> Prior:
    return weigh(PLAIN.model_copy(update=figures), DecisionConfig(**(wishes or {})), n_checks=n_checks)


@pytest.mark.parametrize(
    ("wishes", "figures", "criterion", "arms"),
    [
        ({"updates_per_month": 4}, {}, "updates", ("rag", "rag_reader")),
        ({"updates_per_month": 0}, {}, "updates", ("lora",)),
        ({"max_seconds": 1}, {}, "latency", ("lora",)),
        ({"questions_per_month": 50_000}, {"repeated_share": 0.6}, "repetition", ("lora",)),
        ({}, {"style_share": 0.5}, "form", ("lora", "rag_reader")),
        ({}, {"train_questions": 20}, "examples", ("rag",)),
        ({}, {"train_questions": 5000}, "examples", ("lora", "rag_reader")),
        ({}, {"new_share": 0.5}, "diversity", ("rag", "rag_reader")),
        ({"seen_share": 0.2}, {}, "diversity", ("rag", "rag_reader")),
        ({}, {"unanswerable_share": 0.1}, "refusals", ("rag_reader",)),
        ({}, {"extractive_share": 0.9}, "answers", ("rag", "rag_reader")),
        ({}, {"characters": 10**7}, "size", ("rag", "rag_reader")),
        ({}, {"parameters": 1e8}, "base model", ("rag_reader",)),
    ],
)
def test_each_criterion_speaks_for_its_arms(
    wishes: dict[str, Any], figures: dict[str, Any], criterion: str, arms: tuple[str, ...]
) -> None:
    found = {one.name: one for one in lean(wishes, **figures).criteria}
    assert found[criterion].arms == arms
    assert found[criterion].weight > 0


def test_plain_figures_make_no_criterion_but_these() -> None:
    assert {one.name for one in lean().criteria} == {"examples"}  # a wish left at its default speaks for no arm


def test_wishes_exclude() -> None:
    prior = lean({"sources_needed": True, "weights_may_hold_corpus": False})
    assert prior.excluded == ("lora", "rag_reader")
    assert prior.arm == "rag"
    assert set(prior.weights) == {"rag"}


def test_balance_is_undecided_and_a_clear_lead_is_not() -> None:
    assert lean().arm is None
    assert "undecided" in lean().sentence
    clear = lean({"updates_per_month": 30}, train_questions=10, new_share=0.9)
    assert clear.arm == "rag"
    assert clear.sentence.startswith("A prior, not a measurement")
    assert lean(n_checks=2, style_share=0.8, train_questions=4000).arm is None  # form is learnt by both adapters


def test_figures_are_counted() -> None:
    span = Span(document_id="a", start=0, end=4)
    text = "The red valve holds nine bar. It is checked twice a year by the crew of the plant."
    document = Document(id="a", source="a", title="", text=text, blocks=(), fingerprint="")
    questions = [
        Question(
            id="1", text="What does the red valve hold?", answers=("nine bar",), relevant=(span,), split=Split.TRAIN
        ),
        Question(id="2", text="What does the valve hold?", answers=("nine bar",), relevant=(span,), split=Split.SEEN),
        Question(id="3", text="Who checks it?", answers=("a robot",), relevant=(span,), split=Split.NEW, kind="style"),
        Question(id="4", text="Why?", split=Split.NEW),
    ]
    found = read_figures([document], questions)
    assert (found.documents, found.train_questions, found.test_questions, found.documents_asked) == (1, 1, 3, 1)
    assert found.repeated_share == found.style_share == found.unanswerable_share == pytest.approx(1 / 3)
    assert found.new_share == pytest.approx(2 / 3)
    assert found.extractive_share == 0.5
    assert found.languages == {"en": 1}
    assert read_figures([document], []).new_share is None


def test_the_verb_needs_exactly_one_of_both_and_prints_json(experiment: Path, tiny_home: Path, tmp_path: Path) -> None:
    run = CliRunner()
    told = run.invoke(app, ["recommend", "--from-corpus", str(experiment)])
    assert told.exit_code == 0, told.output
    assert "A prior, not a measurement" in told.output
    assert "measure it: workbench run" in told.output
    printed = run.invoke(app, ["recommend", "--from-corpus", str(experiment), "--json"])
    assert Prior.model_validate(json.loads(printed.stdout)).criteria
    for words in (["recommend"], ["recommend", str(tmp_path), "--from-corpus", str(experiment)]):
        refused = run.invoke(app, words)
        assert refused.exit_code == 1
        assert "recommend takes a run's folder, or --from-corpus CONFIG" in str(refused.exception or refused.output)
