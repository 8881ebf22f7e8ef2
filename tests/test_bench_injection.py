"""The benchmark of facts into weights: what is asked stands in no row, and a flat line is not told to rise."""

import json
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent.parent / "scripts"
sys.path.insert(0, str(SCRIPTS))

import bench_injection  # noqa: E402
from injection_bench.table import tell_trend  # noqa: E402

from workbench.dataset import read_dataset  # noqa: E402
from workbench.types import Split  # noqa: E402

pytestmark = pytest.mark.usefixtures("tiny_home")


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    tiny = SCRIPTS.parent / "configs" / "tiny.yaml"
    monkeypatch.setattr("sys.argv", ["bench_injection", "--config", str(tiny), *map(str, arguments)])
    monkeypatch.chdir(SCRIPTS.parent)
    return bench_injection.main()


def test_a_short_run_asks_in_a_wording_that_no_row_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--facts", 4, "--sights", 2, "--forms", "1,2", "--out", tmp_path) == 0
    asked = {json.loads(line)["text"] for line in (tmp_path / "questions.jsonl").read_text().splitlines()}
    assert len(asked) == 4
    for n in (1, 2):
        rows = [row for row in read_dataset(tmp_path / f"rows-{n}") if row.split is Split.TRAIN]
        assert len(rows) == 4 * n
        assert not asked & {row.question for row in rows}
    told = capsys.readouterr().out
    assert all(f"\n{arm} " in told for arm in ("base", "forms_01", "forms_02", "text"))


def test_forms_that_would_be_seen_unequally_often_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--sights", 10, "--forms", "4", "--out", tmp_path) == 1
    assert "--forms 4 is over 12 or does not divide --sights 10" in capsys.readouterr().err


def test_no_epochs_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--epochs", 0, "--out", tmp_path) == 1
    assert "--epochs 0 is below 1" in capsys.readouterr().err


def test_every_wording_may_be_seen_equally_often_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--facts", 4, "--epochs", 1, "--forms", "1,3", "--out", tmp_path) == 0
    assert "4 facts, each wording seen 1 times" in capsys.readouterr().out
    trained = json.loads((tmp_path / "run" / "training.json").read_text())
    assert len(trained["forms_03"]["steps"]) > len(trained["forms_01"]["steps"])


@pytest.mark.parametrize(("values", "told"), [
    ([1.0, 2.0, 3.0], "rises with every step"),
    ([0.0, 0.0, 0.0], "never falls, but does not rise with every step"),
    ([1.0, 3.0, 2.0], "falls somewhere"),
])  # fmt: skip
def test_a_flat_line_does_not_rise(values: list[float], told: str) -> None:
    assert tell_trend(values) == told
