"""A run's folder → its decision and report, two folders → their comparison. Neither model nor collection is needed.

Everything shown was written down when it was measured, so a report of last month still shows last month's passages.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from workbench.config import load_config
from workbench.decision import Decision, RaceReport, RouterReport, RunPair
from workbench.errors import ConfigError, RunMismatchError
from workbench.evaluation import TEST_SPLITS
from workbench.guards import Evidence, check_run
from workbench.languages import group_by_language
from workbench.measured import FreshnessReport, LearningReport, ScalingReport
from workbench.report import ReportData, write_report
from workbench.runs import read_lines, write_atomically
from workbench.types import CaseRecord, PassageRecord, Question, ReadFailure
from workbench.verdict import ArmRun, Study, compare_runs, decide, differing_settings

Part = TypeVar("Part", bound=BaseModel)
NEEDED = (
    "config.yaml",
    "manifest.json",
    "passages.jsonl",
    "questions.jsonl",
    "records.jsonl",
    "summary.json",
    "training.json",
)


DECISION = "decision.json"
FRESHNESS, SCALING, LEARNING_CURVE = (
    "freshness.json",
    "scaling.json",
    "learning_curve.json",
)  # of series, where measured
SWEEP = "sweep.json"  # in a sweep's folder: which runs it is made of
RACE = "race.json"  # which arms stopped early and why, where they raced
GATES = "gates.json"  # in an adapter's folder
ROUTER = "router.json"  # what choosing an arm per question brought, where an arm is routed


def read_study(folder: Path, *, overrides: Sequence[str] = ()) -> Study:
    """Return what a finished run measured, under its own wishes or others ("decision.seen_share=0.8").

    Raises:
        RunMismatchError: the folder holds no finished run.
        ConfigError: an override names something that was decided when the run was made, or is out of range.
    """
    return study_of(read_run(folder), folder, overrides)


def study_of(run: ReportData, folder: Path, overrides: Sequence[str] = ()) -> Study:
    """Return the study of a run that was read from `folder`; as `read_study`."""
    _refuse_other_overrides(overrides)
    config = load_config(folder / "config.yaml", overrides=overrides)
    return Study(
        questions=run.questions,
        arms={
            name: ArmRun(
                name,
                settings,
                [record for record in run.records if record.arm == name],
                _build(run, name),
            )
            for name, settings in config.arms.items()
        },
        evaluation=config.evaluation,
        wishes=config.decision,
        seed=config.seed,
        race=run.race,
    )


def _build(run: ReportData, arm: str) -> dict[str, float]:
    """What an arm cost to build; what it takes to follow an update is the measured figure, where there is one."""
    build = {key: value for key, value in run.summary["costs"].get(arm, {}).items() if value is not None}
    follows = run.freshness.seconds_to_follow(arm) if run.freshness is not None else None
    return build if follows is None else build | {"update_seconds": follows}


def decide_run(folder: Path, *, overrides: Sequence[str] = ()) -> Decision:
    """Return the verdict on a finished run, under its own wishes or others; what the guards find stands in it."""
    run = read_run(folder)
    study = study_of(run, folder, overrides)
    return decide(
        study,
        alarms=check_run(Evidence(study, tuple(run.questions.values()), run.passages)),
        router=read_if_there(folder / ROUTER, RouterReport, "evaluate"),
        groups=languages_of(run.questions, run.passages),
    )


def languages_of(
    questions: Mapping[str, Question], passages: Mapping[tuple[str, int, int], str]
) -> Mapping[str, frozenset[str]]:
    """Return the parts that languages divide the test questions into; none where all share one."""
    asked = [question for question in questions.values() if question.split in TEST_SPLITS]
    return group_by_language(asked, ((document, text) for (document, *_), text in passages.items()))


def write_decision(folder: Path) -> Decision:
    """Write decision.json into the run's folder and return the decision."""
    decision = decide_run(folder)
    write_atomically(folder / DECISION, decision.model_dump_json(indent=1) + "\n")
    return decision


def _refuse_other_overrides(overrides: Sequence[str]) -> None:
    """A finished run was answered and scored under its config: only wishes and how it is judged can change."""
    for override in overrides:
        key = override.partition("=")[0]
        if not key.startswith(("decision.", "evaluation.")):
            raise ConfigError(
                f"`{key}` was decided when the run was made; only decision.* and evaluation.* can be asked again, for "
                "example --set decision.questions_per_month=50000"
            )


def write_run_report(folder: Path) -> Path:
    """Write decision.json, report.md, report.html and CSV files into the run's folder; return report.html's path.

    Raises:
        RunMismatchError: the folder holds no finished run.
    """
    decision = write_decision(folder)  # always anew: it is computed from the run's other files
    write_report(folder, replace(read_run(folder), decision=decision))
    return folder / "report.html"


def compare_run_folders(first: Path, second: Path) -> RunPair:
    """Compare two finished runs arm by arm. Raises RunMismatchError when they may not be compared."""
    runs = [read_run(folder) for folder in (first, second)]
    studies = [study_of(run, folder) for run, folder in zip(runs, (first, second), strict=True)]
    pair = compare_runs((runs[0].manifest, studies[0]), (runs[1].manifest, studies[1]))
    trees = [load_config(folder / "config.yaml").model_dump(mode="json") for folder in (first, second)]
    return pair.model_copy(update={"settings": differing_settings(*trees)})


def read_run(folder: Path) -> ReportData:
    """Read a finished run. Raises RunMismatchError if a file of it is missing."""
    missing = _missing(folder)
    if missing and (folder / SWEEP).exists():
        raise RunMismatchError(f"{folder} holds a sweep, not a run; its runs are in {folder}/variants")
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
        gates={name: found for name in training if (found := _read_gates(folder, name))},
        failures=[ReadFailure(**failure) for failure in summary["failures"]],
        freshness=read_if_there(folder / FRESHNESS, FreshnessReport, "freshness"),
        scaling=read_if_there(folder / SCALING, ScalingReport, "scaling"),
        learning=read_if_there(folder / LEARNING_CURVE, LearningReport, "learning-curve"),
        race=read_if_there(folder / RACE, RaceReport, "evaluate"),
    )


def _read_gates(folder: Path, adapter: str) -> list[dict[str, Any]]:
    """Return what the gates said of an adapter; [] where they did not run, or its folder is gone."""
    path = folder / f"train-{adapter}" / "adapter" / GATES
    if not path.exists():
        return []
    try:
        results: list[dict[str, Any]] = [
            {key: one[key] for key in ("name", "status", "says")} for one in _read_json(path)["results"]
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise RunMismatchError(
            f"{path} is damaged ({error}); make it again: workbench train CONFIG --out {folder}"
        ) from error
    return results


def is_finished(folder: Path) -> bool:
    """Whether the folder holds a finished run."""
    return not _missing(folder)


def _missing(folder: Path) -> list[str]:
    return [name for name in NEEDED if not (folder / name).exists()]


def read_if_there(path: Path, model: type[Part], verb: str) -> Part | None:
    """Return a part of the run that only some runs have; None: this one has none. `verb` makes it again."""
    if not path.exists():
        return None
    try:
        return model.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise RunMismatchError(
            f"{path} is damaged ({error.errors()[0]['msg']}); make it again: "
            f"workbench {verb} CONFIG --out {path.parent}"
        ) from error


def _read_json(path: Path) -> dict[str, Any]:
    value = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(value, dict)
    return value
