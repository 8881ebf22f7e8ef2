"""The verb over the tiny experiment: every part is measured, nothing secret is told, the exit code says stop or go."""

import json
import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from tests.audit.rows import chat, closed, span
from workbench.audit import blocking_findings
from workbench.auditing import audit_rows, read_rows
from workbench.cli.auditing import audit
from workbench.errors import DatasetError, QuestionFileError
from workbench.rows import DatasetRow
from workbench.runs import to_lines

app = typer.Typer()
app.command()(audit)


def rows_of(tmp_path: Path, *more: DatasetRow) -> Path:
    rows = [
        closed("a", "What colour is the Belka gauge's lid?", "teal", sources=(span("belka.md"),), group="belka.md"),
        closed(
            "b", "Where does one keep the Corin gauge?", "on a shelf", sources=(span("corin.md"),), group="corin.md"
        ),
        chat("c", "Tell me about the Belka gauge.", "It is teal.", group="belka.md"),
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text(to_lines([*rows, *more]), encoding="utf-8")
    return path


def test_a_clean_dataset_passes_and_everything_is_measured(experiment: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    result = CliRunner().invoke(
        app,
        [str(rows_of(tmp_path)), "--config", str(experiment), "--out", str(page), "--set", "training.max_tokens=2000"],
    )
    assert result.exit_code == 0, result.output
    assert "Nothing stops a training" in result.output
    assert "teal" in result.output  # the mask, token by token
    record = json.loads(page.with_suffix(".json").read_text())
    assert record["coverage"]["n_touched_documents"] == 2
    assert (record["lengths"]["n_rows"], record["lengths"]["max_tokens"]) == (3, 2000)
    assert [row["row"] for row in record["shown"]] == ["a", "c", "b"]
    assert ["coverage of chunks" in reason for reason in record["not_checked"]] == [True]
    html = page.read_text(encoding="utf-8")
    assert html.count('class="learned"') == sum(row["n_learned"] for row in record["shown"])
    assert re.findall(r"(?:src|href|url)\s*[=(]\s*[\"']?(?!#)", html) == []
    assert "http" not in html.replace("http-equiv", "")


def test_secrets_and_leaks_stop_it_without_being_shown(experiment: Path, tmp_path: Path) -> None:
    path = rows_of(
        tmp_path,
        closed("s", "Which password opens it?", "password=Copper1987!"),
        closed("s2", "Which password opens it?", "password=Falcon1999!"),
        closed("l", "What colour is the Ester gauge?", "cobalt", sources=(span("ester.md"),)),
    )
    result = CliRunner().invoke(app, [str(path), "--config", str(experiment), "--allow", "password"])
    assert result.exit_code == 1
    record_path = path.with_name("rows-audit.json")
    record = json.loads(record_path.read_text())
    severity = {issue["kind"]: issue["severity"] for issue in record["issues"]}
    assert severity["password"] == "note"
    assert severity["leak_exact"] == severity["leak_document"] == "blocking"
    assert {(leak["how"], leak["row_id"], leak["other"]) for leak in record["leaks"]} >= {("document", "l", "ester.md")}
    written = record_path.read_text() + record_path.with_suffix(".html").read_text() + result.output
    assert "copper1987" not in re.sub(r"[^a-z0-9]", "", re.sub(r"</?span[^>]*>", "", written.lower()))


def test_without_a_config_the_rows_themselves_are_checked(tmp_path: Path) -> None:
    report = audit_rows(read_rows(rows_of(tmp_path, closed("e", "Whose is it?", "ann@tarn.io"))), source="mine")
    assert [issue.kind for issue in blocking_findings(report)] == ["email"]
    assert blocking_findings(report, allow=["email"]) == []
    assert len(report.not_checked) == 1
    result = CliRunner().invoke(app, [str(rows_of(tmp_path))])
    assert (result.exit_code, "not checked: leakage" in result.output) == (0, True)


def test_warnings_stop_it_where_it_is_strict(tmp_path: Path) -> None:
    path = rows_of(tmp_path, closed("d", "What colour is the Belka gauge's lid?", "amber"))
    assert CliRunner().invoke(app, [str(path)]).exit_code == 0
    assert CliRunner().invoke(app, [str(path), "--strict"]).exit_code == 1


def test_what_is_no_dataset_is_refused_by_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"id": "a", "task": "closed_book", "completion": "x", "generator": "g"}\n', encoding="utf-8")
    with pytest.raises(QuestionFileError, match=r"bad\.jsonl:1: line: .*needs `question`"):
        read_rows(path)
    with pytest.raises(DatasetError, match="holds no dataset"):
        read_rows(tmp_path)
    with pytest.raises(QuestionFileError, match="does not exist"):
        read_rows(tmp_path / "none")


def test_a_file_of_other_trainers_is_audited_too(tmp_path: Path) -> None:
    path = tmp_path / "chat.jsonl"
    turns = [{"role": "user", "content": "Whose is it?"}, {"role": "assistant", "content": "ann@tarn.io"}]
    path.write_text(json.dumps({"messages": turns}) + "\n", encoding="utf-8")
    rows = read_rows(path)
    assert [row.completion for row in rows] == ["ann@tarn.io"]
    assert audit_rows(rows, source="chat").scan.row_ids == {rows[0].id}
    path.write_text('{"sentence": "nothing known"}\n', encoding="utf-8")
    with pytest.raises(DatasetError, match="the first record has sentence; known are"):
        read_rows(path)
