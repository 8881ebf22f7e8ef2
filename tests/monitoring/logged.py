"""Records as a server would write them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from workbench.monitoring import FeedbackRecord, QueryRecord

START = datetime(2026, 3, 2, 9, tzinfo=UTC)  # a Monday


def query(number: int = 0, **changes: Any) -> QueryRecord:
    """The question of the `number`-th hour."""
    fields = {
        "response_id": f"r{number}",
        "time": START + timedelta(hours=number),
        "key": "anna",
        "model": "rag",
        "arm": "rag",
        "best_score": 0.5,
        "n_passages": 3,
        "stop_reason": "end",
        "prompt_tokens": 90,
        "new_tokens": 7,
        "seconds": 0.4,
        "question": f"What is {number}?",
        "answer": "teal",
    }
    return QueryRecord.model_validate(fields | changes)


def said(number: int = 0, rating: int = 1, **changes: Any) -> FeedbackRecord:
    """What was said of the answer to the `number`-th question."""
    fields = {"response_id": f"r{number}", "time": START + timedelta(hours=number, minutes=5), "rating": rating}
    return FeedbackRecord.model_validate(fields | changes)
