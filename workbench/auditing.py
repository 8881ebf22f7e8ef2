"""A dataset's rows, and the experiment they are for → an audit: what `workbench dataset audit` shows.

Composes the room `audit` with the parts of an experiment. Without a config only what rows tell of themselves is
checked; what was not is said in the report.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError
from tqdm import tqdm

from workbench.audit import (
    AuditReport,
    Contradiction,
    Scan,
    describe_mixture,
    find_contradictions,
    find_copies,
    find_leaks,
    find_straddling,
    measure_coverage,
    measure_lengths,
    scan_rows,
    show_masks,
)
from workbench.audit.page import render_audit
from workbench.config import ExperimentConfig, RecipeConfig
from workbench.dataset import read_dataset
from workbench.dataset.imports import read_rows as import_rows
from workbench.errors import QuestionFileError
from workbench.evaluation import normalise_answer
from workbench.parts import Parts
from workbench.rows import DatasetRow
from workbench.runs import write_atomically, write_json
from workbench.training import build_from_dataset, encode_rows
from workbench.types import Span, TrainingExample

N_SHOWN = 6  # rows shown token by token
HIDDEN = "[hidden: holds a finding]"
NO_LIMIT = 1 << 30  # tokens
OUR_ROW = re.compile(r'\s*\{[^\n]*"task"')  # a first line as rows are written; other formats have no such key


def audit_rows(
    rows: Sequence[DatasetRow],
    *,
    source: str,
    allow: Collection[str] = (),
    parts: Parts | None = None,
) -> AuditReport:
    """Audit rows as far as what is given allows.

    Args:
        source: the dataset as the user named it.
        allow: kinds of secrets and personal data that stop no training.
        parts: the experiment's corpus, questions, embedder and tokenizer; None: only the rows themselves are checked.
    """
    steps = tqdm(total=4, desc="audit", leave=False)
    scan = scan_rows(rows)
    steps.update()
    copies, contradictions = find_copies(rows), find_contradictions(rows)
    steps.update()
    mixture = describe_mixture(rows)
    hidden = {normalise_answer(row.completion) for row in rows if row.id in scan.row_ids}
    steps.update()
    report = AuditReport(
        source=source,
        mixture=replace(mixture, answers=tuple((HIDDEN if a in hidden else a, n) for a, n in mixture.answers)),
        scan=scan,
        copies=copies,
        contradictions=tuple(_hidden(one, scan) for one in contradictions),
        straddling=tuple(find_straddling(rows)),
        allowed=tuple(allow),
        not_checked=("leakage, coverage, lengths and loss masks: they need the experiment (--config)",),
    )
    if parts is not None:
        report = _against_experiment(report, rows, parts)
    steps.update()
    steps.close()
    return report


def _against_experiment(report: AuditReport, rows: Sequence[DatasetRow], parts: Parts) -> AuditReport:
    """Return the report with what an experiment's questions, corpus and tokenizer tell of the rows."""
    missing: list[str] = []
    examples, n_over_budget = _encode(rows, parts)
    questions, documents = parts.questions, {document.id: len(document.text) for document in parts.corpus.documents}
    leaks = find_leaks(rows, questions.questions, forbidden=questions.forbidden, embed=parts.embedder.embed_questions)
    coverage = measure_coverage(rows, documents, _chunks(parts, missing))
    harmless = [row for row in rows if row.id not in report.scan.row_ids]
    return replace(
        report,
        leaks=tuple(leaks),
        lengths=measure_lengths(examples, max_tokens=parts.config.training.max_tokens),
        n_unencodable=n_over_budget,
        coverage=coverage,
        shown=tuple(show_masks(_varied(harmless, examples), parts.tokenizer.decode)),
        not_checked=tuple(missing),
    )


def _hidden(one: Contradiction, scan: Scan) -> Contradiction:
    """Return the contradiction without its texts where one of its rows holds a secret."""
    if scan.row_ids.isdisjoint(one.row_ids):
        return one
    return Contradiction(HIDDEN, tuple((HIDDEN, ids) for _, ids in one.answers))


def parts_to_audit(config: ExperimentConfig, folder: Path) -> Parts:
    """Return the experiment's parts with all its test questions: one that `questions.limit` leaves out leaks too."""
    questions = config.questions.model_copy(update={"limit": None})
    return Parts(config.model_copy(update={"questions": questions}), folder)


def write_audit(report: AuditReport, page: Path) -> Path:
    """Write the self-contained page and, beside it, the same as JSON; return the path of the JSON."""
    record = page.with_suffix(".json")
    write_json(record, report.as_json())
    write_atomically(page, render_audit(report))
    return record


def read_rows(path: Path) -> list[DatasetRow]:
    """Read a dataset's folder, a file of JSON lines, one `DatasetRow` each, or a file in a format of other trainers.

    Raises:
        DatasetError: the folder holds no dataset, or a damaged one; the file is in no known format, or malformed.
        QuestionFileError: nothing is there, or a line is not a row; the message names file and line.
    """
    if path.is_dir():
        return list(read_dataset(path))
    if not path.exists():
        raise QuestionFileError(f"{path} does not exist; make a dataset: workbench dataset build CONFIG")
    text = path.read_text(encoding="utf-8-sig")
    if text.strip() and not OUR_ROW.match(text):
        return import_rows(path)
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                rows.append(DatasetRow.model_validate_json(line))
            except ValidationError as error:
                fault = error.errors()[0]
                place = ".".join(map(str, fault["loc"])) or "line"
                raise QuestionFileError(f"{path.name}:{number}: {place}: {fault['msg']}") from error
    if not rows:
        raise QuestionFileError(f"{path} holds no row; expected JSON lines, one dataset row each")
    return rows


def _encode(rows: Sequence[DatasetRow], parts: Parts) -> tuple[Sequence[TrainingExample], int]:
    """Return the rows as training encodes them, without its limit on length, and how many fit no prompt."""
    made = build_from_dataset(rows, parts.builder, parts.tokenizer, parts.config.prompt)
    recipe = RecipeConfig.model_validate(
        {key: getattr(parts.config.training, key) for key in RecipeConfig.model_fields} | {"max_tokens": NO_LIMIT}
    )
    return encode_rows(made, parts.tokenizer, recipe).rows, made.n_too_long


def _chunks(parts: Parts, missing: list[str]) -> list[Span]:
    """Return where the corpus is cut; a collection that was never built is told, not built."""
    from workbench.knowledge import Collection

    if not Collection.exists(parts.collection_folder):
        missing.append(f"coverage of chunks: {parts.collection_folder} is not indexed yet")
        return []
    return [
        Span(document_id=chunk.document_id, start=chunk.start, end=chunk.end) for chunk in parts.collection.all_chunks()
    ]


def _varied(rows: Sequence[DatasetRow], examples: Sequence[TrainingExample]) -> list[TrainingExample]:
    """Return the first rows to show: the first of each task and generator, then the first of all."""
    wanted = {row.id for row in rows}
    by_id = {example.question_id: example for example in examples if example.question_id in wanted}
    kinds: dict[tuple[str, str], str] = {}
    for row in rows:
        if row.id in by_id:
            kinds.setdefault((row.task, row.generator), row.id)
    chosen = dict.fromkeys([*kinds.values()][:N_SHOWN])
    chosen |= dict.fromkeys(id_ for id_ in by_id if len(chosen) < N_SHOWN)
    return [by_id[id_] for id_ in [*chosen][:N_SHOWN]]
