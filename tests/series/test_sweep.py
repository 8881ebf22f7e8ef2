"""A sweep on random models: stages done once, resumed after a kill, judged as a hand would, refused when unfit."""

import json
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.conftest import write_experiment
from workbench.bench import Bench
from workbench.cli import app
from workbench.config import SweepPlan, load_config, load_sweep
from workbench.decision import Decision
from workbench.errors import ConfigError, MissingModelError, RunMismatchError
from workbench.joint import decide_folder
from workbench.measured import SweepReport
from workbench.models.catalogue import RandomSource
from workbench.models.random_models import build_random_model
from workbench.models.store import add_folder
from workbench.report.sweep import confirm_command
from workbench.reporting import compare_run_folders, read_run
from workbench.series import measure_sweep
from workbench.verdict.pairs import correct_holm

SWEPT = """
arms:
  base: {strategy: closed_book}
  rag: {strategy: rag}
  rag_reader: {strategy: rag, adapter: reader}
  rag_oracle: {strategy: oracle, control: true}
sweep:
  keys:
    models.generator: [tiny-random-llama, tiny-other]
    retrieval.method:
      words: {kind: lexical}
      both: {kind: fusion}
"""
FOLDERS = [
    f"variants/models.generator={model},retrieval.method={method}"
    for model in ("tiny-random-llama", "tiny-other")
    for method in ("words", "both")
]


@pytest.fixture(scope="module")
def home(built_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A WORKBENCH_HOME with a second random generator."""
    own = tmp_path_factory.mktemp("sweep") / "home"
    shutil.copytree(built_home, own)
    other = own.parent / "other"
    other.mkdir()
    build_random_model(RandomSource(architecture="llama", seed=7), other)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(own))
        add_folder(other, "tiny-other")
        yield own


@pytest.fixture(scope="module")
def config(home: Path) -> Path:
    path = write_experiment(home.parent)
    path.write_text(path.read_text(encoding="utf-8") + SWEPT, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def swept(config: Path) -> Path:
    """The folder of a whole sweep, without its report. Shared: tests run into copies."""
    out = config.parent / "out"
    measure_sweep(load_sweep(config), out)
    return out


@pytest.fixture
def copied(swept: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(swept, tmp_path / "out"))


def plan(config: Path, *keys: str, settings: tuple[str, ...] = ()) -> SweepPlan:
    """The config with other keys to sweep."""
    return load_sweep(config, overrides=["sweep.keys={}", *settings, *(f"sweep.keys.{key}" for key in keys)])


def report(folder: Path) -> SweepReport:
    return SweepReport.model_validate_json((folder / "sweep.json").read_bytes())


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]


def stage(folder: Path, name: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((folder / name / "stage.json").read_text())["result"]
    return result


def test_each_combination_is_a_run_and_every_part_is_done_once(swept: Path) -> None:
    rows = report(swept).variants
    assert [row.folder for row in rows] == FOLDERS
    assert [row.name for row in rows] == [
        "tiny-random-llama, words",
        "tiny-random-llama, both",
        "tiny-other, words",
        "tiny-other, both",
    ]
    first, second, third, fourth = rows
    assert first.lent == {}
    assert second.lent == dict.fromkeys(("index", "answers of base", "answers of rag_oracle"), first.name)
    assert third.lent == {"index": first.name}  # another model: nothing else is the same
    assert fourth.lent == {"index": first.name} | dict.fromkeys(
        ("answers of base", "answers of rag_oracle"), third.name
    )
    embedded = [stage(swept / folder, "index") for folder in FOLDERS]
    assert embedded == [embedded[0]] * 4  # one indexing, seconds and all
    costs = [
        {one["question_id"]: one["costs"] for one in records(swept / folder) if one["arm"] == "base"}
        for folder in FOLDERS
    ]
    assert costs[0] == costs[1] != costs[2] == costs[3]  # asked once a model


def test_arms_that_the_values_do_not_touch_are_one_arm(swept: Path) -> None:
    arms = [row.arms for row in report(swept).variants]
    assert [one["base"] for one in arms] == ["base · tiny-random-llama"] * 2 + ["base · tiny-other"] * 2
    assert [one["rag"] for one in arms] == [f"rag · {row.name}" for row in report(swept).variants]
    decision = decide_folder(swept)
    places = {one.arm: one.place for one in decision.recommendation.standings}
    assert len(places) == 2 + 4 + 4 + 2
    assert {arm for arm, place in places.items() if place == "control"} == {
        "rag_oracle · tiny-random-llama",
        "rag_oracle · tiny-other",
    }


def test_the_joint_decision_is_what_a_hand_computes_from_the_records(swept: Path) -> None:
    scores: dict[str, dict[str, float]] = {}
    for row in report(swept).variants:
        for one in records(swept / row.folder):
            if one["scores"]["f1"] is not None and one["arm"] != "rag_oracle":
                scores.setdefault(row.arms[one["arm"]], {})[one["question_id"]] = one["scores"]["f1"]
    decision = decide_folder(swept)
    pairs = [pair for pair in decision.pairs if pair.part == "all"]
    assert {(pair.a, pair.b) for pair in pairs} == {
        (a, b) for place, a in enumerate(_order(decision)) for b in _order(decision)[place + 1 :]
    }
    assert len(pairs) == 10 * 9 // 2
    for pair in pairs:
        gaps = [scores[pair.a][id_] - scores[pair.b][id_] for id_ in scores[pair.a]]
        assert pair.n == len(gaps) and pair.difference.value == pytest.approx(fmean(gaps), abs=1e-9)
    assert [pair.p_holm for pair in pairs] == correct_holm([pair.p for pair in pairs])
    for standing in decision.recommendation.standings:
        if standing.place != "control":
            assert standing.score.value == pytest.approx(fmean(scores[standing.arm].values()))


def _order(decision: Decision) -> list[str]:
    return [one.arm for one in decision.recommendation.standings if one.place != "control"]


def test_a_planted_winner_is_recommended_and_equal_variants_are_not(copied: Path) -> None:
    """Answers written into the records: the second model reads rightly, the first never; the methods do not matter."""
    for folder in FOLDERS:
        path, right = copied / folder / "records.jsonl", "tiny-other" in folder
        lines = records(copied / folder)
        for one in lines:
            value = float(right and one["arm"] == "rag")
            if one["scores"]["f1"] is not None:
                one["scores"] |= {"f1": value, "contains": value, "exact_match": value}
            one["costs"]["seconds"] = 0.1
        # As many questions as it takes for a verdict: each once more under ten names.
        more = [one | {"question_id": f"{one['question_id']}-{n}"} for one in lines for n in range(10)]
        path.write_text("".join(json.dumps(one) + "\n" for one in more))
        asked = [json.loads(line) for line in (copied / folder / "questions.jsonl").read_text().splitlines()]
        repeated = [
            one | {"id": f"{one['id']}-{n}", "text": f"{one['text']} ({n} {chr(97 + n) * 9})"}
            for one in asked
            for n in range(10)
        ]
        (copied / folder / "questions.jsonl").write_text("".join(json.dumps(one) + "\n" for one in repeated))
    decision = decide_folder(copied, overrides=["evaluation.margin=0.05", "evaluation.resamples=2000"])
    rulings = {(pair.a, pair.b): pair.outcome.value for pair in decision.pairs if pair.part == "all"}
    words, both = "rag · tiny-other, words", "rag · tiny-other, both"
    assert rulings[words, both] == "equivalent"
    assert rulings["rag · tiny-random-llama, words", words] == "worse"
    assert decision.recommendation.arm is None or decision.recommendation.arm in (words, both)
    standings = {one.arm: one for one in decision.recommendation.standings}
    assert standings[words].score.value == standings[both].score.value == 1.0
    assert decision.selection is not None and set(decision.selection.picked) == {words, both}


def test_a_killed_sweep_goes_on_where_it_was_with_a_value_more(copied: Path, config: Path) -> None:
    last = copied / FOLDERS[-1]
    whole = (last / "predictions.jsonl").read_bytes()
    cases = (last / "answer/cases.jsonl").read_text().splitlines(keepends=True)
    (last / "answer/stage.json").unlink()
    (last / "answer/cases.jsonl").write_text("".join(cases[: len(cases) * 2 // 3]) + '{"question_id": "torn')
    for name in ("predictions.jsonl", "records.jsonl", "manifest.json"):
        (last / name).unlink()
    (copied / "sweep.json").unlink()
    others = {path: path.stat().st_mtime_ns for path in copied.rglob("cases.jsonl") if last not in path.parents}
    trained = {path: path.stat().st_mtime_ns for path in copied.rglob("*.safetensors")}
    methods = "retrieval.method={words: {kind: lexical}, both: {kind: fusion}, wide: {kind: fusion, pool: 60}}"
    found = measure_sweep(plan(config, "models.generator=[tiny-random-llama, tiny-other]", methods), copied)
    assert (last / "predictions.jsonl").read_bytes() == whole
    assert {path: path.stat().st_mtime_ns for path in others} == others
    assert {path: path.stat().st_mtime_ns for path in trained} == trained
    by_name = {row.name: row for row in found.variants}
    assert len(by_name) == 6 and set(by_name) > {"tiny-random-llama, wide", "tiny-other, wide"}
    assert by_name["tiny-other, both"].lent["answers of base"] == "tiny-other, words"
    assert by_name["tiny-other, wide"].lent["answers of base"] == "tiny-other, words"


def test_the_report_opens_with_the_answer_and_shows_every_variant(copied: Path) -> None:
    result = CliRunner().invoke(app, ["report", str(copied)], catch_exceptions=False)
    assert result.stdout == f"report: {copied}/report.html\n"
    page, text = (copied / "report.html").read_text(), (copied / "report.md").read_text()
    sentence = decide_folder(copied).recommendation.sentence
    assert sentence.replace("*", "") in text.split("\n\n")[1].replace("*", "")
    for told in (
        "Variants: F1 of each arm",
        "Variants: seconds a question + seconds to build",
        "= tiny-random-llama, words",
        "tiny-random-llama, both took from tiny-random-llama, words: index, answers of base, answers of rag_oracle.",
        "On random four fifths of the",
        "Holm's correction covers the comparisons, not the winner's own score",
        "rag_reader · tiny-other, both",
    ):
        assert told in text, told
        assert told.replace("'", "&#39;") in page, told
    assert "http" not in page.replace("http-equiv", "")
    assert "adapter reader" in text and "known" not in {one.part for one in decide_folder(copied).strata}


def test_the_verbs_work_on_a_sweep(copied: Path, config: Path, tmp_path: Path) -> None:
    def run(*words: str) -> Any:
        return CliRunner().invoke(app, list(words), catch_exceptions=False)

    asked = Decision.model_validate_json(
        run("recommend", str(copied), "--json", "--set", "decision.sources_needed=true").stdout
    )
    excluded = {one.arm for one in asked.recommendation.standings if one.place == "excluded"}
    assert excluded == {"base · tiny-random-llama", "base · tiny-other"}
    with pytest.raises(ConfigError, match=r"`training\.r` was decided when the run was made"):
        run("recommend", str(copied), "--set", "training.r=2")
    one, other = (str(copied / folder) for folder in FOLDERS[:2])
    assert "scores may be compared" in run("compare", one, other).stdout
    with pytest.raises(RunMismatchError, match="holds a sweep, not a run; its runs are in"):
        compare_run_folders(copied, Path(one))
    with pytest.raises(ConfigError, match="there is no such folder"):
        run("sweep", str(config), "--out", str(tmp_path / "new"), "--lend", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match=r"unknown key `training\.rr`; did you mean `r`\?"):
        run("sweep", str(config), "--out", str(tmp_path / "new"), "--set", "sweep.keys.training.rr=[1, 2]")
    assert not (tmp_path / "new").exists()


def test_runs_that_are_not_the_sweeps_own_are_refused(copied: Path, config: Path) -> None:
    manifest = copied / FOLDERS[1] / "manifest.json"
    whole = manifest.read_text()
    for name, told in (
        ("config", "was run with other settings"),
        ("corpus", "has other corpus"),
        ("test_questions", "has other test questions"),
    ):
        changed = json.loads(whole)
        changed["fingerprints"][name] = "0" * 64
        manifest.write_text(json.dumps(changed))
        with pytest.raises(RunMismatchError, match=f"{told}.*workbench sweep CONFIG --out"):
            decide_folder(copied)
    manifest.unlink()
    with pytest.raises(RunMismatchError, match="holds no finished run"):
        decide_folder(copied)
    (copied / "sweep.json").write_text("{")
    with pytest.raises(RunMismatchError, match=r"sweep\.json is damaged .*workbench sweep CONFIG"):
        decide_folder(copied)


def test_what_cannot_run_is_refused_before_anything_has(config: Path, swept: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingModelError):
        measure_sweep(plan(config, "models.generator=[tiny-random-llama, nobody]"), tmp_path / "out")
    assert not list((tmp_path / "out").rglob("stage.json"))
    run = swept / FOLDERS[0]
    with pytest.raises(ConfigError, match="holds a run; a sweep needs a folder of its own"):
        measure_sweep(load_sweep(config), run)


def test_a_collection_is_lent_as_it_is_or_not_at_all(config: Path, swept: Path, tmp_path: Path) -> None:
    """Chunks of two sizes × two recipes: two collections, each built whole and lent to the one that is the same."""
    arms = "arms={rag: {strategy: rag}, lora: {strategy: closed_book, adapter: closed_book}}"
    keys = ("chunking.max_tokens=[64, 24]", "training.epochs=[1, 2]")
    out = tmp_path / "out"
    found = measure_sweep(plan(config, *keys, settings=(arms,)), out, lenders=[swept / FOLDERS[0]])
    stages = [stage(out / row.folder, "index") for row in found.variants]
    assert stages[0] == stages[1] == stage(swept / FOLDERS[0], "index")  # --lend
    assert stages[2] == stages[3] != stages[0]
    assert stages[2]["update"]["n_embedded"] == stages[2]["update"]["n_chunks"] > stages[0]["update"]["n_chunks"]
    adapters = [row.lent.get("train-closed_book") for row in found.variants]
    assert adapters == [
        None,
        None,
        found.variants[0].name,
        found.variants[1].name,
    ]  # the facts are learnt without chunks
    assert [row.arms["lora"] for row in found.variants] == ["lora · epochs 1", "lora · epochs 2"] * 2
    for row in found.variants:
        bench = Bench(load_config(out / row.folder / "config.yaml"), out=out / row.folder)
        assert bench.update_index()[1]  # an ordinary run: the stage and the collection belong together


def test_the_command_that_confirms_the_winner_runs_as_it_stands(
    swept: Path, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = [json.loads(line) for line in (config.parent / "questions.jsonl").read_text().splitlines()]
    fresh = [one | {"split": "new", "id": f"fresh-{one['id']}"} for one in asked if one["split"] == "train"]
    Path("FRESH.jsonl").write_text("".join(json.dumps(one) + "\n" for one in fresh))
    arm = "rag_reader · tiny-other, both"
    settings = read_run(swept / FOLDERS[3]).summary["settings"]["rag_reader"]
    command = confirm_command(report(swept), arm, settings, folder=str(swept))
    words = shlex.split(command.partition("workbench ")[2])
    words[words.index("--out") + 1] = str(tmp_path / "confirmed")
    assert CliRunner().invoke(app, words, catch_exceptions=False).exit_code == 0
    answered = records(tmp_path / "confirmed")
    assert {one["arm"] for one in answered} == {"rag_reader"} and len(answered) == len(fresh)
    manifest = json.loads((tmp_path / "confirmed/manifest.json").read_text())
    ours = json.loads((swept / FOLDERS[3] / "manifest.json").read_text())
    assert manifest["fingerprints"]["adapters"] == ours["fingerprints"]["adapters"]
