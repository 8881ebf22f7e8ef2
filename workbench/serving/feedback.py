"""`POST /v1/feedback`: what a reader says of an answer. Corrections become training rows: `workbench dataset`."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import Field

from workbench.monitoring.records import FeedbackRecord
from workbench.serving.service import grant_of, service_of
from workbench.serving.wire import Body

router = APIRouter(tags=["chat"])


class FeedbackRequest(Body):
    """`response_id`: the id of the answer. `correction`: what it should have said."""

    response_id: str = Field(pattern=r"^chatcmpl-[0-9a-f]{32}$", examples=["chatcmpl-" + "0" * 32])
    rating: Literal[1, -1]
    correction: str | None = Field(None, max_length=20_000)
    comment: str | None = Field(None, max_length=20_000)


@router.post("/v1/feedback")
async def take_feedback(body: FeedbackRequest, request: Request) -> dict[str, bool]:
    """Store a rating, and what the answer should have been; the last of an answer counts."""
    service = service_of(request)
    record = FeedbackRecord(time=datetime.now(UTC), key=grant_of(request).name or None, **body.model_dump())
    await service.fill(partial(service.feedback.append, record))
    return {"stored": True}
