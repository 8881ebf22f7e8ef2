"""The three series on random models: what they write, reuse and refuse, and where their figures are shown."""

import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import write_experiment
from workbench.bench import Bench
from workbench.config import load_config
from workbench.errors import ConfigError, RunMismatchError
from workbench.measured import FreshnessReport, LearningReport, ScalingReport, UpdateRow
from workbench.reporting import decide_run, write_run_report
from workbench.series import measure_freshness, measure_learning_curve, measure_scaling
from workbench.series.freshness import _rates
from workbench.types import CaseRecord, Question, Split

SETTINGS = ["freshness.shares=[0.2]", "scaling.factors=[1, 2]", "learning_curve.shares=[0.25, 0.5]"]


@pytest.fixture(scope="module")
def measured(built_home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An experiment and the folder of its run with all three series. Shared: tests run into copies."""
    folder = tmp_path_factory.mktemp("series")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(built_home))
        config, out = write_experiment(folder), folder / "out"
        bench(config, out).run()
        for measure in (measure_freshness, measure_scaling, measure_learning_curve):
            measure(bench(config, out))
        write_run_report(out)
    return config, out


def bench(config: Path, out: Path, *overrides: str) -> Bench:
    return Bench(load_config(config, overrides=[*SETTINGS, *overrides]), out=out)


def test_freshness_follows_every_arm_and_trains_again_what_holds_facts(measured: tuple[Path, Path]) -> None:
    report = FreshnessReport.model_validate_json((measured[1] / "freshness.json").read_bytes())
    rows = {(row.arm, row.share, row.trained_again): row for row in report.rows}
    assert {arm for arm, _, _ in rows} == {"base", "rag", "lora", "rag_lora", "rag_reader"}
    assert {arm for arm, _, again in rows if again} == {"lora", "rag_lora"}  # a reader learnt to read
    assert rows["base", 0.2, False].seconds_to_fresh == 0
    assert rows["rag", 0.2, False].index_seconds > 0 == rows["rag", 0.2, False].training_seconds
    assert rows["lora", 0.2, True].training_seconds > 0 == rows["lora", 0.2, False].training_seconds
    assert rows["rag", 0.0, False].changed_stale is None and rows["rag", 0.2, False].changed_stale is not None
    assert report.seconds_to_follow("lora") == rows["lora", 0.2, True].seconds_to_fresh
    assert report.seconds_to_follow("nobody") is None


def test_the_updated_index_embeds_only_what_changed(measured: tuple[Path, Path]) -> None:
    update = json.loads((measured[1] / "freshness/after-0.2/index/stage.json").read_text())["result"]["update"]
    assert [len(update[key]) for key in ("added", "changed", "removed")] == [1, 1, 1]
    assert update["n_embedded"] == 2


def test_what_following_takes_is_the_measured_figure_in_the_decision(measured: tuple[Path, Path]) -> None:
    report = FreshnessReport.model_validate_json((measured[1] / "freshness.json").read_bytes())
    costs = {one.arm: one.update_seconds for one in decide_run(measured[1]).costs}
    assert costs["lora"] == report.seconds_to_follow("lora") and costs["rag"] == report.seconds_to_follow("rag")


def test_scaling_asks_the_same_of_every_size(measured: tuple[Path, Path]) -> None:
    report = ScalingReport.model_validate_json((measured[1] / "scaling.json").read_bytes())
    assert {(row.factor, row.documents) for row in report.rows} == {(1, 3), (2, 6)}
    assert len({row.score.n for row in report.rows}) == 1
    assert all((row.found is None) == (row.arm in ("base", "lora")) for row in report.rows)


def test_a_learning_curve_has_every_part_and_the_whole(measured: tuple[Path, Path]) -> None:
    report = LearningReport.model_validate_json((measured[1] / "learning_curve.json").read_bytes())
    assert [curve.arm for curve in report.curves] == ["lora", "rag_lora", "rag_reader"]
    whole = json.loads((measured[1] / "train-closed_book/stage.json").read_text())["result"]["rows_made_by"]
    sizes = [point.examples for point in report.curves[0].points]
    assert sizes == [round(sum(whole.values()) * share) for share in (0.25, 0.5, 1)]


def test_a_series_is_reused_and_reported(measured: tuple[Path, Path], tiny_home: Path, tmp_path: Path) -> None:
    out = shutil.copytree(measured[1], tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in out.rglob("cases.jsonl")}
    measure_freshness(bench(measured[0], out))
    measure_scaling(bench(measured[0], out))
    assert {path: path.stat().st_mtime_ns for path in before} == before
    page = write_run_report(out).read_text()
    for told in ("Freshness: what each arm answers", "Scaling: the same questions", "How many examples?"):
        assert told in page
    for caption in (
        "Changed facts answered as they are now",
        "Score as the corpus grows",
        "Score as the examples grow",
    ):
        assert f"<figcaption>{caption}" in page
    assert "workbench freshness CONFIG" not in page  # the decision table has its figures now
    (out / "scaling.json").write_text("{")
    with pytest.raises(RunMismatchError, match=r"scaling\.json is damaged .*workbench scaling CONFIG"):
        write_run_report(out)


def test_other_documents_make_the_corpus_grow(experiment: Path, tmp_path: Path) -> None:
    others = tmp_path / "others"
    others.mkdir()
    for number in range(6):
        (others / f"{number}.md").write_text(f"# Lamp {number}\n\nThe lamp number {number} is bright.\n")
    arms = "arms={rag: {strategy: rag}}"
    grown = measure_scaling(bench(experiment, tmp_path / "out", arms, f"scaling.distractors={others}"))
    assert [row.documents for row in grown.rows] == [6, 12] and grown.distractors == "documents of others"
    with pytest.raises(ConfigError, match=r"so 12 others, but .* holds 6"):
        measure_scaling(
            bench(experiment, tmp_path / "out", arms, f"scaling.distractors={others}", "scaling.factors=[1, 3]")
        )


def test_a_series_without_anything_to_follow_says_so(experiment: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="arms that compete"):
        measure_freshness(bench(experiment, tmp_path / "a", "arms={rag: {strategy: rag, control: true}}"))
    with pytest.raises(ConfigError, match="an arm whose adapter is trained here"):
        measure_learning_curve(bench(experiment, tmp_path / "b", "arms={rag: {strategy: rag}}"))
    with pytest.raises(ConfigError, match="leave 1 of 6 documents"):
        measure_scaling(bench(experiment, tmp_path / "c", "arms={rag: {strategy: rag}}", "scaling.factors=[1, 4]"))


def test_stale_right_and_leaked_are_told_apart() -> None:
    def case(number: int, kind: str, answer: str) -> CaseRecord:
        return CaseRecord(
            question_id=f"{number}",
            arm="a",
            split=Split.SEEN,
            kind=kind,
            answer=answer,
            hits=(),
            citations=(),
            scores={},
        )

    said = ("It is red.", "It is teal.", "It was teal, now red.", "no idea")
    records = [case(number, "changed", answer) for number, answer in enumerate(said)]
    records += [case(4, "deleted", "teal"), case(5, "deleted", "gone")]
    questions = {str(n): Question(id=str(n), text="?", answers=("red",) if n < 4 else ("teal",)) for n in range(6)}
    rates = _rates(records, questions, {str(n): ("teal",) for n in range(6)}, after=True, confidence=0.95)
    shares = {name: None if rate is None else (rate.value, rate.n) for name, rate in rates.items()}
    assert shares == {
        "changed_right": (0.5, 4),
        "changed_stale": (0.25, 4),
        "added_right": None,
        "deleted_leaked": (0.5, 2),
        "kept_right": None,
    }


def test_what_an_arm_takes_is_read_at_the_nearest_share() -> None:
    rows = tuple(
        UpdateRow(arm="a", share=share, trained_again=again, index_seconds=1.0, training_seconds=spent)
        for share, again, spent in ((0.01, True, 5.0), (0.1, False, 0.0), (0.1, True, 7.0), (0.5, True, 9.0))
    )
    report = FreshnessReport(documents=9, touched={}, confidence=0.95, rows=rows)
    assert [report.seconds_to_follow("a", share=share) for share in (0.0, 0.1, 0.4)] == [6.0, 8.0, 10.0]
