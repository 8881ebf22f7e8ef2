"""What series of runs measured, as tables: freshness, scaling, learning curves. One form for page and terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table

from workbench.measured import FreshnessReport, LearningReport, Rate, ScalingReport, UpdateRow
from workbench.report.data import ReportData
from workbench.report.figures import MISSING, SCORE_NAMES, amount_text
from workbench.report.table import wide_console

WITH_INTERVALS = 6  # columns a terminal has room for, intervals and all; the page shows them always


@dataclass(frozen=True, slots=True)
class SeriesTable:
    """A titled table; the first column names the arm, the second what it was measured on."""

    title: str
    note: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    sentences: tuple[str, ...] = ()


def series_tables(data: ReportData) -> list[SeriesTable]:
    """Return the tables of what was measured."""
    tables = [freshness_table(data.freshness)] if data.freshness is not None else []
    tables += [scaling_table(data.scaling)] if data.scaling is not None else []
    return tables + ([learning_table(data.learning)] if data.learning is not None else [])


def freshness_table(report: FreshnessReport) -> SeriesTable:
    """Return one row an arm and update; an arm whose adapter holds facts has two, the second trained again."""
    return SeriesTable(
        title="Freshness: what each arm answers before and after documents change",
        note=(
            "Shares of answers, in percent, with intervals. New: a changed fact as it is now; stale: as it was; added: "
            "a fact of an added document; leaked: a fact of a deleted document (before: it was true then); kept: an "
            "untouched fact. Asked as they were taught: the best case for weights. Seconds to take the update in."
        ),
        header=("arm", "update", "seconds", "new", "stale", "added", "leaked", "kept"),
        rows=tuple(
            (
                row.arm,
                _update(report, row),
                amount_text("seconds", row.seconds_to_fresh) if row.share else MISSING,
                rate_text(row.changed_right),
                rate_text(row.changed_stale),
                rate_text(row.added_right),
                rate_text(row.deleted_leaked),
                rate_text(row.kept_right),
            )
            for row in sorted(report.rows, key=lambda row: _first(report.rows, row.arm))
        ),
    )


def scaling_table(report: ScalingReport) -> SeriesTable:
    """Return one row an arm and size."""
    sizes = {row.factor: f"{row.factor}× ({row.documents:,} documents, {row.chunks:,} chunks)" for row in report.rows}
    return SeriesTable(
        title="Scaling: the same questions as the corpus grows",
        note=(
            f"By {report.distractors}. Adapters are trained once. Found: questions with a right passage in the prompt. "
            + "Seconds to index from nothing: "
            + ", ".join(f"{factor}× {amount_text('seconds', one)}" for factor, one in report.index_seconds.items())
            + "."
        ),
        header=("arm", "corpus", SCORE_NAMES[report.metric], "found", "seconds, median", "p95"),
        rows=tuple(
            (
                row.arm,
                sizes[row.factor],
                rate_text(row.score),
                MISSING if row.found is None else f"{100 * row.found:.0f}",
                amount_text("seconds", row.seconds_p50),
                amount_text("seconds", row.seconds_p95),
            )
            for row in sorted(report.rows, key=lambda row: [one.arm for one in report.rows].index(row.arm))
        ),
    )


def learning_table(report: LearningReport) -> SeriesTable:
    """Return one row an arm and number of examples; the sentences say what more examples would bring."""
    return SeriesTable(
        title="How many examples?",
        note=(
            "One training each: the spread between trainings is in no interval. A straight line over the logarithm of "
            "the number, not continued beyond four times the examples at hand."
        ),
        header=("arm", "examples", SCORE_NAMES[report.metric]),
        rows=tuple(
            (curve.arm, f"{point.examples:,}", rate_text(point.score))
            for curve in report.curves
            for point in curve.points
        ),
        sentences=tuple(curve.sentence for curve in report.curves),
    )


def rate_text(rate: Rate | None) -> str:
    """Return a share in percent with its interval."""
    if rate is None:
        return MISSING
    return f"{100 * rate.value:.1f} [{100 * rate.low:.1f}, {100 * rate.high:.1f}]"


def print_series(table: SeriesTable) -> None:
    """Print a table and its sentences."""
    console = wide_console()
    console.print(f"\n[bold]{table.title}[/bold]", highlight=False)
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for place, name in enumerate(table.header):
        shown.add_column(name, justify="left" if place < 2 else "right", no_wrap=True)
    for row in table.rows:
        cells = row if len(row) <= WITH_INTERVALS else [cell.partition(" [")[0] for cell in row]
        shown.add_row(*(cell.replace("[", r"\[") for cell in cells))
    console.print(shown, highlight=False)
    for sentence in table.sentences:
        console.print(sentence.replace("[", r"\["), highlight=False)
    console.print(table.note, style="dim", highlight=False)


def _update(report: FreshnessReport, row: UpdateRow) -> str:
    if not row.share:
        return "before"
    n = report.touched[f"{row.share:g}"]
    return f"{row.share:.0%} ({n} of each)" + (", trained again" if row.trained_again else "")


def _first(rows: Sequence[UpdateRow], arm: str) -> int:
    return next(place for place, row in enumerate(rows) if row.arm == arm)
