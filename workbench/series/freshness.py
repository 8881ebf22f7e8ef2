"""Freshness: train and index once, update the corpus, and ask each arm what is true now, what was, and what is gone.

Every state is a run of its own below RUN/freshness, so that an interrupted series goes on where it was. After an update
an arm whose adapter holds facts is asked twice: as it was trained, and trained again on the updated corpus.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from workbench.bench import Bench
from workbench.config import AdapterConfig, ArmConfig, ExperimentConfig
from workbench.evaluation import contains
from workbench.measured import FreshnessReport, Rate, UpdateRow
from workbench.reporting import FRESHNESS
from workbench.runs import read_lines, write_atomically
from workbench.series.settings import adapters_of, competing, quick, rate
from workbench.series.updates import KINDS, UpdatePlan
from workbench.types import CaseRecord, Question

AGAIN = "_again"  # ends the name of an arm's double with the adapter trained again


def measure_freshness(bench: Bench) -> FreshnessReport:
    """Measure and write RUN/freshness.json; what was measured with the same inputs is not measured again.

    Raises:
        ConfigError: there is no arm to follow, or too little to change.
    """
    config, folder = bench.config, bench.run_folder.folder
    arms = competing(config)
    plan = UpdatePlan(bench.parts.corpus, bench.parts.questions, config.freshness, seed=config.seed)
    first = Bench(quick(config, arms), out=folder / "freshness/before", material=plan.before, lenders=[folder])
    first.evaluate()
    rows = _rows(first, arms, 0.0, plan)
    for share in tqdm(sorted(plan.sizes), desc="updates"):
        updated = Bench(
            _after(config, arms, first.run_folder.folder),
            out=folder / f"freshness/after-{share:g}",
            material=plan.after(share),
            lenders=[first.run_folder.folder],
        )
        updated.evaluate()
        rows += _rows(updated, updated.config.arms, share, plan)
    report = FreshnessReport(
        documents=len(plan.corpus.documents),
        touched={f"{share:g}": n for share, n in plan.sizes.items()},
        confidence=config.evaluation.confidence,
        rows=tuple(rows),
    )
    write_atomically(folder / FRESHNESS, report.model_dump_json(indent=1) + "\n")
    return report


def _after(config: ExperimentConfig, arms: Mapping[str, ArmConfig], before: Path) -> ExperimentConfig:
    """Return the config after an update: all adapters as they were, and those that hold facts a second time, anew."""
    adapters, doubled = adapters_of(config, arms, trained_in=before), dict(arms)
    for name, arm in arms.items():
        if arm.adapter is not None and _holds_facts(config.training.adapters[arm.adapter]):
            again = f"{arm.adapter}{AGAIN}"
            adapters[again] = config.training.adapters[arm.adapter]
            doubled[f"{name}{AGAIN}"] = arm.model_copy(update={"adapter": again})
    return quick(config, doubled, adapters)


def _holds_facts(adapter: AdapterConfig) -> bool:
    """Whether documents that change make the adapter stale; a reader learnt to read, and a given one is not ours."""
    return adapter.examples in ("closed_book", "dataset")


def _rows(bench: Bench, arms: Mapping[str, ArmConfig], share: float, plan: UpdatePlan) -> list[UpdateRow]:
    records = read_lines(bench.run_folder.path("records.jsonl"), CaseRecord)
    questions, old, trained = bench.parts.questions.by_id, plan.old_answers(), bench.train()
    rows = []
    for name, arm in arms.items():
        own = [record for record in records if record.arm == name]
        again = name.endswith(AGAIN)
        stage = trained[arm.adapter] if arm.adapter is not None else None
        spent = stage["seconds"] if stage is not None and (again or not share) else 0.0
        rows.append(
            UpdateRow(
                arm=name.removesuffix(AGAIN),
                share=share,
                trained_again=again,
                index_seconds=bench.index()["seconds_in_all"] if arm.strategy == "rag" else 0.0,
                training_seconds=spent,
                **_rates(own, questions, old, after=bool(share), confidence=bench.config.evaluation.confidence),
            )
        )
    return rows


def _rates(
    records: Sequence[CaseRecord],
    questions: Mapping[str, Question],
    old: Mapping[str, tuple[str, ...]],
    *,
    after: bool,
    confidence: float,
) -> dict[str, Rate | None]:
    """Return the rates of `UpdateRow`. An answer that failed holds nothing, neither what is true nor what was."""
    by_kind: dict[str, list[CaseRecord]] = {kind: [] for kind in KINDS}
    for record in records:
        by_kind[record.kind].append(record)

    def share_of(kind: str, holds: Iterable[bool]) -> Rate | None:
        return rate([float(one) for one in holds], confidence) if by_kind[kind] else None

    def says(record: CaseRecord, answers: Sequence[str]) -> bool:
        return bool(contains(record.answer, answers))

    def is_stale(record: CaseRecord) -> bool:
        return says(record, old[record.question_id]) and not says(record, questions[record.question_id].answers)

    right = {kind: [says(one, questions[one.question_id].answers) for one in by_kind[kind]] for kind in KINDS}
    return {
        "changed_right": share_of("changed", right["changed"]),
        "changed_stale": share_of("changed", map(is_stale, by_kind["changed"])) if after else None,
        "added_right": share_of("added", right["added"]),
        "deleted_leaked": share_of("deleted", right["deleted"]),
        "kept_right": share_of("kept", right["kept"]),
    }
