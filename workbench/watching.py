"""What a server logged against what a run measured: is it time to re-index, re-train, re-measure?

Beside `bench.py` on the same floor: this one reads the run, the log, the collection and the corpus; what they say is
monitoring/. Nothing is written, trained or indexed.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from workbench.config import ExperimentConfig
from workbench.errors import ConfigError, EmptyCorpusError, RunMismatchError
from workbench.intake.adapter_settings import WEIGHTS
from workbench.knowledge import Collection
from workbench.models.adapters import read_passport
from workbench.monitoring.findings import AdapterAge, DocumentChange, MonitorReport, Staleness
from workbench.monitoring.judging import Count, Evidence, advise, judge
from workbench.monitoring.logs import FOLDER, read_feedback, read_queries
from workbench.monitoring.records import FeedbackRecord, QueryRecord, pack_embedding, unpack_embedding
from workbench.monitoring.staleness import compare_documents, count_weeks, monday_of
from workbench.parts import DOCUMENTS, Parts
from workbench.runs import fingerprint_file, read_lines, write_atomically
from workbench.training import BEST
from workbench.types import CaseRecord, Float32, Question, Split, StopReason


@dataclass(frozen=True, slots=True)
class _Run:
    """What a finished run wrote down, as far as it is compared with."""

    folder: Path
    manifest: Mapping[str, Any]
    questions: Sequence[Question]
    records: Sequence[CaseRecord]


@dataclass(frozen=True, slots=True)
class _Log:
    """What is looked at of a log. `events` grows with what turns out not to be comparable."""

    watched: Sequence[QueryRecord]
    earlier: Sequence[QueryRecord] | None  # None: all times are looked at
    ratings: Mapping[str, FeedbackRecord]  # by response id
    events: list[str]


def log_folder(config: ExperimentConfig, run: Path) -> Path:
    """Return where the server of this experiment logs questions and feedback."""
    return (config.serving.folder or run / "serving") / FOLDER


def watch_run(
    config: ExperimentConfig,
    run: Path,
    *,
    log: Path | None = None,
    since: datetime | None = None,
    command: str = "CONFIG",
) -> MonitorReport:
    """Return what the questions logged since then, and the documents, say of a run.

    Args:
        run: its folder.
        log: folder of queries.jsonl; None: where the experiment's server logs.
        since: only questions of then or later; those before are compared with them. None: all.
        command: what the advised commands are given.
    Raises:
        RunMismatchError: the folder holds no finished run, or one of another embedder.
    """
    found, parts = _read_run(run), Parts(config, run)
    place = log or log_folder(config, run)
    logged = _read_log(place, since)
    evidence = _gather(found, parts, logged)
    judged, stale = judge(evidence, config.monitoring), _staleness(found, parts)
    drift, times = judged.drift, [record.time for record in logged.watched]
    return MonitorReport(
        run=str(run),
        log=str(place),
        first=min(times, default=None),
        last=max(times, default=None),
        n_logged=len(times),
        n_errors=sum(record.error is not None for record in logged.watched),
        n_distinct=next(check.n for check in judged.checks if check.name == "drift_evaluation"),
        false_alarms=config.monitoring.false_alarms,
        checks=judged.checks,
        stale=stale,
        advice=advise(judged.checks, stale, config.monitoring, command=command, questions=str(config.questions.path)),
        weeks=count_weeks(logged.watched, logged.ratings),
        distances_before=_rising(drift.known) if drift else (),
        distances_now=_rising(drift.logged) if drift else (),
        scores_before=_rising(evidence.scores_before),
        scores_now=_rising(evidence.scores_now),
        events=tuple(logged.events),
    )


def _read_log(folder: Path, since: datetime | None) -> _Log:
    queries, feedback = read_queries(folder), read_feedback(folder)
    return _Log(
        watched=[record for record in queries.records if since is None or record.time >= since],
        earlier=None if since is None else [record for record in queries.records if record.time < since],
        ratings={record.response_id: record for record in feedback.records},
        events=[*queries.events, *feedback.events],
    )


def write_page(report: MonitorReport, path: Path) -> None:
    """Write the report as one self-contained page, atomically."""
    from workbench.monitoring.page import render_monitor  # matplotlib takes a second to import

    write_atomically(path, render_monitor(report))


def read_since(text: str, *, now: datetime | None = None) -> datetime:
    """Return the time that `text` names: a day or a time in ISO 8601 (UTC where it names no zone), or `30d` back.

    Raises:
        ConfigError: it is neither.
    """
    if match := re.fullmatch(r"(\d{1,5})d", text):
        return (now or datetime.now(UTC)) - timedelta(days=int(match[1]))
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"--since {text}: neither a time such as 2026-05-01 nor days back such as 30d") from error
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _rising(values: Any) -> tuple[float, ...]:
    return tuple(round(float(value), 6) for value in np.sort(np.asarray(values)))


def _read_run(folder: Path) -> _Run:
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        whole = all((folder / name).exists() for name in ("questions.jsonl", "records.jsonl"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        whole = False
    if not whole:
        raise RunMismatchError(f"{folder} holds no finished run to compare with; make it: workbench run CONFIG")
    questions = read_lines(folder / "questions.jsonl", Question)
    return _Run(folder, manifest, questions, read_lines(folder / "records.jsonl", CaseRecord))


def _gather(run: _Run, parts: Parts, log: _Log) -> Evidence:
    """Return what the checks look at. What cannot be compared is counted in `log.events`.

    Raises:
        RunMismatchError: the run was measured with another embedder.
    """
    watched, ratings = log.watched, log.ratings
    identity = parts.embedder.identity
    measured = run.manifest["fingerprints"]["embedder"]
    if parts.embedder_files.fingerprint != measured:
        raise RunMismatchError(
            f"{run.folder} was measured with embedder {measured[:12]}, but models.embedder is "
            f"{parts.embedder_files.fingerprint[:12]}; run it again: workbench run CONFIG --out {run.folder}"
        )

    def vectors(records: Sequence[QueryRecord]) -> Float32:
        return _unpack(records, identity.fingerprint, identity.dimension, log.events)

    def embed(*splits: Split) -> Float32:
        texts = [question.text for question in run.questions if question.split in splits]
        return _as_logged(parts.embedder.embed_questions(texts), identity.dimension)

    arm = _asked_arm(parts.config, watched)
    measured_cases = {one.question_id: one for one in run.records if one.arm == arm and one.error is None}
    answered = [record for record in watched if record.arm == arm and record.error is None] if arm else []
    rated = [record for record in watched if record.response_id in ratings]
    mondays = [monday_of(record.time) for record in rated]
    return Evidence(
        evaluation=embed(Split.SEEN, Split.NEW),
        training=embed(Split.TRAIN, Split.DEV),
        logged=vectors(watched),
        earlier=None if log.earlier is None else vectors(log.earlier),
        arm=arm,
        scores_before=[case.hits[0].score for case in measured_cases.values() if case.hits],
        scores_now=[record.best_score for record in answered if record.best_score is not None],
        refusals_before=_count([case.stop_reason is StopReason.REFUSED for case in measured_cases.values()]),
        refusals_now=_count([record.refused for record in answered]),
        feedback=[
            ((monday - min(mondays)).days // 7, ratings[record.response_id].rating == 1)
            for monday, record in zip(mondays, rated, strict=True)
        ],
        seed=parts.config.seed,
    )


def _asked_arm(config: ExperimentConfig, watched: Sequence[QueryRecord]) -> str | None:
    """Return the arm of the experiment that retrieves and was asked most; None: none was."""
    able = [name for name, arm in config.arms.items() if arm.strategy == "rag" and not arm.control]
    counts = Counter(record.arm for record in watched if record.arm in able)
    return max(able, key=lambda name: counts[name], default=None) if counts else None


def _count(met: Sequence[bool]) -> Count:
    return Count(sum(met), len(met))


def _unpack(records: Sequence[QueryRecord], embedder: str, dimension: int, events: list[str]) -> Float32:
    """Return the embeddings of `records`, shape (N, D), those of other embedders left out and told."""
    given = [record for record in records if record.embedding is not None]
    ours = [record.embedding for record in given if record.embedder == embedder and record.embedding is not None]
    found = [vector for text in ours if (vector := unpack_embedding(text, dimension)) is not None]
    if len(ours) < len(given):
        events.append(f"{len(given) - len(ours)} embeddings of another embedder than {embedder[:12]} were left out")
    if len(found) < len(ours):
        events.append(f"{len(ours) - len(found)} embeddings are not {dimension} numbers and were left out")
    return np.stack(found) if found else np.empty((0, dimension), dtype=np.float32)


def _as_logged(vectors: Float32, dimension: int) -> Float32:
    """Return vectors rounded as logged ones are, so that rounding is no difference."""
    rounded = [unpack_embedding(pack_embedding(vector), dimension) for vector in vectors]
    whole = [vector for vector in rounded if vector is not None]
    return np.stack(whole) if whole else np.empty((0, dimension), dtype=np.float32)


def _staleness(run: _Run, parts: Parts) -> Staleness:
    notes: list[str] = []
    now: dict[str, str] | None = None
    collection_now = None
    if Collection.exists(parts.collection_folder):
        with Collection.open(parts.collection_folder, index=parts.config.index) as collection:
            collection_now = collection.fingerprint
            now = {facts.id: facts.fingerprint for facts in collection.documents()}
    else:
        notes.append(f"{parts.collection_folder} holds no collection")
    try:
        on_disk = parts.corpus.contents
    except (EmptyCorpusError, OSError, ConfigError) as error:
        on_disk = None
        notes.append(f"the corpus cannot be read, so what changed on disk is not known: {error}")
    if not (run.folder / DOCUMENTS).exists():
        notes.append(f"{run.folder} has no {DOCUMENTS}: it was made before runs recorded their documents")
    return Staleness(
        since_index=None if now is None or on_disk is None else compare_documents(now, on_disk),
        since_run=_since(run.folder / DOCUMENTS, now),
        collection_before=run.manifest["fingerprints"]["collection"],
        collection_now=collection_now,
        adapters=tuple(_adapter_ages(run, parts.config, now)),
        notes=tuple(notes),
    )


def _since(path: Path, now: Mapping[str, str] | None) -> DocumentChange | None:
    if now is None or not path.exists():
        return None
    return compare_documents(json.loads(path.read_text(encoding="utf-8")), now)


def _adapter_ages(run: _Run, config: ExperimentConfig, now: Mapping[str, str] | None) -> list[AdapterAge]:
    names = dict.fromkeys(arm.adapter for arm in config.arms.values() if arm.adapter is not None)
    measured, ages = run.manifest["fingerprints"]["adapters"], []
    for name in names:
        folder = config.training.adapters[name].folder or run.folder / f"train-{name}" / BEST
        if (folder / WEIGHTS).exists():
            same = measured.get(name) == fingerprint_file(folder / WEIGHTS)
            passport, change = read_passport(folder), _since(folder.parent / DOCUMENTS, now)
            ages.append(AdapterAge(name=name, trained_on=passport.trained_on, same_weights=same, documents=change))
        else:
            ages.append(AdapterAge(name=name, trained_on="", same_weights=None, documents=None))
    return ages
