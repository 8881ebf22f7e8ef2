"""What the terminal and Markdown show, and the sentence that answers first."""

from dataclasses import replace
from typing import Any

import pytest

from tests.report.sample import sample
from workbench.report import print_table
from workbench.report.figures import amount_text, difference_text, interval_text, p_text, score_text
from workbench.report.findings import lead_sentence
from workbench.report.markdown import render_markdown
from workbench.report.rows import compare, cost_table, kind_table, reference_pairs, retrieval_table, score_table


def summary_with(
    means: dict[str, float], pair: tuple[str, str, float, float, float] | None, p: float = 0.03
) -> dict[str, Any]:
    """A summary of one split with these F1 means; "oracle" is a control."""
    arms = {arm: {"f1": {"mean": mean, "low": mean - 0.1, "high": mean + 0.1, "n": 9}} for arm, mean in means.items()}
    a, b, difference, low, high = pair or ("", "", 0, 0, 0)
    pairs = [{"a": a, "b": b, "metric": "f1", "difference": difference, "low": low, "high": high, "p": p, "n": 9}]
    part = {"arms": arms, "pairs": pairs if pair else [], "retrieval": {}, "kinds": {}}
    settings = {arm: {"strategy": "rag", "adapter": None, "control": arm == "oracle"} for arm in means}
    return {"ranked_by": "f1", "confidence": 0.95, "settings": settings, "splits": {"seen": part}}


@pytest.mark.parametrize(
    ("means", "pair", "told"),
    [
        (
            {"rag": 0.4, "reader": 0.62, "oracle": 0.9},
            ("rag", "reader", -0.22, -0.3, -0.14),
            "**reader** leads with F1 62.0, 22.0 points [14.0, 30.0] above **rag**.",
        ),
        (
            {"rag": 0.6, "reader": 0.62},
            ("reader", "rag", 0.02, -0.03, 0.07),
            "Undecided between **reader** (F1 62.0) and **rag** (60.0): "
            "the 2.0 points [−3.0, 7.0] between them may be chance.",
        ),
        ({"rag": 0.6}, None, "**rag** is the only ranked arm: F1 60.0."),
        ({"oracle": 0.6}, None, "No question of this split was scored."),
        ({"rag": 0.6, "lora": 0.5}, None, "**rag** has the highest F1, but shares no question with **lora**"),
    ],
    ids=["decided", "undecided", "one arm", "controls only", "never compared"],
)
def test_the_lead_names_the_best_ranked_arm_or_says_that_nothing_is_decided(
    means: dict[str, float], pair: tuple[str, str, float, float, float] | None, told: str
) -> None:
    assert told in lead_sentence(summary_with(means, pair), "seen").replace("\u00a0", " ")


def test_a_comparison_is_turned_round_with_its_interval() -> None:
    summary = summary_with({"a": 0.1, "b": 0.4}, ("a", "b", -0.3, -0.4, -0.1))
    turned = compare(summary, "seen", "b", "a", "f1")
    assert turned is not None and turned.decided
    assert (turned.difference, turned.low, turned.high) == (0.3, 0.1, 0.4)
    assert compare(summary, "seen", "a", "c", "f1") is None


def test_an_interval_without_zero_decides_nothing_against_its_p() -> None:
    means, pair = {"a": 0.4, "b": 0.1}, ("a", "b", 0.3, 0.05, 0.55)
    assert lead_sentence(summary_with(means, pair, p=0.05), "seen").startswith("**a** leads")
    assert lead_sentence(summary_with(means, pair, p=0.0625), "seen").startswith("Undecided between **a**")


def test_figures_are_written_in_their_units() -> None:
    assert score_text("f1", 0.5534) == "55.3" and score_text("gold_logprob", -2.345) == "−2.35"
    assert score_text("f1", -0.0001) == "0.0" and score_text("f1", None) == "–"
    assert interval_text("f1", {"low": 0.1, "high": 0.25}) == "[10.0, 25.0]"
    assert interval_text("f1", {"low": None, "high": None}) == ""
    assert [difference_text("f1", value) for value in (0.1, 0.0, -0.1)] == ["+10.0", "0.0", "−10.0"]
    assert [p_text(p) for p in (0.0004, 0.03, 1.0)] == ["< .001", ".030", "1.000"]
    assert amount_text("training_seconds", 1234.5) == "1,234" and amount_text("seconds_p50", 0.0123) == "0.012"
    assert amount_text("peak_bytes", 2**31) == "2.00 GiB" and amount_text("training_tokens", 61440.0) == "61,440"


def test_controls_never_lead_a_column() -> None:
    header, rows = score_table(sample().summary, "seen")
    oracle = next(row for row in rows if row.arm == "rag_oracle")
    assert oracle.control and not any(cell.best for cell in oracle.cells)
    leaders = [row.arm for row in rows if row.cells[header.index("F1")].best]
    assert leaders == ["rag_reader"]


def test_a_score_nobody_has_takes_no_column() -> None:
    # all unanswerable questions of the sample are new ones
    assert "abstention" not in score_table(sample().summary, "seen")[0]
    assert "abstention" in score_table(sample().summary, "new")[0]


def test_every_arm_is_compared_with_base_and_with_plain_retrieval() -> None:
    found = reference_pairs(sample().summary, "new")
    assert [reference for reference, _ in found] == ["base", "rag"]
    assert all(pair.b == reference and len(pairs) == 5 for reference, pairs in found for pair in pairs)


def test_the_terminal_table_keeps_to_its_width_and_parts_the_splits(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(sample().summary)
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 110
    assert "…" not in text
    assert text.index("Seen documents") < text.index("New documents")
    assert text.count("rag_oracle *") == 2


def test_markdown_holds_every_table_and_keeps_its_columns() -> None:
    text = render_markdown(sample())
    kinds = ("By kind of question: seen documents", "By kind of question: new documents")
    for heading in ("Seen documents", "New documents", "Costs", "Retrieval", *kinds, "Configuration"):
        assert f"## {heading}\n" in text
    assert r"manuals/bent \| pipe.pdf" in text
    tables = [block for block in text.split("\n\n") if block.startswith("| ")]
    for table in tables:
        assert len({line.replace(r"\|", "").count("|") for line in table.splitlines()}) == 1
    assert text == render_markdown(sample())


def test_costs_retrieval_and_kinds_have_a_row_each() -> None:
    arms, costs = cost_table(sample().summary)
    assert arms == list(sample().summary["settings"])
    assert {"seconds, median", "training tokens", "peak process memory"} <= {name for name, _ in costs}
    names, rows = retrieval_table(sample().summary)
    assert names == ["hit@1", "hit@3", "hit@5", "hit@10", "MRR", "nDCG@10"] and [row[0] for row in rows] == [
        "seen",
        "new",
    ]
    # all unanswerable questions of the sample are new ones
    assert ("unanswerable", "abstention", 10) in [row[:3] for row in kind_table(sample().summary, "new")[1]]
    assert "unanswerable" not in {row[0] for row in kind_table(sample().summary, "seen")[1]}


def test_markdown_tells_of_failed_answers_and_of_questions_without_a_place() -> None:
    data = sample()
    counts = data.summary["counts"] | {"errors": {"base": 0, "rag": 2}, "unplaced": 10}
    text = render_markdown(replace(data, summary={**data.summary, "counts": counts}))
    assert "each counted as wrong: rag 2." in text
    assert "10 of 120 test questions name neither a document nor a group" in text
    assert "counted as wrong" not in render_markdown(data)
