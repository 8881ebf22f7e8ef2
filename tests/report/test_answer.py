"""The verdict on the page, in Markdown and in CSV: the answer first, every outcome readable both ways round."""

import csv
import io
import re
from dataclasses import replace

from tests.report.decisions import decision
from tests.report.sample import sample
from tests.report.test_page import outline
from workbench.decision import Alarm
from workbench.report.answer import crossover_sentences, ladder_rows, ordered_standings, tiles, verdict_matrix
from workbench.report.data import ReportData
from workbench.report.drilldown import all_cases, count_filters
from workbench.report.exports import csv_files
from workbench.report.factors import decision_table
from workbench.report.markdown import render_markdown
from workbench.report.page import render_page


def decided(*, alarms: tuple[Alarm, ...] = ()) -> ReportData:
    return replace(sample(), decision=decision(alarms=alarms))


def test_the_page_opens_with_the_recommendation() -> None:
    page = render_page(decided())
    outline(page)
    assert page.index("Take <strong>rag_reader</strong>") < page.index("Seen documents")
    assert page.index("What would change it") < page.index("The decision table") < page.index("Who beats whom")
    assert "<script" not in page


def test_a_refusing_alarm_stands_beside_the_answer() -> None:
    alarm = Alarm(guard="leak", severity="refuse", message="3 test questions are training rows")
    page = render_page(decided(alarms=(alarm,)))
    assert page.index("No figure of this run can be relied on.") < page.index("3 test questions are training rows")
    assert page.index("3 test questions are training rows") < page.index("The decision table")


def test_the_matrix_reads_the_same_both_ways_round() -> None:
    arms, rows = verdict_matrix(decision(), "all")
    cells = dict(rows)
    assert arms == ["base", "rag", "lora", "rag_lora", "rag_reader"]
    assert (cells["base"][4].outcome, cells["rag_reader"][0].outcome) == ("worse", "better")
    assert cells["base"][4].text.startswith("−60.0") and cells["rag_reader"][0].text.startswith("60.0")
    assert cells["rag"][2].outcome == cells["lora"][1].outcome == "undecided"
    assert cells["base"][0].mark == ""


def test_tiles_are_those_of_the_recommended_arm() -> None:
    assert [(tile.label, tile.value) for tile in tiles(decision())] == [
        ("F1", "68.0"),
        ("seconds a question", "0.61"),
        ("to build", "489 s"),
        ("memory", "1.96 GiB"),
    ]


def test_the_recommended_arm_stands_first() -> None:
    assert [one.arm for one in ordered_standings(decision())] == ["rag_reader", "rag_lora", "lora", "base", "rag"]


def test_the_decision_table_has_eight_rows_and_names_what_was_not_measured() -> None:
    arms, rows = decision_table(decided())
    assert arms == ["base", "rag", "lora", "rag_lora", "rag_reader"] and len(rows) == 8
    by_name = {row.name: row for row in rows}
    assert by_name["Knowledge freshness"].missing == "workbench freshness CONFIG"
    assert by_name["Set-up cost"].cells[2] == "212 s"
    assert by_name["Implementation complexity"].cells == (
        "nothing",
        "index",
        "adapter, 9.3 MiB",
        "index + adapter, 9.3 MiB",
        "index + adapter, 9.3 MiB",
    )
    assert decision_table(sample()) == ([], [])


def test_crossovers_are_told_with_their_interval_and_never_is_an_answer() -> None:
    first, second = crossover_sentences(decision())
    assert "after 296 questions [270, 330]" in first
    assert second == "Dearer to build and not cheaper to ask, so never: **lora** against base."


def test_the_ladder_shows_shares_of_all_questions() -> None:
    [(arm, cells)] = ladder_rows(decision(), "all")
    assert arm == "rag" and [cell.text for cell in cells] == ["36%", "45%", "16%", "2%"]  # of 110


def test_every_question_is_there_and_filters_count_them() -> None:
    cases, n_left = all_cases(sample())
    assert len(cases) == 120 and n_left == 0
    counts = {id_: n for id_, _, n in count_filters(cases)}
    assert counts["all"] == 120 == counts["split"] + counts["none"] + counts["every"]
    few, n_left = all_cases(sample(), limit=5)
    assert len(few) == 5 and n_left == 115 and {case.met for case in few} == {"split"}


def test_markdown_and_csv_hold_the_verdict() -> None:
    text = render_markdown(decided())
    assert "Take **rag_reader**" in text and "## What would change it" in text and "## Who beats whom" in text
    files = csv_files(decided())
    assert set(files) == {"scores.csv", "pairs.csv", "costs.csv"}
    pairs = list(csv.DictReader(io.StringIO(files["pairs.csv"])))
    assert len(pairs) == 30 and pairs[0]["a"] == "base" and pairs[0]["outcome"] == "worse"
    costs = {row["arm"]: row for row in csv.DictReader(io.StringIO(files["costs.csv"]))}
    assert float(costs["lora"]["build_seconds"]) == 212.4 and costs["base"]["artefact_bytes"] == ""
    assert set(csv_files(sample())) == {"scores.csv"}


def test_scores_in_csv_are_those_of_the_summary() -> None:
    rows = list(csv.DictReader(io.StringIO(csv_files(sample())["scores.csv"])))
    mean = sample().summary["splits"]["new"]["arms"]["rag"]["f1"]["mean"]
    [row] = [row for row in rows if (row["part"], row["arm"], row["metric"]) == ("new", "rag", "f1")]
    assert float(row["mean"]) == mean


def test_the_page_of_a_decision_is_the_same_twice() -> None:
    one, two = render_page(decided()), render_page(decided())
    assert one == two and not re.search(r"https?://", one)
