"""A run's folder → its report, two folders → their comparison. No model is needed.

Everything shown was written down when it was measured.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from workbench.config import load_config
from workbench.errors import RunMismatchError
from workbench.knowledge import Collection
from workbench.report import ReportData, write_report
from workbench.runs import read_lines
from workbench.training import read_progress
from workbench.types import CaseRecord, Question, ReadFailure
from workbench.verdict import RunPair, compare_runs

NEEDED = ("config.yaml", "manifest.json", "questions.jsonl", "records.jsonl", "summary.json")


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
            f"{folder} holds no finished run: {missing[0]} is missing; make it: workbench run CONFIG"
        )
    summary, manifest = (_read_json(folder / name) for name in ("summary.json", "manifest.json"))
    records = read_lines(folder / "records.jsonl", CaseRecord)
    return ReportData(
        name=manifest["name"],
        summary=summary,
        config_yaml=(folder / "config.yaml").read_text(encoding="utf-8"),
        manifest=manifest,
        records=records,
        questions={question.id: question for question in read_lines(folder / "questions.jsonl", Question)},
        passages=_read_passages(folder / "collection", records),
        curves={name: _read_curve(folder / f"train-{name}") for name in manifest["training"]},
        failures=[ReadFailure(**failure) for failure in summary["failures"]],
    )


def _read_json(path: Path) -> dict[str, Any]:
    value = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(value, dict)
    return value


def _read_passages(folder: Path, records: list[CaseRecord]) -> dict[tuple[str, int, int], str]:
    """Return the text of every passage some prompt held, cut from the stored documents."""
    wanted = {(hit.document_id, hit.start, hit.end) for record in records for hit in record.hits if hit.in_prompt}
    if not wanted:
        return {}
    with Collection.open(folder) as collection:
        texts = {id_: collection.document(id_).text for id_ in {id_ for id_, _, _ in wanted}}
    return {(id_, start, end): texts[id_][start:end] for id_, start, end in wanted}


def _read_curve(folder: Path) -> dict[str, list[dict[str, float]]]:
    progress = read_progress(folder)
    return {"steps": progress.steps, "held_out": progress.held_out}
