"""The page: self-contained, escaped, the same bytes twice; and it stands with next to nothing to show."""

import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

from tests.report.sample import sample
from workbench.config import ArmConfig, EvaluationConfig
from workbench.decision import ArmStop, RaceReport
from workbench.evaluation import summarise
from workbench.report import ReportData, write_report
from workbench.report.page import render_page
from workbench.report.plots import plot_forest, plot_loss, plot_quality_against_cost, plot_retrieval
from workbench.types import CaseRecord, HitRecord, Question, ReadFailure, Span, Split

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Outline(HTMLParser):
    """Checks that tags close in order; collects headings, links and ids."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in {"src", "href", "xlink:href", "action", "srcset"}:
                self.addresses.append(value or "")
            if name == "id":
                self.ids.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in {"h1", "h2"}:
            self.headings.append(data)


@cache
def sample_page() -> str:
    return render_page(sample())


def outline(page: str) -> Outline:
    parser = Outline()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser


def test_the_page_answers_first_and_holds_every_section() -> None:
    headings = outline(sample_page()).headings
    assert headings == [
        "quickstart",
        "Seen documents",
        "New documents",
        "Scores",
        "What each step adds",
        "Quality against cost",
        "By kind of question",
        "Retrieval",
        "Training",
        "Where the arms disagree",
        "Every question",
        "How it was measured",
    ]


def test_nothing_points_outside_the_page() -> None:
    page = sample_page()
    found = outline(page)
    assert all(address.startswith("#") for address in found.addresses)
    assert not re.search(r"https?://|@import|<script|<link|<!DOCTYPE svg", page)
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", page))
    assert {address[1:] for address in found.addresses} <= set(found.ids)


def test_ids_are_unique_so_that_figures_do_not_share_clips() -> None:
    ids = outline(sample_page()).ids
    assert len(ids) == len(set(ids))


def test_what_users_wrote_is_escaped() -> None:
    page = render_page(_hostile_run())
    assert "<script" not in page
    written = ("name", "yaml", "manifest", "answer", "error", "question", "accepted", "kind", "passage", "document")
    for place in (*written, "reason", "file", "arm"):
        assert f"&lt;script&gt;{place}" in page, place
    outline(page)


def _hostile_run() -> ReportData:
    """One question, a right arm and a failed one, one passage; a script in everything a user can write."""

    def evil(place: str) -> str:
        return f"<script>{place}"

    span = Span(document_id=evil("document"), start=16, end=17)
    question = Question(
        id="a", text=evil("question"), answers=(evil("accepted"),), relevant=(span,), kind=evil("kind"), split=Split.NEW
    )
    right = CaseRecord(
        question_id="a",
        arm=evil("arm"),
        split=Split.NEW,
        kind=question.kind,
        answer=evil("answer"),
        scores={"exact_match": 1.0, "contains": 1.0, "f1": 1.0},
        hits=(HitRecord(document_id=evil("document"), start=0, end=30, score=1.0, in_prompt=True),),
    )
    failed = right.model_copy(update={"arm": "other", "error": evil("error"), "scores": {}, "hits": ()})
    failures = [ReadFailure(evil("file"), "pdf", evil("reason"))]
    summary = summarise(
        [right, failed],
        questions=[question],
        config=EvaluationConfig(resamples=100),
        arms={evil("arm"): ArmConfig(strategy="rag"), "other": ArmConfig(strategy="closed_book")},
        build_costs={},
        losses={},
        failures=failures,
    )
    return ReportData(
        evil("name"),
        summary,
        config_yaml=evil("yaml"),
        manifest={"a": {"b": evil("manifest")}},
        records=[right, failed],
        questions={"a": question},
        passages={(evil("document"), 0, 30): evil("passage") + " x."},
        failures=failures,
    )


def test_an_adapter_without_held_out_rows_says_so() -> None:
    data = sample()
    page = render_page(replace(data, summary={**data.summary, "loss": {"reader": {"train": 1.0, "held_out": None}}}))
    assert "Adapter reader: train 1.000, held out not measured" in page


def test_questions_that_cannot_be_placed_are_told() -> None:
    # the sample's unanswerable questions have neither spans nor group
    assert "10 of 120 test questions name neither a document nor a group" in sample_page()


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    write_report(tmp_path / "one", sample())
    write_report(tmp_path / "two", sample())
    for name in ("report.md", "report.html"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert [path.name for path in sorted((tmp_path / "one").iterdir())] == ["report.html", "report.md", "scores.csv"]


def test_one_failed_answer_is_enough_for_a_page() -> None:
    question = Question(id="a", text="Where?", answers=("Bergen",), split=Split.NEW)
    record = CaseRecord(question_id="a", arm="only $x$", split=Split.NEW, kind="direct", answer="", error="no memory")
    summary = summarise(
        [record],
        questions=[question],
        config=EvaluationConfig(resamples=100),
        arms={"only $x$": ArmConfig(strategy="closed_book")},
        build_costs={},
        losses={},
    )
    page = render_page(
        ReportData("bare", summary, config_yaml="", manifest={}, records=[record], questions={"a": question})
    )
    outline(page)
    assert "each counted as wrong: only $x$ 1" in page
    assert "No question of this split was scored." in page  # the seen split
    assert "is the only ranked arm" in page


def test_plots_keep_text_as_text_and_take_colours_from_the_page() -> None:
    summary = sample().summary
    plots = [
        plot_quality_against_cost(summary, "new"),
        plot_forest(summary, "new"),
        plot_loss("reader", sample().curves["reader"]),
        plot_retrieval(summary),
    ]
    for svg in plots:
        assert svg.startswith("<svg") and svg.endswith("</svg>")
        assert "<text" in svg and "font-family" not in svg and "DejaVu" not in svg
        assert "var(--rule)" in svg
    assert "rag_reader" in plots[0] and "var(--arm-5)" in plots[0]
    assert all("currentColor" in svg for svg in plots[1:])


def test_a_race_is_told_with_what_it_does_to_scores() -> None:
    lost = ArmStop(arm="rag", questions=40, rule="worse", by="lora", difference=0.25, sentence="")
    race = RaceReport(metric="f1", alpha=0.05, margin=0.02, questions=160, asked=120, looks=9, stops=(lost,))
    page = render_page(replace(sample(), race=race))
    assert "worse than lora" in page and "40 of 160" in page and "+25.0" in page
    assert "the scores of rag rest on the questions before they stopped" in page
    assert "The race: arms" not in render_page(sample())


def test_methods_and_gates_are_told() -> None:
    gate = {"name": "known facts", "status": "warn", "says": "Of 40 facts <some> were lost."}
    page = render_page(replace(sample(), gates={"reader": [gate]}))
    assert "Of 40 facts &lt;some&gt; were lost." in page and "known facts" in page
    assert "answers are greedy" in page and "Holm" in page
    assert "Checked after training" not in sample_page()
