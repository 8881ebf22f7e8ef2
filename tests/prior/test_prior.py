"""The prior: what is counted, what each criterion leans to, and that it says it is no measurement."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from workbench.cli import app
from workbench.config import DecisionConfig, ExperimentConfig
from workbench.expected import Arm, Figures, Prior
from workbench.prior import read_figures, training_time, weigh
from workbench.types import Document, Question, Span, Split

PLAIN = Figures(
    documents=10, characters=20_000, languages={"en": 10}, train_questions=200, test_questions=40, documents_asked=10,
    new_share=0.0, style_share=0.0, unanswerable_share=0.0, repeated_share=0.0, taught_share=0.0, grounded_share=1.0,
    extractive_share=0.0, answer_words=2, train_words=10, parameters=7e9,
)  # fmt: skip

CLOSED_BOOK, TRAINED = {"examples": "closed_book"}, {"examples": "trained", "folder": "elsewhere"}


def lean(wishes: dict[str, Any] | None = None, *, n_checks: int = 0, **figures: Any) -> Prior:
    return weigh(PLAIN.model_copy(update=figures), DecisionConfig(**(wishes or {})), n_checks=n_checks)


@pytest.mark.parametrize(
    ("wishes", "figures", "criterion", "arms"),
    [
        ({"updates_per_month": 4}, {}, "updates", ("rag", "rag_reader")),
        ({"updates_per_month": 0}, {}, "updates", ("lora",)),
        ({"max_seconds": 1}, {}, "latency", ("base", "lora")),
        ({"questions_per_month": 50_000}, {"repeated_share": 0.6}, "repetition", ("lora",)),
        ({}, {"style_share": 0.5}, "form", ("lora", "rag_reader")),
        ({}, {"train_questions": 20}, "examples", ("base", "rag")),
        ({}, {"train_questions": 20, "grounded_share": 0.1}, "examples", ("base",)),
        ({}, {"grounded_share": 0.1}, "ground", ("base",)),
        ({}, {"grounded_share": 0.1, "taught_share": 0.8}, "ground", ("lora",)),
        ({}, {"grounded_share": 0.1, "taught_share": 0.8, "style_share": 0.5}, "form", ("lora",)),
        ({}, {"grounded_share": 0.5, "taught_share": 0.8}, "two sorts", ("routed",)),
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


def test_where_documents_do_not_hold_the_answers_nothing_speaks_for_passages() -> None:
    figures: dict[str, Any] = {"new_share": 1.0, "parameters": 1e8, "unanswerable_share": 0.2, "characters": 10**7}
    for taught in (0.0, 1.0):
        prior = lean(grounded_share=0.1, taught_share=taught, style_share=0.5, train_questions=60, **figures)
        assert prior.weights["rag"] == prior.weights["rag_reader"] == 0
        assert prior.arm == ("lora" if taught else "base")
    assert lean(grounded_share=None, **figures).arm == "rag_reader"  # no answer to look for


def test_wishes_exclude() -> None:
    prior = lean({"sources_needed": True, "weights_may_hold_corpus": False})
    assert prior.excluded == ("base", "lora", "rag_reader", "routed")
    assert prior.arm == "rag"
    assert set(prior.weights) == {"rag"}


def test_a_training_that_cannot_end_in_time_is_excluded() -> None:
    hours: dict[Arm, float] = {"lora": 0.5, "rag_reader": 2.0}
    prior = weigh(PLAIN, DecisionConfig(max_build_hours=1), training_hours=hours)
    assert prior.excluded == ("rag_reader",)
    assert [one.figure for one in prior.criteria if one.name == "time to build"] == [
        "at least 2 h of training, 1 allowed"
    ]
    assert weigh(PLAIN, DecisionConfig(), training_hours=hours).excluded == ()


def test_only_what_the_config_compares_is_named_and_the_rest_is_mentioned() -> None:
    figures = PLAIN.model_copy(update={"new_share": 1.0, "extractive_share": 1.0, "parameters": 1e8})
    prior = weigh(figures, DecisionConfig(), compared={"base": ("base",), "rag": ("two", "three")})
    assert (prior.arm, prior.named) == ("rag", ("two", "three"))
    assert "which of two, three, no criterion tells" in prior.sentence
    assert "More would speak for rag_reader (6), which this config does not compare." in prior.sentence
    assert weigh(figures, DecisionConfig()).named == ("rag_reader",)


def test_a_router_is_worth_its_best_arm_and_what_the_mixture_adds() -> None:
    compared: dict[Arm, tuple[str, ...]] = {"rag": ("rag",), "lora": ("lora",), "routed": ("routed",)}

    def routed(**figures: Any) -> Prior:
        return weigh(PLAIN.model_copy(update=figures), DecisionConfig(), compared=compared)

    mixed = routed(grounded_share=0.5, taught_share=0.9, new_share=1.0)
    assert mixed.arm == "routed"
    assert mixed.weights["routed"] == mixed.weights["rag"] + 2
    assert routed(grounded_share=1.0, taught_share=0.9, new_share=1.0).weights["routed"] == 0
    assert "routed" in lean(grounded_share=0.5, taught_share=0.9).sentence  # not compared, and mentioned


def test_balance_is_undecided_and_a_clear_lead_is_not() -> None:
    assert lean().arm is None
    assert "undecided" in lean().sentence
    clear = lean({"updates_per_month": 30}, train_questions=10, new_share=0.9)  # few examples: no reader
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
    assert (found.extractive_share, found.grounded_share) == (0.5, 1)  # a marked span is ground enough
    assert found.taught_share == 0.5
    assert found.train_words == 8
    assert found.languages == {"en": 1}
    assert read_figures([document], []).new_share is None


def test_the_same_question_has_the_same_answer_and_a_like_one_need_not() -> None:
    def asked(text: str, answer: str, split: Split, start: int = 0) -> Question:
        spans = (Span(document_id="a", start=start, end=start + 9),)
        return Question(id=f"{text}{split}", text=text, answers=(answer,), relevant=spans, split=split)

    taught = asked("What colour is the pump?", "teal", Split.TRAIN)
    like = asked("What colour is the valve?", "amber", Split.SEEN, start=50)
    same = asked("In which paint does it come?", "teal", Split.SEEN, start=4)
    for question, repeated, shown in ((like, 0, 1), (same, 1, 1)):
        found = read_figures([], [taught, question])
        assert (found.repeated_share, found.taught_share) == (repeated, shown)


def test_an_answer_stands_in_whole_words_and_rests_on_most_of_them() -> None:
    document = Document(id="a", source="a", title="", text="The pumps of the north.", blocks=(), fingerprint="")

    def shares(answer: str) -> tuple[float | None, float | None]:
        found = read_figures([document], [Question(id="1", text="?", answers=(answer,), split=Split.NEW)])
        return found.extractive_share, found.grounded_share

    assert shares("no") == (0, 0)
    assert shares("north") == (1, 1)
    assert shares("north pumps") == (0, 1)
    assert shares("PUMPS / 12 / ALDBY") == (0, 0)


def test_the_least_time_of_a_training_is_its_arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    config = ExperimentConfig.model_validate(
        {
            "name": "x",
            "questions": {"path": "q.jsonl"},
            "models": {"device": "cpu"},
            "training": {
                "epochs": 5,
                "adapters": {"facts": CLOSED_BOOK, "r": {"examples": "reader"}, "there": TRAINED},
            },
            "arms": {"base": {"strategy": "closed_book"}},
            "retrieval": {"passages": 4},
        }
    )
    monkeypatch.setattr(training_time, "count_cores", lambda: 2)
    # 200 rows of 10 words, 13 tokens, 5 epochs, 4 operations for each of 7e9 parameters, at 2e11 a second
    facts = 200 * 13 * 5 * 4 * 7e9 / 2e11 / 3600
    assert training_time.least_hours("facts", config, PLAIN) == pytest.approx(facts)
    # a document is 500 tokens, a passage at most 256; four of them are read once a row
    read = 200 * 4 * 256 * 2 * 7e9 / 2e11 / 3600
    assert training_time.least_hours("r", config, PLAIN) == pytest.approx(facts + read)
    assert training_time.least_hours("r", config, PLAIN.model_copy(update={"parameters": None})) is None
    assert training_time.least_hours("there", config, PLAIN) is None


def test_the_verb_needs_exactly_one_of_both_and_prints_json(experiment: Path, tiny_home: Path, tmp_path: Path) -> None:
    run = CliRunner()
    told = run.invoke(app, ["recommend", "--from-corpus", str(experiment)])
    assert told.exit_code == 0, told.output
    assert "A prior, not a measurement" in told.output
    assert "measure it: workbench run" in told.output
    assert "docs/LOG.md" in told.output  # how often a prior is right is told, and where
    printed = run.invoke(app, ["recommend", "--from-corpus", str(experiment), "--json"])
    assert Prior.model_validate(json.loads(printed.stdout)).criteria
    for words in (["recommend"], ["recommend", str(tmp_path), "--from-corpus", str(experiment)]):
        refused = run.invoke(app, words)
        assert refused.exit_code == 1
        assert "recommend takes a run's folder, or --from-corpus CONFIG" in str(refused.exception or refused.output)
