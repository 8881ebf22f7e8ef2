"""All that was found out about a dataset, as one record, and the judgement: what stops a training, what to look at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from workbench.audit.contradictions import Contradiction
from workbench.audit.duplicates import Copies
from workbench.audit.leakage import Leak, Straddling
from workbench.audit.lengths import Lengths
from workbench.audit.masks import ShownRow
from workbench.audit.mixture import UNSURE, Coverage, Mixture
from workbench.audit.scanning import Scan

_NAMED = 12  # rows an issue names
_MANY_COPIES = 0.05  # share of rows from which copies are worth a warning
_ONE_ANSWER = 0.35  # share of the asking rows from which one answer teaches itself


class Severity(StrEnum):
    """What an issue does: stop a training, ask for a look, or only be told."""

    BLOCKING = "blocking"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that is wrong, how often, and where first."""

    severity: Severity
    kind: str
    count: int
    message: str
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AuditReport:
    """Everything measured. A part is None where what it needs was not given; `not_checked` says which and why."""

    source: str
    mixture: Mixture
    scan: Scan
    copies: Copies
    contradictions: tuple[Contradiction, ...]
    straddling: tuple[Straddling, ...]
    allowed: tuple[str, ...] = ()
    leaks: tuple[Leak, ...] | None = None
    lengths: Lengths | None = None
    n_unencodable: int = 0  # rows over the prompt's own budget
    coverage: Coverage | None = None
    shown: tuple[ShownRow, ...] = ()
    not_checked: tuple[str, ...] = ()

    @property
    def issues(self) -> tuple[Issue, ...]:
        """What is wrong, blocking issues first."""
        order = list(Severity)
        return tuple(sorted(_judge(self), key=lambda issue: order.index(issue.severity)))

    def count(self, severity: Severity) -> int:
        """Return how many issues have this severity."""
        return sum(issue.severity is severity for issue in self.issues)

    def as_json(self) -> dict[str, Any]:
        """Return the record for audit.json. No secret stands in it, only masks and places."""
        record = asdict(self)
        record["scan"] = {
            "n_rows": self.scan.n_rows,
            "counts": self.scan.counts,
            "places": [
                {
                    "row": p.row_id,
                    "field": p.field,
                    "kind": p.finding.kind,
                    "start": p.finding.start,
                    "end": p.finding.end,
                }
                for p in self.scan.places
            ],
        }
        record["shown"] = [{"row": row.row_id, "n_learned": row.n_learned, "pieces": row.pieces} for row in self.shown]
        for name, fields in (("leaks", self.leaks), ("contradictions", self.contradictions)):
            record[name] = None if fields is None else [item._asdict() for item in fields]
        record["straddling"] = [item._asdict() for item in self.straddling]
        return {"issues": [asdict(issue) for issue in self.issues], **record}


def blocking_findings(report: AuditReport, allow: Collection[str] = ()) -> list[Issue]:
    """Return the issues that stop a training, without the kinds of secrets and personal data allowed by name."""
    return [issue for issue in report.issues if issue.severity is Severity.BLOCKING and issue.kind not in allow]


def _judge(report: AuditReport) -> Iterable[Issue]:
    yield from _sensitive(report)
    yield from _leaking(report)
    yield from _repeating(report)
    yield from _empty_lessons(report)
    yield from _lengths(report)
    if (coverage := report.coverage) is not None:
        if coverage.unknown:
            yield _issue("warning", "unknown_source", coverage.unknown, "documents in `sources` that the corpus lacks")
        if coverage.untouched:
            yield _issue("note", "uncovered", coverage.untouched, "documents that no row comes from")


def _sensitive(report: AuditReport) -> Iterable[Issue]:
    places = defaultdict(list)
    for place in report.scan.places:
        places[place.finding.kind].append(place)
    for kind, of in places.items():
        severity = Severity.NOTE if kind in report.allowed else Severity.BLOCKING
        n_prompt = sum(place.field != "completion" for place in of)
        where = f"{n_prompt} in prompts, {len(of) - n_prompt} in what is learned"
        allowed = "; allowed by name" if kind in report.allowed else ""
        named = tuple(dict.fromkeys(f"{place.row_id}: {place.field}" for place in of))[:_NAMED]
        yield Issue(severity, kind, len(of), f"secrets or personal data: {where}{allowed}", named)


def _leaking(report: AuditReport) -> Iterable[Issue]:
    wording = {
        "exact": ("blocking", "rows that ask a test question word for word"),
        "near": ("blocking", "rows that share most words of a test question"),
        "document": ("blocking", "rows from documents kept away from training (those of split new)"),
        "embedding": ("warning", "rows that may ask a test question in other words"),
    }
    by_way = defaultdict(list)
    for leak in report.leaks or ():
        by_way[leak.how].append(leak)
    for how, (severity, text) in wording.items():
        if leaks := by_way[how]:
            named = tuple(f"{leak.row_id} ↔ {leak.other} ({leak.closeness:.2f})" for leak in leaks)
            yield _issue(severity, f"leak_{how}", named, text)
    if report.straddling:
        named = tuple(f"{one.group}: {one.train_ids[0]} ↔ {one.dev_ids[0]}" for one in report.straddling)
        yield _issue("blocking", "straddling", named, "groups with rows in train and in dev")


def _repeating(report: AuditReport) -> Iterable[Issue]:
    n_rows = max(1, report.mixture.n_rows)
    for kind, n_copies, pairs, text in (
        (
            "exact_copy",
            report.copies.n_exact,
            [" = ".join(g[:3]) for g in report.copies.exact],
            "rows that repeat a row",
        ),
        ("near_copy", report.copies.n_near, [f"{a} ≈ {b} ({s:.2f})" for a, b, s in report.copies.near], "near copies"),
    ):
        if n_copies:
            severity = Severity.WARNING if n_copies > _MANY_COPIES * n_rows else Severity.NOTE
            yield Issue(severity, kind, n_copies, text, tuple(pairs[:_NAMED]))
    if report.contradictions:
        named = tuple(" ≠ ".join(ids[0] for _, ids in one.answers[:3]) for one in report.contradictions)
        yield _issue("warning", "contradiction", named, "questions with different answers")
    for answer, count in report.mixture.answers[:1]:
        share = count / max(1, report.mixture.n_asking)
        if share > _ONE_ANSWER and count > 10:
            text = (
                f"{share:.0%} of the rows that ask are answered {answer[:60]!r}: it may become the answer to anything"
            )
            yield Issue(Severity.WARNING, "one_answer", count, text)


def _empty_lessons(report: AuditReport) -> Iterable[Issue]:
    mixture = report.mixture
    if mixture.empty:
        yield _issue("warning", "empty", mixture.empty, "rows with nothing but punctuation to learn")
    if mixture.answer_in_question:
        yield _issue(
            "warning", "given_away", mixture.answer_in_question, "closed-book questions that hold their answer"
        )
    if mixture.foreign:
        named = tuple(f"{row_id}: {code}" for row_id, code in mixture.foreign)
        yield _issue("warning", "language", named, "rows in another language than the rest")
    if unsure := mixture.languages.get(UNSURE, 0):
        yield Issue(Severity.NOTE, "language_unsure", unsure, "rows too short or mixed to tell their language")


def _lengths(report: AuditReport) -> Iterable[Issue]:
    if report.n_unencodable:
        text = "rows over prompt.max_tokens: dropped in training"
        yield Issue(Severity.WARNING, "over_prompt_budget", report.n_unencodable, text)
    if (lengths := report.lengths) is None:
        return
    if lengths.all_masked:
        yield _issue("blocking", "all_masked", lengths.all_masked, "rows without a token that carries loss")
    if lengths.too_long:
        share = lengths.n_lost_loss_tokens / max(1, lengths.n_loss_tokens)
        text = f"rows over training.max_tokens {lengths.max_tokens}: dropped, with {share:.1%} of all loss tokens"
        yield _issue("warning", "too_long", lengths.too_long, text)


def _issue(severity: str, kind: str, named: tuple[str, ...], message: str) -> Issue:
    return Issue(Severity(severity), kind, len(named), message, named[:_NAMED])
