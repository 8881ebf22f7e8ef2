"""A dataset from a tiny experiment: which documents give rows, the same bytes twice, and the command line over it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from workbench.bench import Bench
from workbench.cli import app
from workbench.config import load_config
from workbench.curation import build_dataset, convert_rows
from workbench.dataset import read_dataset
from workbench.errors import DatasetError
from workbench.generation.scripted import ScriptedGenerator
from workbench.rows import Task
from workbench.runs import Run
from workbench.types import Split

NEW = {"ester.md", "fjord.md"}  # documents behind the test split `new`
FAST = ("dataset.filters.round_trip=5", "dataset.forms=12")


@pytest.fixture
def bench(experiment: Path, tmp_path: Path) -> Bench:
    return Bench(load_config(experiment, overrides=FAST), out=tmp_path / "out")


def test_rows_come_from_the_documents_that_may_be_trained_on(bench: Bench, tmp_path: Path) -> None:
    said: list[str] = []
    manifest = build_dataset(bench.parts, bench.finder, tmp_path / "d", on_progress=lambda what, _: said.append(what))
    rows = read_dataset(tmp_path / "d")
    assert len(rows) == manifest.n_rows > 50
    assert {row.group for row in rows} == {"arvo.md", "belka.md", "corin.md", "dunel.md"}
    shown = {passage.document_id for row in rows for passage in row.passages}
    assert shown and not shown & NEW
    assert not any(word in row.model_dump_json() for row in rows for word in ("Ester", "Fjord"))
    dev = {row.group for row in rows if row.split is Split.DEV}
    assert len(dev) == 1 and dev.isdisjoint(row.group for row in rows if row.split is Split.TRAIN)
    assert manifest.n_dev == sum(row.split is Split.DEV for row in rows)
    assert manifest.coverage == {"answers": 6, "covered": 6}
    assert all(count.made == count.kept + sum(count.dropped.values()) for count in manifest.generators.values())
    assert {"read", "filter: round_trip", "write"} <= set(said)
    assert {Task.CLOSED_BOOK, Task.READER, Task.TEXT} == {row.task for row in rows}


def test_a_near_copy_of_a_test_question_is_dropped_and_counted(bench: Bench, tmp_path: Path) -> None:
    parts = bench.parts
    build_dataset(parts, bench.finder, tmp_path / "plain")
    asked = next(row.question for row in read_dataset(tmp_path / "plain") if row.generator == "questions")
    object.__setattr__(parts.questions, "test_texts", (asked,))
    manifest = build_dataset(parts, bench.finder, tmp_path / "again")
    assert asked not in [row.question for row in read_dataset(tmp_path / "again")]
    assert sum(count.dropped.get("overlap", 0) for count in manifest.generators.values()) >= 1


def test_all_test_questions_count_for_overlap_whatever_the_limit(experiment: Path, tmp_path: Path) -> None:
    limited = Bench(load_config(experiment, overrides=["questions.limit=1"]), out=tmp_path / "o").parts.questions
    assert len(limited.test) == 2
    assert len(limited.test_texts) == 12


def test_equal_settings_give_equal_bytes_and_another_seed_does_not(experiment: Path, tmp_path: Path) -> None:
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        config = load_config(experiment, overrides=[*FAST, f"seed={seed}"])
        bench = Bench(config, out=tmp_path / ("run-two" if name == "two" else "run"))
        build_dataset(bench.parts, bench.finder, tmp_path / name)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert len(files) == 4
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in files)
    one, three = (read_dataset(tmp_path / name) for name in ("one", "three"))
    assert one.manifest.row_fingerprint != three.manifest.row_fingerprint
    assert str(tmp_path) not in (tmp_path / "one/dataset.json").read_text()


def test_it_serves_as_a_stage_of_a_run(bench: Bench, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")

    def work(folder: Path) -> dict[str, object]:
        return build_dataset(bench.parts, bench.finder, folder / "data").model_dump(mode="json")

    result, reused = run.stage("dataset", "inputs", work)
    assert (result["n_rows"], reused) == (len(read_dataset(tmp_path / "run/dataset/data")), False)
    assert run.stage("dataset", "inputs", work) == (result, True)


def test_replay_and_a_writer_add_rows_and_their_faults_are_told(experiment: Path, tmp_path: Path) -> None:
    general = tmp_path / "general.jsonl"
    lines = [json.dumps({"prompt": f"Say {n}.", "completion": str(n)}) for n in range(60)]
    general.write_text("\n".join(lines))
    overrides = [*FAST, f"dataset.replay_path={general}", "dataset.writer={passages: 4, questions: 1}"]
    bench = Bench(load_config(experiment, overrides=overrides), out=tmp_path / "out")
    writer = ScriptedGenerator(lambda prompt, _: '[{"question": "Where does it cost that?", "answer": "the shop"}]')
    manifest = build_dataset(bench.parts, bench.finder, tmp_path / "d", writer=writer)
    rows = list(read_dataset(tmp_path / "d"))
    assert manifest.generators["replay"].kept == sum(row.generator == "replay" for row in rows) > 5
    assert manifest.generators["writer"].made + sum(manifest.rejects.values()) == 4
    assert {"replay", "corpus", "collection", "template"} <= set(manifest.fingerprints)
    assert "replay_path" not in manifest.config
    general.write_text("\n".join([*lines, "{"]))
    again = Bench(load_config(experiment, overrides=overrides), out=tmp_path / "out")
    with pytest.raises(DatasetError, match=r"general\.jsonl:61"):
        build_dataset(again.parts, again.finder, tmp_path / "e", writer=writer)
    assert not (tmp_path / "e").exists()


def test_the_command_line_builds_shows_and_converts(experiment: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    command = ["dataset", "build", str(experiment), "--out", str(tmp_path / "out"), "--set", "dataset.forms=4"]
    built = runner.invoke(app, command)
    assert built.exit_code == 0, built.output
    assert "generator" in built.output and "kept" in built.output
    assert "6 of 6 answers of training questions stand in a fact (100%)" in built.output
    folder = str(tmp_path / "out/dataset/rows")
    shown = runner.invoke(app, ["dataset", "show", folder, "-n", "2", "--generator", "reader"])
    assert shown.output.count("· reader ·") == 2
    assert "[1] " in shown.output and "Q: " in shown.output
    none = runner.invoke(app, ["dataset", "show", folder, "--generator", "reder"])
    assert isinstance(none.exception, DatasetError)
    assert "no row of generator 'reder'; it has: cloze" in str(none.exception)
    target = tmp_path / "rows.jsonl"
    refused = runner.invoke(app, ["dataset", "convert", folder, str(target), "--to", "chat"])
    assert isinstance(refused.exception, DatasetError)
    assert not target.exists()
    converted = runner.invoke(app, ["dataset", "convert", folder, str(target), "--to", "chat", "--without-text"])
    assert "of plain text left out" in converted.output
    first = json.loads(target.read_text().splitlines()[0])["messages"]
    assert [turn["role"] for turn in first] == ["system", "user", "assistant"]
    back = tmp_path / "alpaca.jsonl"
    assert convert_rows(target, back, "alpaca") == (len(target.read_text().splitlines()), 0)
    with pytest.raises(DatasetError, match="--to csv: no such format; known are prompt, chat"):
        convert_rows(target, back, "csv")
