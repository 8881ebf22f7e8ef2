"""A sweep's folder → its joint decision and report; a run's folder → its own, so that one call serves both.

Beside `reporting.py` on the same floor, which reads the runs. What they measured stays in their folders: nothing is
copied, so a variant that was run again otherwise is noticed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from workbench.config import load_config
from workbench.decision import Alarm, Decision
from workbench.errors import RunMismatchError
from workbench.evaluation import summarise
from workbench.guards import Evidence, check_run
from workbench.guards.prompts import different_questions
from workbench.measured import SweepReport, VariantRow
from workbench.report import ReportData, write_report
from workbench.report.joining import join_curves, join_losses, join_manifests, join_retrieval
from workbench.reporting import (
    DECISION,
    SWEEP,
    decide_run,
    languages_of,
    read_if_there,
    read_run,
    study_of,
    write_run_report,
)
from workbench.runs import write_atomically
from workbench.types import CaseRecord
from workbench.verdict import (
    Part,
    Study,
    caution,
    decide,
    join_alarms,
    join_interactions,
    join_studies,
    measure_selection,
)
from workbench.verdict.comparison import MACHINE


@dataclass(frozen=True, slots=True)
class _Sweep:
    """A sweep as read: its variants' runs and studies, in order, and the study of all arms."""

    report: SweepReport
    runs: Sequence[ReportData]
    parts: Sequence[Part]
    joint: Study

    def passages(self) -> dict[tuple[str, int, int], str]:
        """The passages of all variants; they read the same documents."""
        return {place: text for run in self.runs for place, text in run.passages.items()}


def is_sweep(folder: Path) -> bool:
    """Whether the folder holds a sweep."""
    return (folder / SWEEP).exists()


def decide_folder(folder: Path, *, overrides: Sequence[str] = ()) -> Decision:
    """Return the verdict on a run or a sweep, under its own wishes or others.

    Raises:
        RunMismatchError: there is no finished run, or the sweep's runs are not those that were made for it.
        ConfigError: an override names something that was decided when the runs were made.
    """
    return _decide(_read(folder, overrides)) if is_sweep(folder) else decide_run(folder, overrides=overrides)


def write_folder_report(folder: Path) -> Path:
    """Write decision.json, report.md, report.html and CSV files of a run or a sweep; return report.html's path."""
    if not is_sweep(folder):
        return write_run_report(folder)
    sweep = _read(folder, ())
    decision = _decide(sweep)
    write_atomically(folder / DECISION, decision.model_dump_json(indent=1) + "\n")
    write_report(folder, _report_data(sweep, decision, (folder / "config.yaml").read_text(encoding="utf-8")))
    return folder / "report.html"


def _read(folder: Path, overrides: Sequence[str]) -> _Sweep:
    report = read_if_there(folder / SWEEP, SweepReport, "sweep")
    assert report is not None
    places = [folder / row.folder for row in report.variants]
    runs = [read_run(place) for place in places]
    for row, run in zip(report.variants, runs, strict=True):
        _refuse_other_run(folder, row, run, runs[0])
    studies = [study_of(run, place, overrides) for run, place in zip(runs, places, strict=True)]
    rows = zip(report.variants, studies, strict=True)
    parts = [Part(row.name, study, row.arms) for row, study in rows]
    joint = join_studies(parts)
    judged = load_config(folder / "config.yaml", overrides=overrides)  # the sweep's own wishes, not those of a variant
    return _Sweep(report, runs, parts, replace(joint, evaluation=judged.evaluation, wishes=judged.decision))


def _refuse_other_run(folder: Path, row: VariantRow, run: ReportData, first: ReportData) -> None:
    """A variant's folder must hold the run that the sweep made, on the corpus and the questions of the others."""
    prints, again = run.manifest["fingerprints"], f"run the sweep again: workbench sweep CONFIG --out {folder}"
    if prints["config"] != row.config:
        raise RunMismatchError(
            f"{folder / row.folder} was run with other settings ({prints['config'][:12]}) than the sweep's "
            f"({row.config[:12]}); {again}"
        )
    for name in ("test_questions", "corpus"):
        ours, theirs = first.manifest["fingerprints"][name], prints[name]
        if ours != theirs:
            raise RunMismatchError(
                f"{folder / row.folder} has other {name.replace('_', ' ')} ({theirs[:12]}) than the first variant "
                f"({ours[:12]}), so they may not be compared; {again}"
            )


def _decide(sweep: _Sweep) -> Decision:
    found = []
    for part, run in zip(sweep.parts, sweep.runs, strict=True):
        found.append((part, check_run(Evidence(part.study, tuple(run.questions.values()), run.passages))))
    questions, passages = sweep.runs[0].questions, sweep.passages()
    across = different_questions(Evidence(sweep.joint, tuple(questions.values()), passages))
    decision = decide(
        sweep.joint,
        alarms=[*join_alarms(found), *across, *_other_machines(sweep)],
        groups=languages_of(questions, passages),
        interactions=join_interactions(sweep.parts),
    )
    selection, advice = measure_selection(sweep.joint), decision.recommendation
    shown = {advice.arm} if advice.arm is not None else set(advice.candidates)
    cautions = advice.cautions + ((caution(selection),) if selection is not None else ())
    return decision.model_copy(
        update={
            "selection": selection,
            "recommendation": advice.model_copy(update={"cautions": cautions}),
            # Which questions a base "knows" is no part of them where there are several bases.
            "strata": tuple(one for one in decision.strata if one.part not in ("known", "unknown")),
            "crossovers": tuple(one for one in decision.crossovers if shown & {one.earlier, one.later}),
        }
    )


def _other_machines(sweep: _Sweep) -> list[Alarm]:
    machines = [{key: run.manifest.get("hardware", {}).get(key) for key in MACHINE} for run in sweep.runs]
    if all(machine == machines[0] for machine in machines):
        return []
    told = "variants ran on different machines: compare their scores, not their seconds"
    return [Alarm(guard="different_machines", severity="warn", message=told)]


def _report_data(sweep: _Sweep, decision: Decision, config_yaml: str) -> ReportData:
    """Return the report's inputs: those of one run, with the arms of all variants under their joint names."""
    first, rows = sweep.runs[0], sweep.report.variants
    study = sweep.joint
    records: list[CaseRecord] = [record for arm in study.arms.values() for record in arm.records]
    costs: dict[str, dict[str, float]] = {}
    for row, run in zip(rows, sweep.runs, strict=True):
        for arm, name in row.arms.items():
            costs.setdefault(name, run.summary["costs"].get(arm, {}))
    summary = summarise(
        records,
        questions=list(first.questions.values()),
        config=study.evaluation,
        arms={name: arm.settings for name, arm in study.arms.items()},
        build_costs=costs,
        losses=join_losses(rows, sweep.runs),
        failures=first.failures,
        seed=study.seed,
        compared_in=(study.evaluation.ranked_by,),
    )
    curves, gates = join_curves(rows, sweep.runs)
    return ReportData(
        name=sweep.report.name,
        summary=join_retrieval(summary, rows, sweep.runs),
        config_yaml=config_yaml,
        manifest=join_manifests(rows, sweep.runs),
        records=records,
        questions=first.questions,
        passages=sweep.passages(),
        decision=decision,
        curves=curves,
        gates=gates,
        failures=first.failures,
        sweep=sweep.report,
    )
