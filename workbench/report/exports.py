"""The report's tables for other tools: CSV files with the figures unrounded, one row a figure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from workbench.report.data import ReportData


def csv_files(data: ReportData) -> dict[str, str]:
    """Return file name → content: scores.csv and, where there is a decision, pairs.csv and costs.csv."""
    scores = [
        [split, arm, metric, figure["mean"], figure["low"], figure["high"], figure["n"]]
        for split, part in (("all", data.summary), *data.summary["splits"].items())
        for arm, figures in part["arms"].items()
        for metric, figure in figures.items()
    ]
    files = {"scores.csv": _csv(("part", "arm", "metric", "mean", "low", "high", "questions"), scores)}
    if data.decision is None:
        return files
    pairs = [
        [
            *(pair.part, pair.a, pair.b, pair.metric, pair.difference.value, pair.difference.low, pair.difference.high),
            *(pair.p, pair.p_holm, pair.mde, pair.n, pair.n_seeds, pair.outcome.value),
        ]
        for pair in data.decision.pairs
    ]
    header = [
        "part",
        "a",
        "b",
        "metric",
        "difference",
        "low",
        "high",
        "p",
        "p_holm",
        "minimum_detectable_effect",
        "questions",
        "seeds",
        "outcome",
    ]
    files["pairs.csv"] = _csv(header, pairs)
    rows = [costs.model_dump(mode="json") for costs in data.decision.costs]
    for row in rows:
        passed = row.pop("seconds_of_pass") or {}
        row |= {f"seconds_of_pass_{end}": passed.get(end) for end in ("value", "low", "high")}
    if rows:
        files["costs.csv"] = _csv(list(rows[0]), [list(row.values()) for row in rows])
    return files


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([["" if value is None else value for value in row] for row in rows])
    return stream.getvalue()
