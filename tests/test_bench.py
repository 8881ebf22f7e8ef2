"""The whole flow on random models: reuse, the same bytes twice, kills, changed documents, and a user's mistakes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import write_experiment
from workbench.bench import Bench
from workbench.config import load_config
from workbench.errors import ConfigError, EmptyCorpusError, MissingModelError, RunMismatchError
from workbench.reporting import compare_run_folders, decide_run, read_run, read_study, write_run_report

ADAPTERS = ("closed_book", "reader")


def run(experiment: Path, out: Path, *overrides: str) -> Path:
    Bench(load_config(experiment, overrides=overrides), out=out).run()
    return out


@pytest.fixture(scope="module")
def finished(built_home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An experiment's config and the folder of its whole run. Shared: tests only read both, and run into copies."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(built_home))
        config = write_experiment(folder)
        return config, run(config, folder / "out")


def test_a_run_writes_what_it_promises_and_is_reused_whole(
    finished: tuple[Path, Path], tiny_home: Path, tmp_path: Path
) -> None:
    experiment, out = finished[0], shutil.copytree(finished[1], tmp_path / "out")
    summary = json.loads((out / "summary.json").read_text())
    assert list(summary["arms"]) == ["base", "rag", "lora", "rag_lora", "rag_reader", "rag_oracle"]
    assert set(summary["arms"]["rag"]["f1"]) == {"mean", "low", "high", "n"}
    assert {"a", "b", "metric", "difference", "low", "high", "p"} <= set(summary["pairs"][0])
    assert summary["costs"]["rag_reader"]["training_tokens"] > 0
    assert summary["costs"]["rag"]["build_seconds"] > 0
    records = [json.loads(line) for line in (out / "records.jsonl").read_text().splitlines()]
    assert {"question_id", "arm", "answer", "scores", "hits", "citations", "costs", "error"} <= set(records[0])
    assert all(record["hits"] for record in records if record["arm"] == "rag")
    assert not any(record["hits"] for record in records if record["arm"] == "lora")
    predictions = (out / "predictions.jsonl").read_text().splitlines()
    assert [set(json.loads(line)) for line in predictions] == [{"question_id", "arm", "answer"}] * len(records)
    assert (out / "report.html").stat().st_size > 10_000
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")} | {
        path: path.stat().st_mtime_ns for path in out.rglob("cases.jsonl")
    }
    run(experiment, out)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_arms_answer_with_every_training_seed_and_a_killed_run_gives_the_same(experiment: Path, tmp_path: Path) -> None:
    arms = "arms={base: {strategy: closed_book}, rag_reader: {strategy: rag, adapter: reader}}"
    whole = run(experiment, tmp_path / "whole", arms, "training.seeds=[1]")
    lines = [json.loads(line) for line in (whole / "predictions.jsonl").read_text().splitlines()]
    seeds = {arm: {line.get("training_seed") for line in lines if line["arm"] == arm} for arm in ("base", "rag_reader")}
    assert seeds == {"base": {None}, "rag_reader": {0, 1}}
    decision = json.loads((whole / "decision.json").read_text())
    assert {pair["n_seeds"] for pair in decision["pairs"]} == {2}
    torn = Path(shutil.copytree(whole, tmp_path / "torn"))
    cases = (torn / "answer/cases.jsonl").read_text().splitlines(keepends=True)
    (torn / "answer/cases.jsonl").write_text("".join(cases[: len(cases) // 2]))
    (torn / "answer/stage.json").unlink()
    (torn / "predictions.jsonl").unlink()
    run(experiment, torn, arms, "training.seeds=[1]")
    assert (torn / "predictions.jsonl").read_bytes() == (whole / "predictions.jsonl").read_bytes()


def test_a_damaged_decision_is_made_again_and_a_damaged_router_is_told(
    finished: tuple[Path, Path], tmp_path: Path
) -> None:
    out = shutil.copytree(finished[1], tmp_path / "out")
    whole = (out / "decision.json").read_bytes()
    (out / "decision.json").write_text("{")
    write_run_report(out)
    assert (out / "decision.json").read_bytes() == whole
    (out / "router.json").write_text("{")
    with pytest.raises(RunMismatchError, match=r"router\.json is damaged"):
        decide_run(out)


def test_a_merged_arm_gives_the_answers_of_the_plain_one(experiment: Path, tmp_path: Path) -> None:
    out = run(
        experiment,
        tmp_path / "merged",
        "training.adapters={plain: {examples: closed_book, recipe: {acts_from: prompt}}}",
        "arms={plain: {strategy: closed_book, adapter: plain}, "
        "merged: {strategy: closed_book, adapter: plain, merged: true}}",
    )
    records = [json.loads(line) for line in (out / "records.jsonl").read_text().splitlines()]
    found = {(record["arm"], record["question_id"]): record["scores"]["gold_logprob"] for record in records}
    asked = {question for _, question in found}
    assert len(found) == 2 * len(asked)
    for question in asked:
        one, other = found["plain", question], found["merged", question]
        assert one is None or one == pytest.approx(other, abs=1e-3)
    assert any(found["plain", question] != found["merged", question] for question in asked)  # rounded into the weights


def test_gates_are_shown_and_damaged_ones_told(finished: tuple[Path, Path], tmp_path: Path) -> None:
    out = shutil.copytree(finished[1], tmp_path / "out")
    assert "Checked after training" not in write_run_report(out).read_text()  # they were off in this run
    folder = next(out.glob("train-*")) / "adapter"
    (folder / "gates.json").write_text('{"results": [{"name": "stops", "status": "pass", "says": "All ended."}]}')
    assert "All ended." in write_run_report(out).read_text()
    (folder / "gates.json").write_text("{}")
    with pytest.raises(RunMismatchError, match=r"gates\.json is damaged .*workbench train CONFIG"):
        write_run_report(out)


def test_a_routed_arm_needs_forty_questions_and_says_so(experiment: Path, tmp_path: Path) -> None:
    arms = "arms={base: {strategy: closed_book}, rag: {strategy: rag}, routed: {strategy: routed}}"
    with pytest.raises(ConfigError, match="at least 40 questions"):
        run(experiment, tmp_path / "few", arms)


def test_a_routed_arm_is_scored_priced_and_judged_like_any_other(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.verdict.routing.FEWEST", 5)
    out = run(
        experiment,
        tmp_path / "routed",
        "arms={base: {strategy: closed_book}, rag: {strategy: rag}, r: {strategy: routed}}",
    )
    records = [json.loads(line) for line in (out / "records.jsonl").read_text().splitlines()]
    asked = {record["question_id"] for record in records if record["arm"] == "rag"}
    assert {record["question_id"] for record in records if record["arm"] == "r"} == asked
    decision = json.loads((out / "decision.json").read_text())
    assert decision["router"]["arms"] == ["base", "rag"] and decision["router"]["n"] < len(asked)
    assert {cost["arm"] for cost in decision["costs"]} == {"base", "rag", "r"}
    assert "Choosing per question" in (out / "report.html").read_text()


def test_a_finished_run_is_judged_again_under_other_wishes(finished: tuple[Path, Path]) -> None:
    recorded = json.loads((finished[1] / "decision.json").read_text())
    other = decide_run(finished[1], overrides=["decision.sources_needed=true"])
    places = {one.arm: one.place for one in other.recommendation.standings}
    assert places["base"] == places["lora"] == "excluded" and places["rag_oracle"] == "control"
    assert json.loads((finished[1] / "decision.json").read_text()) == recorded
    with pytest.raises(ConfigError, match=r"`training\.r` was decided when the run was made"):
        decide_run(finished[1], overrides=["training.r=8"])


def test_two_runs_give_the_same_predictions_byte_for_byte(
    finished: tuple[Path, Path], tiny_home: Path, tmp_path: Path
) -> None:
    first, second = finished[1], run(finished[0], tmp_path / "two")
    assert (first / "predictions.jsonl").read_bytes() == (second / "predictions.jsonl").read_bytes()
    scores = [json.loads((out / "summary.json").read_text()) | {"costs": None} for out in (first, second)]
    assert scores[0] == scores[1]
    pair = compare_run_folders(first, second)
    assert pair.differing == ()
    assert {change.difference.value for change in pair.changes} == {0.0}
    assert {change.part for change in pair.changes} == {"all", "seen", "new"}
    assert not pair.settings and not pair.cautions


def test_a_run_killed_twice_and_continued_gives_the_same_predictions(
    finished: tuple[Path, Path], tiny_home: Path, tmp_path: Path
) -> None:
    experiment, whole = finished
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "workbench", "run", str(experiment), "--out", str(out)]
    for sign in ("train-reader/inputs", "answer/cases.jsonl"):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            deadline = time.monotonic() + 120
            while not (out / sign).exists() and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.005)
            os.kill(process.pid, signal.SIGKILL)
        assert (out / sign).exists(), "the run was killed before it came this far"
        assert not (out / "summary.json").exists(), "the run was over before it could be killed"
    run(experiment, out)
    assert (out / "predictions.jsonl").read_bytes() == (whole / "predictions.jsonl").read_bytes()


def test_a_changed_document_is_embedded_alone_and_what_hangs_on_it_runs_again(experiment: Path, tmp_path: Path) -> None:
    out = run(experiment, tmp_path / "out", "arms={base: {strategy: closed_book}, rag: {strategy: rag}}")
    page = tmp_path / "corpus/fjord.md"
    page.write_text(page.read_text() + "\nIt weighs 4 kilograms.\n")
    (tmp_path / "corpus/new.md").write_text("# Gorm\n\nThe Gorm gauge is grey.\n")
    update = Bench(load_config(experiment), out=out).index()["update"]
    assert (update["added"], update["changed"], update["removed"]) == (("new.md",), ("fjord.md",), ())
    assert update["n_unchanged"] == 5
    assert update["n_embedded"] <= 3


def test_one_question_can_be_asked_and_shows_its_passages(experiment: Path, tmp_path: Path) -> None:
    bench = Bench(load_config(experiment), out=tmp_path / "out")
    bench.index()
    answer = bench.ask("What colour is the Arvo gauge?", arm="rag")
    assert len(answer.prompt.hits) == 2
    with pytest.raises(ConfigError, match=r"no arm 'rag_oracle' can be asked; choose one of: base, rag"):
        bench.ask("What?", arm="rag_oracle")


def test_an_adapter_that_is_not_trained_for_this_config_is_not_asked(experiment: Path, tmp_path: Path) -> None:
    bench = Bench(load_config(experiment), out=tmp_path / "out")
    with pytest.raises(MissingModelError, match="'reader' is not trained for this config"):
        bench.ask("What?", arm="rag_reader")
    bench.train()
    assert bench.ask("What?", arm="rag_reader").generation.prompt_tokens > 0
    other = Bench(load_config(experiment, overrides=["training.r=2"]), out=tmp_path / "out")
    with pytest.raises(MissingModelError, match="'reader' is not trained for this config"):
        other.ask("What?", arm="rag_reader")


def test_a_collection_that_was_removed_is_built_again(experiment: Path, tmp_path: Path) -> None:
    Bench(load_config(experiment), out=tmp_path / "out").index()
    assert Bench(load_config(experiment), out=tmp_path / "out").update_index()[1]
    shutil.rmtree(tmp_path / "out/collection")
    stage, reused = Bench(load_config(experiment), out=tmp_path / "out").update_index()
    assert (reused, len(stage["update"]["added"])) == (False, 6)


def test_a_report_shows_what_was_read_then_even_if_the_corpus_has_changed(experiment: Path, tmp_path: Path) -> None:
    out = run(experiment, tmp_path / "out", "arms={rag: {strategy: rag}}")
    before = write_run_report(out).read_bytes()
    (tmp_path / "corpus/arvo.md").unlink()
    Bench(load_config(experiment), out=out).index()
    assert write_run_report(out).read_bytes() == before


def test_what_changes_no_number_reruns_nothing(finished: tuple[Path, Path], tiny_home: Path, tmp_path: Path) -> None:
    experiment, out = finished[0], shutil.copytree(finished[1], tmp_path / "out")
    stamps = {path: path.read_bytes() for path in out.glob("*/stage.json")}
    config = load_config(experiment, overrides=["training.prefix_cache_gib=1", "generation.prefix_cache_gib=1"])
    ranked = {name: arm.model_copy(update={"control": False}) for name, arm in config.arms.items()}
    Bench(config.model_copy(update={"arms": ranked}), out=out).run()
    assert {path: path.read_bytes() for path in out.glob("*/stage.json")} == stamps
    run(experiment, out, "retrieval.passages=1")
    assert (out / "train-closed_book/stage.json").read_bytes() == stamps[out / "train-closed_book/stage.json"]
    assert (out / "train-reader/stage.json").read_bytes() != stamps[out / "train-reader/stage.json"]


def test_an_unreadable_file_is_reported_and_the_batch_goes_on(experiment: Path, tmp_path: Path) -> None:
    (tmp_path / "corpus/broken.pdf").write_bytes(b"%PDF-1.7 not really")
    out = run(experiment, tmp_path / "out", "arms={rag: {strategy: rag}}")
    assert json.loads((out / "manifest.json").read_text())["counts"]["unreadable_files"] == 1
    assert "broken.pdf" in (out / "report.md").read_text()


def test_an_empty_corpus_is_one_clear_error(experiment: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(EmptyCorpusError, match="no readable document in"):
        run(experiment, tmp_path / "out", f"corpus.path={tmp_path / 'empty'}")


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunMismatchError, match=r"config\.yaml is missing; make it: workbench run CONFIG"):
        write_run_report(tmp_path)


def test_runs_on_different_questions_may_not_be_compared(experiment: Path, tmp_path: Path) -> None:
    arms = "arms={base: {strategy: closed_book}}"
    first = run(experiment, tmp_path / "one", arms)
    second = run(experiment, tmp_path / "two", arms, "questions.limit=1")
    with pytest.raises(RunMismatchError, match="different questions"):
        compare_run_folders(first, second)
    assert read_run(first).name == "small"


def test_questions_on_an_unreadable_document_are_asked_and_missed(experiment: Path, tmp_path: Path) -> None:
    (tmp_path / "corpus/fjord.md").write_bytes(b"\x00\x01\x02")
    out = run(experiment, tmp_path / "out", "arms={rag: {strategy: rag}}")
    summary = json.loads((out / "summary.json").read_text())
    assert summary["failures"][0]["source"] == "fjord.md"
    assert summary["splits"]["new"]["retrieval"]["hit@5"]["mean"] < 1.0


def test_what_retrieval_refuses_is_not_generated_and_is_reported(experiment: Path, tmp_path: Path) -> None:
    arms = "arms={base: {strategy: closed_book}, rag: {strategy: rag}}"
    out = run(experiment, tmp_path / "out", arms, "retrieval.method={kind: lexical}", "retrieval.threshold=1.0")
    summary = json.loads((out / "summary.json").read_text())
    records = [json.loads(line) for line in (out / "records.jsonl").read_text().splitlines()]
    refused = [one for one in records if one["stop_reason"] == "refused"]
    assert {one["arm"] for one in refused} == {"rag"}
    assert {one["answer"] for one in refused} == {"not in the documents"}
    assert 0 < len(refused) < sum(one["arm"] == "rag" for one in records)
    rates = summary["refusals"]["test"]["new"]
    wrong = [one for one in refused if one["split"] == "new" and one["kind"] != "unanswerable"]
    asked = [one for one in records if (one["arm"], one["split"]) == ("rag", "new") and one["kind"] != "unanswerable"]
    assert rates["false_refusals"][0] == len(wrong) / len(asked)
    assert "## Refusals" in (out / "report.md").read_text()
    assert "are answered without the model" in (out / "report.html").read_text()
    plain = run(experiment, tmp_path / "plain", arms)
    assert "refusals" not in json.loads((plain / "summary.json").read_text())


def test_a_race_is_recorded_reported_and_the_same_after_a_kill(
    finished: tuple[Path, Path], tiny_home: Path, tmp_path: Path
) -> None:
    experiment = finished[0]
    racing = ("evaluation.racing.enabled=true", "evaluation.racing.min_questions=5", "evaluation.racing.keep=[base]")
    out = shutil.copytree(finished[1], tmp_path / "out")  # trained; answers are asked again
    run(experiment, out, *racing)
    race = json.loads((out / "race.json").read_text())
    assert race["questions"] >= race["asked"] > 0
    assert read_study(out).race is not None
    assert (out / "report.html").stat().st_size > 10_000
    lines = (out / "answer/cases.jsonl").read_bytes().splitlines(keepends=True)
    (out / "answer/cases.jsonl").write_bytes(b"".join(lines[: len(lines) // 2]))
    (out / "answer/stage.json").unlink()
    predictions = (out / "predictions.jsonl").read_bytes()
    run(experiment, out, *racing)
    assert (out / "predictions.jsonl").read_bytes() == predictions
    assert json.loads((out / "race.json").read_text()) == race
    run(experiment, out)
    assert not (out / "race.json").exists()
    assert read_study(out).race is None
    assert (out / "predictions.jsonl").read_bytes() == (finished[1] / "predictions.jsonl").read_bytes()


def test_a_run_takes_from_another_what_was_done_with_equal_inputs(
    finished: tuple[Path, Path], tiny_home: Path, tmp_path: Path
) -> None:
    second = tmp_path / "second"
    bench = Bench(load_config(finished[0], overrides=["retrieval.passages=1"]), out=second, lenders=[finished[1]])
    assert bench.update_index()[1]  # the same documents: the lender's collection serves
    bench.run()

    def stage(folder: Path, name: str) -> Any:
        return json.loads((folder / f"train-{name}/stage.json").read_text())

    assert stage(second, "closed_book") == stage(finished[1], "closed_book")  # seconds and all: not trained again
    assert stage(second, "reader")["inputs"] != stage(finished[1], "reader")["inputs"]  # it reads fewer passages now


def test_an_adapter_trained_before_is_taken_as_it_is(
    finished: tuple[Path, Path], tiny_home: Path, tmp_path: Path
) -> None:
    overrides = [
        f"training.adapters={{old: {{examples: trained, folder: {finished[1]}/train-reader/adapter}}}}",
        "arms={rag: {strategy: rag}, rag_old: {strategy: rag, adapter: old}}",
    ]
    out = run(finished[0], tmp_path / "out", *overrides)

    def answers(folder: Path, arm: str) -> list[Any]:
        lines = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
        return [line["answer"] for line in lines if line["arm"] == arm]

    assert answers(out, "rag_old") == answers(finished[1], "rag_reader") != []
    costs = json.loads((out / "summary.json").read_text())["costs"]["rag_old"]
    assert costs["training_seconds"] > 0  # of the training whose record lies beside it
    with pytest.raises(MissingModelError, match="holds no trained adapter"):
        run(finished[0], tmp_path / "none", overrides[0].replace("train-reader", "train-nothing"), overrides[1])
    with pytest.raises(ConfigError, match="examples: trained needs folder"):
        load_config(finished[0], overrides=["training.adapters={old: {examples: trained}}"])


def test_arms_with_worked_examples_and_retrievers_of_their_own(experiment: Path, tmp_path: Path) -> None:
    arms = (
        "arms={base: {strategy: closed_book}, shown: {strategy: closed_book, shots: 2}, rag: {strategy: rag}, "
        "words: {strategy: rag, retrieval: {method: {kind: lexical}}}}"
    )
    out = run(experiment, tmp_path / "out", arms)
    records = [json.loads(line) for line in (out / "records.jsonl").read_text().splitlines()]

    def tokens(arm: str) -> list[int]:
        return [record["costs"]["prompt_tokens"] for record in records if record["arm"] == arm]

    assert all(shown > 2 * bare - 60 > bare for shown, bare in zip(tokens("shown"), tokens("base"), strict=True))
    found = {arm: [record["hits"] for record in records if record["arm"] == arm] for arm in ("rag", "words")}
    assert found["rag"] != found["words"]
    summary = json.loads((out / "summary.json").read_text())
    assert set(summary["own_retrieval"]) == {"words"} and "words" in (out / "report.html").read_text()
    before = (out / "answer/cases.jsonl").stat().st_mtime_ns
    run(experiment, out, arms)
    assert (out / "answer/cases.jsonl").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("arm", "told"),
    [
        ("{strategy: closed_book, retrieval: {method: {kind: dense}}}", "has no retrieval of its own"),
        ("{strategy: rag, retrieval: {passages: 3}}", r"unknown key `arms\.a\.retrieval\.passages`"),
        ("{strategy: rag, retrieval: {method: {kind: sparse}}}", r"`arms\.a\.retrieval\.method`"),
        ("{strategy: rag, retrieval: {threshold: fitted}}", "leaves threshold to be fitted"),
    ],
)
def test_an_arms_own_retrieval_is_checked_before_anything_is_done(experiment: Path, arm: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        load_config(experiment, overrides=[f"arms={{a: {arm}}}"])


def test_more_worked_examples_than_there_are_is_refused(experiment: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="wants 60 shots"):
        run(experiment, tmp_path / "out", "arms={a: {strategy: closed_book, shots: 60}}")
