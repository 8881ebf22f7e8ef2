"""Two states of the documents, or two runs of time, compared by fingerprints. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

from workbench.monitoring.findings import DocumentChange, Week
from workbench.monitoring.records import FeedbackRecord, QueryRecord


def compare_documents(before: Mapping[str, str], now: Mapping[str, str]) -> DocumentChange:
    """Return how `now` differs from `before`; both are fingerprints by document id."""
    shared = before.keys() & now.keys()
    return DocumentChange(
        n_before=len(before),
        added=len(now.keys() - shared),
        changed=sum(before[id_] != now[id_] for id_ in shared),
        removed=len(before.keys() - shared),
    )


def monday_of(time: datetime) -> date:
    """Return the first day of a time's ISO week, in UTC."""
    day = time.astimezone(UTC).date()
    return day - timedelta(days=day.weekday())


def count_weeks(queries: Sequence[QueryRecord], feedback: Mapping[str, FeedbackRecord]) -> tuple[Week, ...]:
    """Return the weeks in which questions came, in order; feedback counts in the week of its question.

    Args:
        feedback: by response id.
    """
    by_week: dict[date, list[QueryRecord]] = {}
    for query in queries:
        by_week.setdefault(monday_of(query.time), []).append(query)
    weeks = []
    for monday, asked in sorted(by_week.items()):
        ratings = Counter(feedback[one.response_id].rating for one in asked if one.response_id in feedback)
        weeks.append(
            Week(
                monday=monday.isoformat(),
                n=len(asked),
                n_refused=sum(one.refused for one in asked),
                n_errors=sum(one.error is not None for one in asked),
                n_rated=ratings.total(),
                n_positive=ratings[1],
            )
        )
    return tuple(weeks)
