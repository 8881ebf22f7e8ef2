"""A race in the report: which arms stopped answering, after how many questions, and why."""

from __future__ import annotations

from workbench.decision import RaceReport
from workbench.report.figures import MISSING, difference_text
from workbench.report.series import SeriesTable

RULES = {
    "worse": "worse than",
    "dominated": "worse and dearer than",
    "dearer": "no better and dearer than",
    "undecidable": "could not be told apart from",
    "equivalent": "within the margin of",
    "excluded": "breaks a limit of yours",
    "decided": "the race was over",
    "control": "control",
}


def race_table(race: RaceReport) -> SeriesTable:
    """Return one row an arm that stopped, in the order they did."""
    return SeriesTable(
        title="The race: arms that stopped early",
        note=(
            f"A paired sequential test (testing by betting) looked {race.looks} times; the chance that it stops the "
            f"best arm, or the one to take, is at most {race.alpha:.0%}. Difference: mean score of the arm named minus "
            f"its own, in points, over the questions both had answered by then."
        ),
        header=("arm", "stopped because", "after questions", "difference"),
        rows=tuple(
            (
                stop.arm,
                RULES[stop.rule] + (f" {stop.by}" if stop.by else ""),
                f"{stop.questions:,} of {race.questions:,}",
                MISSING if stop.difference is None else difference_text(race.metric, stop.difference),
            )
            for stop in race.stops
        ),
        sentences=(f"{race.asked:,} of {race.questions:,} questions were asked; an arm that lost answers no more.",),
    )


def race_threat(race: RaceReport | None) -> str | None:
    """Return what a race does to scores, as a threat to validity; None without an arm that stopped early."""
    stopped = [stop.arm for stop in race.stops if stop.rule != "control"] if race is not None else []
    if not stopped:
        return None
    return (
        f"Arms raced: the scores of {', '.join(stopped)} rest on the questions before they stopped, and on a stretch "
        f"in which they did badly, so they are a little too low; comparisons use the questions both arms answered."
    )
