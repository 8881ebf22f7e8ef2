"""Every number worked by hand, and the bounds all metrics share."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.evaluation import (
    METRICS,
    SCORES,
    abstained,
    contains,
    exact_match,
    normalise_answer,
    score_answer,
    token_f1,
)
from workbench.types import Question


def test_normalising_drops_case_punctuation_articles_spaces_and_citations() -> None:
    assert normalise_answer(" The  Bergen-works, [1] opened in an hour [2, 3]. ") == "bergenworks opened in hour"


def test_exact_match_looks_past_articles_and_marks() -> None:
    assert exact_match("The fjord [1].", ["Oslo", "fjord"]) == 1.0
    assert exact_match("fjords", ["fjord"]) == 0.0


def test_contains_wants_whole_words_in_a_row() -> None:
    assert contains("It was built in Bergen in 1931.", ["Bergen in 1931"]) == 1.0
    assert contains("It cost 19310 crowns", ["1931"]) == 0.0
    assert contains("anything", ["the"]) == 0.0  # nothing is left of it after normalising


def test_f1_by_hand() -> None:
    # answer: {bergen, in, norway}; gold: {bergen, norway, west, coast}. Common 2: P = 2/3, R = 2/4, F1 = 4/7.
    assert token_f1("Bergen in Norway", ["Oslo", "Bergen, Norway west coast"]) == pytest.approx(4 / 7)
    # words count as bags: "go go" against "go": common 1, P = 1/2, R = 1, F1 = 2/3.
    assert token_f1("go go", ["go"]) == pytest.approx(2 / 3)
    assert token_f1("", ["go"]) == 0.0


def test_abstaining_is_saying_the_phrase() -> None:
    assert abstained("Sorry: NOT in the documents.", "not in the documents") == 1.0
    assert abstained("It is in the documents", "not in the documents") == 0.0


def test_scores_apply_to_answerable_or_to_unanswerable_questions() -> None:
    answerable = Question(id="a", text="Where?", answers=("Bergen",))
    assert score_answer(answerable, "Bergen", "not in the documents") == {
        "exact_match": 1.0,
        "contains": 1.0,
        "f1": 1.0,
        "abstention": None,
        "over_refusal": 0.0,
    }
    assert score_answer(answerable, "Not in the documents", "not in the documents")["over_refusal"] == 1.0
    unanswerable = Question(id="b", text="Who?")
    scores = score_answer(unanswerable, "Not in the documents.", "not in the documents")
    assert scores == dict.fromkeys(scores, None) | {"abstention": 1.0}
    assert set(scores) < set(SCORES)


@settings(max_examples=40, deadline=None)
@given(answer=st.text(), gold=st.lists(st.text(min_size=1), min_size=1, max_size=3))
def test_every_metric_stays_in_bounds_and_orders_the_same_way(answer: str, gold: list[str]) -> None:
    scores = {name: metric(answer, gold) for name, metric in METRICS.items()}
    assert all(0.0 <= score <= 1.0 for score in scores.values())
    assert scores["exact_match"] <= scores["f1"]


@settings(max_examples=40, deadline=None)
@given(answer=st.text())
def test_an_answer_matches_itself(answer: str) -> None:
    assert exact_match(answer, [answer]) == token_f1(answer, [answer]) == 1.0
