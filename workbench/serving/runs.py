"""Experiments beside the one that is served: what they found, question by question, and their reports. Read only."""

from __future__ import annotations

import json
from functools import lru_cache, partial
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi import Path as InPath
from starlette.responses import FileResponse, Response

from workbench.access import Role
from workbench.access.grants import EVERY
from workbench.runs import read_lines
from workbench.serving.faults import RefusedError
from workbench.serving.service import Service, grant_of, service_of
from workbench.types import CaseRecord, PassageRecord, Question

router = APIRouter(prefix="/v1/runs", tags=["runs"])
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
RunName = Annotated[str, InPath(pattern=NAME, max_length=100)]
SUMMARY, DECISION, TRAINING, REPORT = "summary.json", "decision.json", "training.json", "report.html"
# The report is our own file, but shows what documents and models wrote: no script of it may reach this origin.
SANDBOX = (
    "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src data:; frame-ancestors 'self'"
)


@router.get("")
async def list_runs(request: Request) -> dict[str, Any]:
    """List the runs that have been evaluated, the newest first."""
    service = _allowed(request)
    return {"data": await service.search(partial(_list, _root(service)))}


@router.get("/{run}")
async def show_run(run: RunName, request: Request) -> dict[str, Any]:
    """Show what a run measured, decided and trained."""
    folder = _folder(_allowed(request), run)
    files = {"summary": SUMMARY, "decision": DECISION, "training": TRAINING}
    return {"name": run} | {key: _read(folder / name) for key, name in files.items()}


@router.get("/{run}/questions")
async def list_cases(
    run: RunName,
    request: Request,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> dict[str, Any]:
    """List a run's test questions with each arm's answer and the passages it read."""
    service = _allowed(request)
    return await service.search(partial(_cases, _folder(service, run), limit, offset))


@router.get("/{run}/report", response_class=FileResponse)
async def show_report(run: RunName, request: Request) -> Response:
    """Return the run's report, sandboxed."""
    path = _folder(_allowed(request), run) / REPORT
    if not path.is_file():
        raise RefusedError(404, f"run {run!r} has no report; make it: workbench report", code="not_found")
    return FileResponse(path, media_type="text/html", headers={"Content-Security-Policy": SANDBOX})


def _allowed(request: Request) -> Service:
    grant_of(request).require(Role.ADMIN, EVERY)
    return service_of(request)


def _root(service: Service) -> Path:
    return service.bench.run_folder.folder.parent


def _folder(service: Service, run: str) -> Path:
    """Return a run's folder. Its name has passed a pattern without separators, and it may be no link."""
    folder = _root(service) / run
    if folder.is_symlink() or not (folder / SUMMARY).is_file():
        raise RefusedError(404, f"no run {run!r} has been evaluated here", code="not_found")
    return folder


def _list(root: Path) -> list[dict[str, Any]]:
    found = []
    for path in root.glob(f"*/{SUMMARY}"):
        if path.parent.is_symlink():
            continue
        summary, decision = _read(path), _read(path.parent / DECISION)
        found.append(
            {
                "name": path.parent.name,
                "modified": path.stat().st_mtime,
                "arms": list(summary.get("arms", {})),
                "questions": summary.get("counts", {}).get("asked"),
                "sentence": ((decision or {}).get("recommendation") or {}).get("sentence"),
            }
        )
    return sorted(found, key=lambda run: -run["modified"])


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _cases(folder: Path, limit: int, offset: int) -> dict[str, Any]:
    stamp = (folder / "records.jsonl").stat().st_mtime_ns
    cases, passages = _load(folder, stamp)
    names = list(cases)[offset : offset + limit]
    questions = {question.id: question for question in read_lines(folder / "questions.jsonl", Question)}
    data = [_case(questions[name], cases[name], passages) for name in names if name in questions]
    return {"data": data, "total": len(cases)}


@lru_cache(maxsize=2)
def _load(folder: Path, _stamp: int) -> tuple[dict[str, list[CaseRecord]], dict[tuple[str, int, int], str]]:
    """Read a run's records and passages; kept until its records change."""
    cases: dict[str, list[CaseRecord]] = {}
    for record in read_lines(folder / "records.jsonl", CaseRecord):
        cases.setdefault(record.question_id, []).append(record)
    texts = read_lines(folder / "passages.jsonl", PassageRecord)
    return cases, {(text.document_id, text.start, text.end): text.text for text in texts}


def _case(question: Question, records: list[CaseRecord], texts: dict[tuple[str, int, int], str]) -> dict[str, Any]:
    first: dict[str, CaseRecord] = {}
    for record in records:
        first.setdefault(record.arm, record)  # the first seed's, of several
    return {
        "id": question.id,
        "text": question.text,
        "kind": question.kind,
        "answers": list(question.answers),
        "arms": {arm: _arm(record, texts) for arm, record in first.items()},
    }


def _arm(record: CaseRecord, texts: dict[tuple[str, int, int], str]) -> dict[str, Any]:
    cited = {(one.document_id, one.start, one.end) for one in record.citations}
    places = [(hit, (hit.document_id, hit.start, hit.end)) for hit in record.hits if hit.in_prompt]
    return {
        "answer": record.answer,
        "f1": record.scores.get("f1"),
        "seconds": record.costs.seconds if record.costs is not None else None,
        "error": record.error,
        "passages": [
            {
                "document_id": hit.document_id,
                "start": hit.start,
                "end": hit.end,
                "score": hit.score,
                "cited": place in cited,
                "text": texts.get(place, ""),
            }
            for hit, place in places
        ],
    }
