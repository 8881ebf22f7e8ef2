"""The audit as one self-contained HTML page, in the look of the report: no outside URL, no script."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from workbench.audit.plots import plot_lengths
from workbench.audit.verdict import AuditReport, Severity

_SHORT_LIST = 10  # entries of a table of counts
_PAIRS = 12  # copies, contradictions and leaks shown


def render_audit(report: AuditReport) -> str:
    """Return the page. Pure: the same report gives the same bytes. No secret stands in it, only masks."""
    mixture, lengths = report.mixture, report.lengths
    return (
        _environment()
        .get_template("audit.html.jinja")
        .render(
            report=report,
            issues=report.issues,
            lead=lead_sentence(report),
            n_blocking=report.count(Severity.BLOCKING),
            mixtures=[
                (name, _shares(counts))
                for name, counts in (
                    ("task", mixture.tasks),
                    ("generator", mixture.generators),
                    ("language", mixture.languages),
                    ("split", mixture.splits),
                )
            ],
            answers=_shares(dict(mixture.answers), total=mixture.n_asking),
            plots=[
                (
                    ("learned with loss" if learned else "read without loss"),
                    Markup(plot_lengths(lengths, learned=learned)),
                )
                for learned in (False, True)
            ]
            if lengths and lengths.n_rows
            else [],
            places=report.scan.places[:_PAIRS],
            leaks=(report.leaks or ())[:_PAIRS],
            contradictions=report.contradictions[:_PAIRS],
        )
    )


def lead_sentence(report: AuditReport) -> str:
    """Return what a person needs to know first."""
    blocking, warnings = report.count(Severity.BLOCKING), report.count(Severity.WARNING)
    rest = f"{warnings} {'thing' if warnings == 1 else 'things'} to look at" if warnings else "nothing else to look at"
    if blocking:
        kinds = ", ".join(issue.kind.replace("_", " ") for issue in report.issues[:blocking])
        return f"Not to be trained on as it is: {kinds}; {rest}."
    return f"Nothing stops a training; {rest}."


def _shares(counts: Mapping[str, int], total: int | None = None) -> list[tuple[str, int, float]]:
    """Return (name, count, share of the whole) of the first entries; the rest as one."""
    whole = max(1, sum(counts.values()) if total is None else total)
    named = list(counts.items())
    rows = [(name, count, count / whole) for name, count in named[:_SHORT_LIST]]
    rest = sum(count for _, count in named[_SHORT_LIST:])
    return [*rows, (f"{len(named) - _SHORT_LIST} more", rest, rest / whole)] if rest else rows


@cache
def _environment() -> Environment:
    loader = ChoiceLoader([PackageLoader("workbench.audit", "."), PackageLoader("workbench.report", ".")])
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
