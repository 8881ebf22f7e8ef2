"""A run's folder → its report, two folders → their comparison. Neither model nor collection is needed.

Everything shown was written down when it was measured, so a report of last month still shows last month's passages.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from workbench.config import load_config
from workbench.errors import RunMismatchError
from workbench.report import ReportData, write_report
from workbench.runs import read_lines
from workbench.types import CaseRecord, PassageRecord, Question, ReadFailure
from workbench.verdict import RunPair, compare_runs

NEEDED = (
    "config.yaml",
    "manifest.json",
    "passages.jsonl",
    "questions.jsonl",
    "records.jsonl",
    "summary.json",
    "training.json",
)


def write_run_report(folder: Path) -> Path:
    """Write report.md and report.html into the run's folder and return the path of report.html.

    Raises:
        RunMismatchError: the folder holds no finished run.
    """
    write_report(folder, read_run(folder))
    return folder / "report.html"


def compare_run_folders(first: Path, second: Path) -> RunPair:
    """Compare two finished runs arm by arm. Raises RunMismatchError when they may not be compared."""
    runs = [read_run(folder) for folder in (first, second)]
    config = load_config(first / "config.yaml")
    a, b = ((run.manifest, run.records) for run in runs)
    return compare_runs(a, b, config.evaluation, seed=config.seed)


def read_run(folder: Path) -> ReportData:
    """Read a finished run. Raises RunMismatchError if a file of it is missing."""
    missing = [name for name in NEEDED if not (folder / name).exists()]
    if missing:
        raise RunMismatchError(
            f"{folder} holds no finished run: {missing[0]} is missing; make it: workbench run CONFIG --out {folder}"
        )
    summary, manifest, training = (_read_json(folder / f"{name}.json") for name in ("summary", "manifest", "training"))
    return ReportData(
        name=manifest["name"],
        summary=summary,
        config_yaml=(folder / "config.yaml").read_text(encoding="utf-8"),
        manifest=manifest,
        records=read_lines(folder / "records.jsonl", CaseRecord),
        questions={question.id: question for question in read_lines(folder / "questions.jsonl", Question)},
        passages={
            (passage.document_id, passage.start, passage.end): passage.text
            for passage in read_lines(folder / "passages.jsonl", PassageRecord)
        },
        curves=training,
        failures=[ReadFailure(**failure) for failure in summary["failures"]],
    )


def _read_json(path: Path) -> dict[str, Any]:
    value = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(value, dict)
    return value
