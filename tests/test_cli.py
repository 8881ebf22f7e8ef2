"""The command line: quick to help, one line an error, the right exit codes."""

import subprocess
import sys
from pathlib import Path

import pytest

from workbench.cli import main


def workbench(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "workbench", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        timeout=120,
    )


def test_help_names_every_verb_and_imports_no_torch() -> None:
    result = workbench("--help")
    for verb in ("run", "index", "train", "evaluate", "ask", "report", "compare", "models"):
        assert f" {verb} " in result.stdout
    code = "import sys, workbench.cli; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_typo_in_the_yaml_is_one_line_and_exit_code_1(experiment: Path) -> None:
    experiment.write_text(experiment.read_text() + "trainning: {r: 4}\n")
    result = workbench("run", str(experiment))
    assert result.returncode == 1
    assert result.stderr == f"workbench: {experiment}:11: unknown key `trainning`; did you mean `training`?\n"


def test_a_missing_model_names_the_command_that_brings_it(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "nothing"))
    result = workbench("run", str(experiment), "--out", str(tmp_path / "out"))
    assert result.returncode == 1
    assert "workbench models fetch tiny-random-" in result.stderr.splitlines()[-1]


def test_a_broken_line_of_questions_is_named(experiment: Path, tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    lines = path.read_text().splitlines()
    lines[16] = lines[16].replace('"text"', '"txet"')
    path.write_text("\n".join(lines))
    result = workbench("run", str(experiment), "--out", str(tmp_path / "out"))
    assert result.returncode == 1
    assert "questions.jsonl:17" in result.stderr
    assert not (tmp_path / "out/collection").exists()  # told before any work was done


def test_wrong_usage_is_exit_code_2() -> None:
    assert workbench("run").returncode == 2


def test_the_verbs_work_step_by_step(experiment: Path, tmp_path: Path) -> None:
    out = ("--out", str(tmp_path / "out"))
    assert "6 added" in workbench("index", str(experiment), *out).stdout
    assert "nothing changed" in workbench("index", str(experiment), *out).stdout
    assert "closed_book: " in workbench("train", str(experiment), *out).stdout
    assert "rag_reader" in workbench("evaluate", str(experiment), *out).stdout
    asked = workbench("ask", str(experiment), "What colour is the Arvo gauge?", "--arm", "rag_reader", *out)
    assert asked.returncode == 0
    assert "[1] " in asked.stderr
    assert "report.html" in workbench("report", str(tmp_path / "out")).stdout
    assert "differing: nothing" in workbench("compare", *[str(tmp_path / "out")] * 2).stdout


def test_ctrl_c_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("workbench.models.list_models", interrupted)
    monkeypatch.setattr("sys.argv", ["workbench", "models", "list"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 130
    assert "the same command goes on where it stopped" in capsys.readouterr().err
