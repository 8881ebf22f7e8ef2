"""From a run and a server's log to what is to be done: the tiny experiment, with questions logged as a server would."""

import json
import re
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.conftest import write_experiment
from tests.monitoring.logged import START, query, said
from workbench.bench import Bench
from workbench.cli import app
from workbench.config import ExperimentConfig, load_config
from workbench.errors import ConfigError, RunMismatchError
from workbench.monitoring import FeedbackLog, QueryLog, pack_embedding
from workbench.monitoring.findings import Action, MonitorReport, State
from workbench.monitoring.page import render_monitor
from workbench.watching import log_folder, read_since, watch_run

ARMS = "arms={rag: {strategy: rag}, reader: {strategy: rag, adapter: reader}}"
QUICK = "monitoring.permutations=199"


@pytest.fixture(scope="module")
def finished(built_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny experiment and its run in `out`. Shared: tests take copies."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(built_home))
        config = load_config(write_experiment(folder), overrides=[ARMS])
        Bench(config, out=folder / "out").evaluate()
    return folder


@pytest.fixture
def place(finished: Path, tiny_home: Path, tmp_path: Path) -> Path:
    """A copy whose config names its own corpus."""
    folder = shutil.copytree(finished, tmp_path / "place")
    path = folder / "experiment.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace(str(finished), str(folder)), encoding="utf-8")
    return folder


def load(place: Path) -> ExperimentConfig:
    return load_config(place / "experiment.yaml", overrides=[ARMS, QUICK])


def serve(place: Path, questions: Sequence[str], *, first: int = 0, **changes: Any) -> None:
    """Log `questions`, one an hour, as the experiment's server would with its embedder."""
    config = load(place)
    bench = Bench(config, out=place / "out")
    embedder = bench.parts.embedder
    with QueryLog(log_folder(config, place / "out"), mode="content") as log:
        for number, text in enumerate(questions, start=first):
            vector = embedder.embed_questions([text])[0]
            seen = {"embedding": pack_embedding(vector), "embedder": embedder.identity.fingerprint, "question": text}
            log.append(query(number, **(seen | changes)))


def watch(place: Path, **options: Any) -> MonitorReport:
    return watch_run(load(place), place / "out", **options)


def test_a_run_without_a_log_and_with_nothing_changed_calls_for_nothing(place: Path) -> None:
    report = watch(place)
    assert report.advice == ()
    assert report.n_logged == 0
    assert {check.state for check in report.checks} <= {State.TOO_FEW, State.NOTHING}
    assert report.stale.since_index is not None and report.stale.since_index.n_touched == 0
    assert report.stale.collection_now == report.stale.collection_before
    (reader,) = report.stale.adapters
    assert reader.same_weights and reader.trained_on
    assert reader.documents is not None and reader.documents.n_touched == 0


def test_documents_that_changed_call_for_an_index_a_training_and_a_measurement(place: Path) -> None:
    (place / "corpus" / "new.md").write_text("# Gondo\n\nThe Gondo gauge is lilac.\n", encoding="utf-8")
    (place / "corpus" / "arvo.md").write_text("# Arvo gauge\n\nThe Arvo gauge is black.\n", encoding="utf-8")
    (place / "corpus" / "belka.md").unlink()
    report = watch(place)
    assert [advice.action for advice in report.advice] == [Action.INDEX, Action.MEASURE]
    assert str(report.stale.since_index) == "1 added, 1 changed, 1 removed"
    config = load_config(place / "experiment.yaml", overrides=[ARMS, "questions.split={new: 0.3}"])
    (place / "questions.jsonl").write_text(
        "".join(
            line + "\n"
            for line in (place / "questions.jsonl").read_text().splitlines()
            if "arvo" not in line.lower() and "belka" not in line.lower()
        )
    )
    Bench(config, out=place / "out").index()
    report = watch(place)
    assert [advice.action for advice in report.advice] == [Action.TRAIN, Action.MEASURE]
    assert "adapter 'reader': 1 added, 1 changed, 1 removed of 6 documents" in report.advice[0].because[0]
    assert "the collection is not the one that was measured: 1 added, 1 changed, 1 removed" in report.advice[1].because


def test_questions_of_another_kind_are_found_and_the_same_are_not(place: Path) -> None:
    asked = [json.loads(line)["text"] for line in (place / "out" / "questions.jsonl").read_text().splitlines()]
    serve(place, asked)
    calm = watch(place)
    assert calm.check("drift_evaluation").p is not None
    assert not any(check.state is State.ALARM for check in calm.checks)
    serve(place, [f"zzz {n} qqq xxyyzz 0{n}9 kkk" * 3 for n in range(30)], first=100)
    report = watch(place, since=START + timedelta(hours=99))
    assert report.n_distinct == 30
    for name in ("drift_evaluation", "drift_training", "drift_earlier"):
        assert report.check(name).state is State.ALARM, name
    assert [advice.action for advice in report.advice] == [Action.TRAIN, Action.MEASURE]


def test_scores_refusals_and_feedback_are_compared_with_the_same_arms(place: Path) -> None:
    serve(place, [f"What is {n}?" for n in range(60)], best_score=-5.0, refused=True)
    config = load(place)
    with FeedbackLog(log_folder(config, place / "out")) as log:
        for number in range(60):
            log.append(said(number, 1 if number % 2 else -1))
    report = watch(place)
    assert report.check("scores").state is State.ALARM
    assert report.check("scores").note == "arm rag"
    before = report.check("scores").before
    cases = [json.loads(line) for line in (place / "out" / "records.jsonl").read_text().splitlines()]
    scores = [case["hits"][0]["score"] for case in cases if case["arm"] == "rag"]
    assert before is not None and before.value == pytest.approx(np.mean(scores))
    refused = report.check("refusals")
    assert refused.state is State.ALARM and refused.now is not None and refused.now.value == 1.0
    liked = report.check("feedback")
    assert liked.now is not None and liked.now.value == 0.5
    assert sum(week.n for week in report.weeks) == sum(week.n_rated for week in report.weeks) == 60


def test_what_cannot_be_compared_is_told(place: Path) -> None:
    serve(place, ["What is it?", "And that?"], embedder="another")
    path = log_folder(load(place), place / "out") / "queries.jsonl"
    path.write_bytes(path.read_bytes() + b'{"format":1,"resp')
    report = watch(place)
    assert report.n_distinct == 0
    assert any("2 embeddings of another embedder" in event for event in report.events)
    assert any("queries.jsonl:3: no QueryRecord, skipped: torn" in event for event in report.events)
    (place / "out" / "documents.json").unlink()
    assert any("made before runs recorded their documents" in note for note in watch(place).stale.notes)
    manifest = place / "out" / "manifest.json"
    manifest.write_text(re.sub(r'"embedder": "[0-9a-f]{64}"', '"embedder": "0000000000000000"', manifest.read_text()))
    with pytest.raises(RunMismatchError, match="was measured with embedder 000000000000"):
        watch(place)


def test_a_folder_without_a_run_is_refused(experiment: Path, tmp_path: Path) -> None:
    with pytest.raises(RunMismatchError, match="holds no finished run"):
        watch_run(load_config(experiment), tmp_path / "nothing")


def test_since_is_a_day_a_time_or_days_back() -> None:
    now = datetime(2026, 5, 31, tzinfo=UTC)
    assert read_since("30d", now=now) == datetime(2026, 5, 1, tzinfo=UTC)
    assert read_since("2026-05-01") == datetime(2026, 5, 1, tzinfo=UTC)
    assert read_since("2026-05-01T12:00:00+02:00") == datetime(2026, 5, 1, 10, tzinfo=UTC)
    with pytest.raises(ConfigError, match="last week"):
        read_since("last week")


def test_the_verb_prints_writes_json_and_a_page_without_words_or_addresses(place: Path) -> None:
    serve(place, [f"What is so secret about {n}?" for n in range(40)])
    arguments = ["monitor", str(place / "experiment.yaml"), "--out", str(place / "out"), "--set", ARMS, "--set", QUICK]
    page = place / "monitor.html"
    shown = CliRunner(env={"COLUMNS": "250"}).invoke(app, [*arguments, "--html", str(page), "--since", "2026-01-01"])
    assert shown.exit_code == 0, shown.output
    for words in ("It is time to", "re-measure", "not enough data", "Holm", "best retrieval score"):
        assert words in " ".join(shown.output.split())
    html = page.read_text(encoding="utf-8")
    assert html.count("<svg") == 4
    assert not re.search(r"https?://(?!doi|www\.w3\.org)", html)
    assert "<script" not in html and "secret" not in html
    found = CliRunner().invoke(app, [*arguments, "--json"])
    report = MonitorReport.model_validate_json(found.stdout)
    assert report.n_logged == 40
    assert render_monitor(report) == render_monitor(report)


def test_corrections_become_a_dataset(tmp_path: Path) -> None:
    log, out = tmp_path / "log", tmp_path / "rows"
    spans = ({"document_id": "arvo.md", "start": 3, "end": 9},)
    with QueryLog(log, mode="content") as queries:
        for number in range(12):
            queries.append(query(number, question=f"What is {number % 11}?", passages=spans))
    with QueryLog(log, mode="measures") as queries:
        queries.append(query(12))
    empty = CliRunner().invoke(app, ["dataset", "from-feedback", str(log), "--out", str(out)])
    assert "nobody gave one" in str(empty.exception)
    with FeedbackLog(log) as feedback:
        feedback.append(said(0, -1, correction="never mind"))
        for number in range(13):  # r11 asks what r0 asks; r12 was logged without words
            feedback.append(said(number, -1, correction=f" it is {number % 11} \n"))
        feedback.append(said(99, -1, correction="of an answer that was not logged"))
        feedback.append(said(5, 1))  # taken back
    done = CliRunner().invoke(app, ["dataset", "from-feedback", str(log), "--out", str(out), "--dev", "0.2"])
    assert done.exit_code == 0, done.output
    from workbench.dataset import read_dataset

    rows = read_dataset(out)
    assert [(row.question, row.completion) for row in rows] == [
        (f"What is {number}?", f"it is {number}") for number in range(11) if number != 5
    ]
    assert {row.generator for row in rows} == {"feedback"}
    assert rows[0].id == "feedback-r0" and rows[0].sources[0].document_id == "arvo.md"
    assert rows.manifest.n_dev == 2
    count = rows.manifest.generators["feedback"]
    assert count.dropped == {"logged_without_words": 1, "not_logged": 1, "said_before": 1}
    assert count.made == 13
    assert "queries.jsonl" in rows.manifest.fingerprints
