"""The README's examples run as they stand."""

import re
import shlex
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from workbench.cli import app
from workbench.config import TrainingConfig

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return README.split(f"## {title}\n")[1].split("\n## ")[0]


def fenced(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


@pytest.fixture
def checkout(tmp_path: Path, tiny_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that looks like the repository's root, with runs/ of its own."""
    for name in ("configs", "data"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.timeout(900)
def test_the_series_run_as_they_stand(checkout: Path) -> None:
    for name in ("tiny-random-llama", "tiny-random-bert"):
        assert CliRunner().invoke(app, ["models", "fetch", name]).exit_code == 0
    (commands,) = fenced(section("The verdict"), "bash")
    lines = [words for line in commands.splitlines() if (words := shlex.split(line, comments=True))]
    assert {words[1] for words in lines} == {"freshness", "scaling", "learning-curve"}
    for words in lines:
        result = CliRunner().invoke(app, words[1:], catch_exceptions=False)
        assert result.exit_code == 0, (words, result.output)


@pytest.mark.timeout(900)
def test_the_steps_and_the_python_example_run_as_they_stand(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (commands,) = fenced(section("Step by step"), "bash")
    lines = [words for line in commands.splitlines() if (words := shlex.split(line, comments=True))]
    assert {words[1] for words in lines} == {
        "models",
        "index",
        "train",
        "evaluate",
        "report",
        "ask",
        "run",
        "recommend",
        "compare",
    }
    for words in lines:
        assert words[0] == "workbench"
        result = CliRunner().invoke(app, words[1:], catch_exceptions=False)
        assert result.exit_code == 0, (words, result.output)
    assert (checkout / "runs/tiny/report.html").exists()
    (example,) = fenced(section("Step by step"), "python")
    exec(compile(example, "README.md", "exec"), {})
    assert "['" in capsys.readouterr().out


def test_the_lines_about_a_knowledge_base_run_as_they_stand(checkout: Path) -> None:
    (commands,) = fenced(section("A knowledge base on its own"), "bash")
    lines = [words for line in commands.splitlines() if (words := shlex.split(line, comments=True))]
    verbs = {"sync", "search", "status", "delete", "purge", "verify", "repair", "export", "import"}
    assert {words[1] for words in lines} == verbs
    for words in lines:
        result = CliRunner().invoke(app, words[1:], catch_exceptions=False)
        assert result.exit_code == 0, (words, result.output)
    assert (checkout / "copy/library.yaml").exists()


def test_the_two_commands_exist_and_are_what_ci_runs() -> None:
    (commands,) = fenced(section("Two commands"), "bash")
    for words in map(shlex.split, commands.splitlines()):
        assert (ROOT / words[0]).stat().st_mode & 0o111
    assert "./scripts/check" in (ROOT / ".ci/run").read_text(encoding="utf-8")


def test_the_tree_names_every_room() -> None:
    tree = section("The house")
    rooms = {path.name for path in (ROOT / "workbench").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert not [room for room in rooms if f"{room}/" not in tree]


def test_the_example_questions_are_valid(tmp_path: Path) -> None:
    from workbench.evaluation import load_questions

    (example,) = fenced(section("Your own corpus"), "json")
    path = tmp_path / "questions.jsonl"
    path.write_text(example.replace("\n", " "), encoding="utf-8")
    assert load_questions(path).questions[0].answers == ("1,430 crowns",)


def test_the_example_config_is_valid(tmp_path: Path) -> None:
    from workbench.config import load_config

    (example,) = fenced(section("Your own corpus"), "yaml")
    (tmp_path / "mine.yaml").write_text(example, encoding="utf-8")
    assert load_config(tmp_path / "mine.yaml").name == "mine"


def test_the_training_example_is_valid() -> None:
    (example,) = fenced(section("Training"), "yaml")
    training = TrainingConfig.model_validate(YAML(typ="safe").load(example)["training"])
    assert len(training.combinations("reader")) == 3
    assert training.recipe("closed_book").keep == "last"


def test_the_verdicts_settings_are_an_experiments(tmp_path: Path) -> None:
    from workbench.config import load_config

    for number, example in enumerate(fenced(section("The verdict"), "yaml")):
        path = tmp_path / f"{number}.yaml"
        path.write_text(f"name: x\nquestions: {{path: q.jsonl}}\n{example}", encoding="utf-8")
        assert load_config(path).evaluation.ranked_by == "f1"
    assert number == 2
